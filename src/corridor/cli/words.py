# SPDX-License-Identifier: Apache-2.0
"""Small things that people type, read: durations, conditions, values."""

from __future__ import annotations

import re
from collections.abc import Sequence

from corridor.errors import Invalid

_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d|)")
_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_CONDITION = re.compile(
    r"\s*([^\W\d]\w*)\s*(!=|<=|>=|=|<|>|\bin\b)\s*(.+?)\s*", re.DOTALL | re.IGNORECASE
)
_NUMBER = re.compile(r"-?\d{1,30}")
_DECIMAL = re.compile(r"-?\d{1,17}\.\d{1,17}")
_ITEM = re.compile(r"\s*('(?:[^']|'')*'|\"[^\"]*\"|[^,'\"]+?)\s*(?:,|\Z)")


def seconds(told: str, option: str) -> float:
    """`30s`, `5m`, `1h`, `250ms` or a bare number of seconds."""
    found = _SPAN.fullmatch(told.strip())
    if found is None:
        raise Invalid(f"{told} is no duration", code="usage", mend=f"{option} 30s")
    return float(found[1]) * _UNITS[found[2]]


def condition(told: str) -> tuple[str, str, object]:
    """`year = 2025`, `country in (China, 'Viet Nam')`: column, operator, value.

    Text may stand bare; in quotes it is text whatever it looks like.
    """
    found = _CONDITION.fullmatch(told)
    if found is None:
        raise Invalid(
            f"{told} is no condition",
            code="usage",
            cause="operators are = != < <= > >= in",
            mend="--where 'year = 2025'",
        )
    name, op, rest = found[1], found[2].lower(), found[3]
    if op != "in":
        return name, op, value(rest)
    inner = rest[1:-1] if rest.startswith("(") and rest.endswith(")") else rest
    items: list[object] = []
    at = 0
    while at < len(inner):
        item = _ITEM.match(inner, at)
        if item is None:
            raise Invalid(f"{rest} is no list", code="usage", mend=f"--where '{name} in (a, b)'")
        items.append(value(item[1]))
        at = item.end()
    return name, op, items


def value(told: str) -> object:
    """A number or truth value where it looks like one, else text."""
    if len(told) >= 2 and told[0] == told[-1] and told[0] in "'\"":
        return told[1:-1].replace("''", "'")
    if _NUMBER.fullmatch(told):
        return int(told)
    if _DECIMAL.fullmatch(told):
        return float(told)
    return {"true": True, "false": False}.get(told.lower(), told)


def names(told: Sequence[str]) -> list[str]:
    """`--select a,b --select c` as one list."""
    return [it.strip() for one in told for it in one.split(",") if it.strip()]
