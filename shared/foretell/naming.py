"""Names of hardware, however they are spelled: by people, by vendors, by nvidia-smi and lscpu."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# What tells nothing apart: marks, vendors, and what is said of every device of a kind.
_NOISE = re.compile(
    r"""\((?:r|tm|c)\)|[®™©]
    |@.*$                              # "Xeon … CPU @ 2.30GHz"
    |\b\d+(?:st|nd|rd|th)\ gen\b       # "12th Gen Intel Core …"
    |\b\d+-core\b                      # "EPYC 7763 64-Core Processor"
    |\bwith\ radeon\b.*$               # "Ryzen 7 7840U with Radeon 780M Graphics"
    |\b(?:nvidia|amd|intel|habana|corporation|geforce|radeon|instinct|tesla|quadro|core
        |gpu|cpu|processor|graphics|accelerator|tensor)\b""",
    re.VERBOSE,
)
_APART = re.compile(r"[^a-z0-9+]+")


def plain_name(name: str) -> str:
    """Return a name without case, punctuation, vendor and filler: "NVIDIA RTX-3090" is "rtx3090".

    What is left may be empty: then the name says nothing.
    """
    words = name.casefold().replace("_", " ")
    return _APART.sub("", _NOISE.sub(" ", words)).replace("+", "plus")


def by_plain_name(names: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Return, from (name, meaning) pairs, the meaning of each plain name that has only one."""
    found: dict[str, set[str]] = {}
    for name, meaning in names:
        found.setdefault(plain_name(name), set()).add(meaning)
    return {
        plain: next(iter(meanings))
        for plain, meanings in found.items()
        if plain and len(meanings) == 1
    }
