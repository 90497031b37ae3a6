"""Fields that have one name in questions and another in messages, and refusals that name them.

Whoever sends a message hears of `search_seconds`, whoever calls `place` of `seconds`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from foretell.errors import InvalidInput, Violation

IN_MESSAGES = {
    "available": "available_count",
    "pareto": "pareto_quantities",
    "points": "point_count",
    "seconds": "search_seconds",
    "slots": "slot_count",
    "start": "start_value",
    "stop": "stop_value",
}
"""What the fields of a question are called in its message, where that differs."""

IN_QUESTIONS = {message: question for question, message in IN_MESSAGES.items()}

_NAME = re.compile(r"^((?:candidates|nodes)\[[^\]]*\]\.)?(\w+)(?=\[|$)")


@contextmanager
def named_as(names: Mapping[str, str]) -> Iterator[None]:
    """Rename the fields that a refusal from inside names, by `IN_MESSAGES` or `IN_QUESTIONS`."""
    try:
        yield
    except InvalidInput as error:
        renamed = [
            Violation(_renamed(v.field, names), v.value, v.message) for v in error.violations
        ]
        raise InvalidInput(renamed) from error


def _renamed(field: str, names: Mapping[str, str]) -> str:
    return _NAME.sub(lambda found: (found[1] or "") + names.get(found[2], found[2]), field)
