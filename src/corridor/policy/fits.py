# SPDX-License-Identifier: Apache-2.0
"""Whether a request fits the limits of its service (terms.md 1.3, 1.4).

`misfit` gives None, or the public name, words for our own people, and the bound where it stands in
the agreement. What depends on the data (group sizes, dominance, noise) is not decided here but by
disclosure control; what a room is built with (row filter, network) is held by the room.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from corridor.policy.bounds import (
    AnyLimits,
    BucketLimits,
    Columns,
    FeedLimits,
    HostingLimits,
    JobLimits,
    JointLimits,
    TableLimits,
)
from corridor.policy.facts import Facts, Point

Misfit = tuple[str, str, str]

_READ = {
    "dimension": frozenset({"return", "filter", "order"}),
    "measure": frozenset({"return", "order"}),
}
_AGGREGATE = {
    "dimension": frozenset({"group", "return", "filter", "order"}),
    "measure": frozenset({"measure"}),
    "unit": frozenset({"count"}),
    "join-only": frozenset({"join"}),
}
_TRAIN = {
    "dimension": frozenset({"factor"}),
    "measure": frozenset({"covariate", "outcome"}),
    "join-only": frozenset({"match"}),
}
USES = {"read": _READ, "aggregate": _AGGREGATE, "train": _TRAIN}
"""What each role of a column may be used for; `filter` may be filtered by everywhere."""

_FILTER = frozenset({"filter"})
_NOTHING: frozenset[str] = frozenset()
# Still encoded, climbing, beyond the path, or what no UTF-8 decodes to.
_NEVER_IN_A_PATH = frozenset("%\\?#*\ufffd")


def misfit(point: Point, action: str, limits: AnyLimits, facts: Facts) -> Misfit | None:
    """What is beyond the limits, first found; None where all fits."""
    match limits:
        case TableLimits():
            return _table(point, action, limits, facts)
        case JointLimits():
            return _joint(point, limits, facts)
        case FeedLimits():
            return _feed(point, action, limits, facts)
        case BucketLimits():
            return _bucket(point, limits, facts)
        case JobLimits():
            return _job(point, limits, facts)
        case HostingLimits():
            return _hosting(point, limits, facts)
        case _:
            return None


def _one_of(name: str, given: str | None, allowed: frozenset[str] | None) -> Misfit | None:
    if allowed is None:
        return None
    if given is None:
        return name, f"no {name} was named", _list(allowed)
    return None if given in allowed else (name, f"{name} {given} is not allowed", _list(allowed))


def _at_most(name: str, what: str, given: int | None, cap: int | None) -> Misfit | None:
    """A missing number denies: whoever asks knows what it asks for."""
    if cap is None:
        return None
    if given is None:
        return name, f"{what} is not stated", f"at most {cap}"
    return None if given <= cap else (name, f"{what} {given} is above {cap}", f"at most {cap}")


def _if_asked(name: str, what: str, given: int | None, cap: int | None) -> Misfit | None:
    """A missing number is cut by the service at the cap."""
    return None if given is None else _at_most(name, what, given, cap)


def _list(allowed: Iterable[str]) -> str:
    return "allowed: " + ", ".join(sorted(allowed))


def _columns(columns: Columns, action: str, facts: Facts) -> Misfit | None:
    if facts.columns is None:
        return "columns", "the columns used are not stated", _list(columns.named)
    uses = USES[action]
    measures = {name for name, _ in columns.measures}
    for name, wanted in facts.columns.items():
        allowed = _FILTER if name in columns.filters else _NOTHING
        if name in columns.dimensions:
            allowed |= uses["dimension"]
        if name in measures:
            allowed |= uses["measure"]
        if name == columns.unit:
            allowed |= uses.get("unit", _NOTHING)
        if name in columns.join_keys:
            allowed |= uses.get("join-only", _NOTHING)
        if not wanted or not wanted <= allowed:
            how = ", ".join(sorted(wanted - allowed)) or "nothing"
            return "columns", f"column {name} is not for {how}", _list(columns.named)
    return None


def _table(point: Point, action: str, limits: TableLimits, facts: Facts) -> Misfit | None:
    size = _if_asked("rows", "result rows", facts.rows, limits.max_rows) or _if_asked(
        "resource", "seconds", facts.seconds, limits.seconds
    )
    if size or point is Point.ANSWER:
        return size
    wrong = _columns(limits.columns, action, facts)
    if wrong or action == "read":
        return wrong or _joins(limits, facts)
    if limits.functions is not None:
        if facts.functions is None:
            return "function", "the functions used are not stated", _list(limits.functions)
        unknown = facts.functions - limits.functions
        if unknown:
            return "function", f"{', '.join(sorted(unknown))} not allowed", _list(limits.functions)
    if limits.circle and (facts.parties is None or not facts.parties <= limits.circle[0]):
        return "recipient", "parties outside the circle, or not stated", ""
    if limits.privacy and facts.epsilon is not None:
        most = limits.privacy.per_answer
        if not 0 < facts.epsilon <= most:
            return "quota.privacy", f"epsilon {facts.epsilon} of one answer", f"at most {most}"
    return _joins(limits, facts)


def _joins(limits: TableLimits, facts: Facts) -> Misfit | None:
    if facts.joins <= limits.joins:
        return None
    return "join", f"join with {', '.join(sorted(facts.joins - limits.joins))}", _list(limits.joins)


def _joint(point: Point, limits: JointLimits, facts: Facts) -> Misfit | None:
    least = limits.min_parties
    if least is not None and (facts.parties is None or len(facts.parties) < least):
        return "model", "too few parties, or not stated", f"at least {least} parties"
    size = _if_asked("resource", "seconds", facts.seconds, limits.seconds)
    if size or point is Point.ANSWER:
        return size
    if limits.privacy and facts.epsilon is not None:
        most = limits.privacy.per_answer
        if not 0 < facts.epsilon <= most:
            return "quota.privacy", f"epsilon {facts.epsilon} of one answer", f"at most {most}"
    return _one_of("model", facts.model, limits.models) or _columns(limits.columns, "train", facts)


def _feed(point: Point, action: str, limits: FeedLimits, facts: Facts) -> Misfit | None:
    # A read has no marking of its own: each object is judged before it is in the answer.
    asked = point is Point.ANSWER or action != "read"
    for name, given, allowed in (
        ("tlp", facts.tlp, limits.tlp),
        ("kind", facts.kind, limits.kinds),
    ):
        if asked or given is not None:
            wrong = _one_of(name, given, allowed)
            if wrong:
                return wrong
    return None


def _bucket(point: Point, limits: BucketLimits, facts: Facts) -> Misfit | None:
    if point is Point.ANSWER:
        return None
    return _one_of("operation", facts.operation, limits.operations) or _if_asked(
        "size", "bytes", facts.request_bytes, limits.capacity
    )


def _job(point: Point, limits: JobLimits, facts: Facts) -> Misfit | None:
    if point is Point.ANSWER:
        return None
    return (
        _one_of("image", facts.image, limits.images)
        or _at_most("resource", "cores", facts.cpu, limits.cpu)
        or _at_most("resource", "memory", facts.memory, limits.memory)
        or _at_most("resource", "disk", facts.disk, limits.disk)
        or _at_most("resource", "seconds", facts.seconds, limits.job_time)
    )


def _hosting(point: Point, limits: HostingLimits, facts: Facts) -> Misfit | None:
    if point is Point.ANSWER:
        return None
    wrong = _one_of("method", facts.method, limits.methods)
    if wrong:
        return wrong
    if limits.paths is not None and not _path_fits(facts.path, limits.paths):
        return "path", f"path {facts.path!r} is not allowed", _list(limits.paths)
    return _at_most("size", "request bytes", facts.request_bytes, limits.request_size)


def _path_fits(path: str | None, allowed: tuple[str, ...]) -> bool:
    """Matched decoded; what is still encoded, or has dots to climb, matches nothing."""
    if path is None:
        return False
    plain = unquote(path, errors="replace")
    if not plain.startswith("/") or not plain.isprintable() or set(plain) & _NEVER_IN_A_PATH:
        return False
    if "//" in plain or {".", ".."} & set(plain.split("/")):
        return False
    return any(plain.startswith(one[:-1]) if one.endswith("*") else plain == one for one in allowed)
