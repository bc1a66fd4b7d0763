# SPDX-License-Identifier: Apache-2.0
"""Terms to begin with: a file that a person reads, edits and publishes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from corridor.errors import Invalid
from corridor.policy import values
from corridor.policy.written import quote

YEAR = timedelta(days=365)


def _open(_: datetime) -> tuple[str, list[str]]:
    return "", []


def _official(now: datetime) -> tuple[str, list[str]]:
    until = (now + YEAR).date().isoformat()
    rule = f", purpose: [official-statistics], until: {until}"
    return rule, ["forbid: [re-identify, share]", "withdraw: {notice: P30D}"]


def _research(now: datetime) -> tuple[str, list[str]]:
    until = (now + YEAR).date().isoformat()
    rule = f", purpose: [scientific-research, academic-research], until: {until}"
    quota = ", quota: {requests: {day: 1000}}"
    return rule + quota, ["forbid: [re-identify, link, share, sell]"]


PATTERNS: dict[str, Callable[[datetime], tuple[str, list[str]]]] = {
    "open": _open,
    "official-statistics": _official,
    "research": _research,
}


def propose(
    pattern: str,
    *,
    asset: str,
    service: str,
    columns: Sequence[str] | None,
    title: str,
    now: datetime,
) -> str:
    """Terms as YAML; raises Invalid for a pattern that this version does not have.

    Each column is written down as one that is returned: leaving a line out hides the column.
    """
    if pattern not in PATTERNS:
        raise Invalid(
            f"there is no pattern {values.quoted(pattern)}",
            cause=f"this version has: {', '.join(PATTERNS)}",
        )
    rule, rest = PATTERNS[pattern](now)
    lines = [
        f"title: {{en: {quote(title or asset)}}}",
        f"asset: {quote(asset)}",
        "allow:",
    ]
    if columns is None:
        action = "use" if service == "files" else "read"
        lines.append(f"  - {{action: {action}{rule}}}")
    else:
        lines.append("  - action: read")
        lines += [f"    {each.strip()}" for each in _keys(rule)]
        lines.append("    columns:  # leave a line out to hide the column")
        lines += [f"      {quote(name)}: dimension" for name in columns]
    return "\n".join([*lines, *rest]) + "\n"


def _keys(rule: str) -> list[str]:
    """The keys of a rule in flow form, a line each; commas inside brackets do not part."""
    found: list[str] = []
    depth = 0
    part = ""
    for sign in rule:
        depth += (sign in "[{") - (sign in "]}")
        if sign == "," and depth == 0:
            found.append(part)
            part = ""
        else:
            part += sign
    return [each for each in [*found, part] if each.strip()]
