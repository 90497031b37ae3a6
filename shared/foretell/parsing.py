"""What a single value stands for: numbers in disguise, flags as words, categories as text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from numbers import Real

from foretell.schema import QUANTITY_UNITS, Feature

Value = float | int | str | bool | None
"""What a feature's value may be when it arrives; None is missing."""

MISSING_TEXTS = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
"""Texts, in lower case, that mean "missing" in a column of numbers or flags."""

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0", "0.0"})
_BYTES = {unit: 1000.0**power for power, unit in enumerate(QUANTITY_UNITS)}
_BYTES |= {f"{unit[0]}IB": 1024.0**power for power, unit in enumerate(QUANTITY_UNITS) if power}
# A comma separates thousands, and nothing else: "1,5 MB" is refused, not read as 15.
_DIGITS = r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:e[+-]?\d+)?"
_QUANTITY = re.compile(rf"~?\s*({_DIGITS})\s*([KMGT]?I?B)", re.IGNORECASE)
_DIMENSIONS = re.compile(r"(\d+(?:\s*[x\u00d7*]\s*\d+)*)(?:\s+[a-z]+)?", re.IGNORECASE)
_SHAPE = re.compile(r"\d+(?:\s*[x\u00d7*]\s*\d+)+", re.IGNORECASE)
_ASIDE = re.compile(r"\([^()]*\)")
_SEPARATOR = re.compile(r"\s*[x\u00d7*]\s*", re.IGNORECASE)


def parse_number(text: str) -> float:
    """Return the number that a text is; ValueError when it is none, or not finite."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not finite")
    return number


def parse_quantity(text: str, unit: str) -> float:
    """Return "43.9 MB" in `unit`; KB to TB are powers of 1000, KiB to TiB powers of 1024."""
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        return parse_number(text)
    return parse_number(found[1].replace(",", "")) * (_BYTES[found[2].upper()] / _BYTES[unit])


def parse_dimensions(text: str) -> float:
    """Return the product of "1x3x512x512"; of several shapes, "1x384, 1x384", the sum.

    A unit and what stands in parentheses are ignored, "80x3000 (audio)", "256 tokens", unless
    the only shape stands there: "416p (416x416)".
    """
    found = [_DIMENSIONS.fullmatch(part.strip()) for part in _ASIDE.sub("", text).split(",")]
    shapes = [shape[1] for shape in found if shape is not None]
    if len(shapes) < len(found):
        anywhere = _SHAPE.search(text)
        if anywhere is None:
            return parse_number(text)
        shapes = [anywhere[0]]
    return float(sum(math.prod(map(int, _SEPARATOR.split(shape))) for shape in shapes))


def parse_flag(text: str) -> float:
    """Return 1.0 for a word that means yes, 0.0 for one that means no."""
    word = text.strip().lower()
    if word in _TRUE:
        return 1.0
    if word in _FALSE:
        return 0.0
    raise ValueError(f"{text!r} is neither true nor false")


def text_parser(feature: Feature) -> Callable[[str], float]:
    """Return the function that reads this number or flag from text; it raises ValueError."""
    if feature.kind == "flag":
        return parse_flag
    if feature.format == "quantity":
        unit = feature.target_unit
        return lambda text: parse_quantity(text, unit)
    return parse_dimensions if feature.format == "dimensions" else parse_number


def expectation(feature: Feature) -> str:
    """Return, for messages, what a value of this feature must look like."""
    if feature.kind == "category":
        return "a text"
    if feature.kind == "flag":
        return "true or false"
    if feature.format == "quantity":
        return f'a number of {feature.target_unit} or a text such as "43.9 MB"'
    if feature.format == "dimensions":
        return 'a number or a text such as "1x3x512x512"'
    return "a finite number"


def range_text(feature: Feature) -> str:
    """Return, for messages, the range that a number must lie in."""
    low, high = feature.lower_limit, feature.upper_limit
    if math.isinf(low):
        return f"at most {high:g}"
    return f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"


def category_text(value: object) -> str | None:
    """Return the text by which a category's value is compared, None when it is missing.

    Numbers lose a trailing ".0", so that 7 and 7.0 and "7" are the same category; flags
    become "true" and "false"; empty text is missing. Raises TypeError for other types and for
    numbers that are not finite.
    """
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    if isinstance(value, bool) or type(value).__name__ == "bool":  # numpy has its own bool
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Real):
        number = float(value)
        if math.isfinite(number):
            return str(int(number)) if number.is_integer() else repr(number)
    raise TypeError


def shown(value: object) -> str:
    """Return a value as messages show it, cut short."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
