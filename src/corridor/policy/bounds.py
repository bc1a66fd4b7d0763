# SPDX-License-Identifier: Apache-2.0
"""What a compiled rule allows of one service's request, as typed values (terms.md 4.1).

Absent means: the rule sets no such limit. Sizes are bytes, times seconds. No dicts: these values
are shared by every request of an agreement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from corridor.policy import values
from corridor.policy.model import Value
from corridor.policy.profile import LIFE_TOO

Interval = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """Differential privacy: the budget's window is in the rule's quotas."""

    epsilon: Decimal
    window: str
    per_answer: Decimal
    delta: Decimal
    rows_per_unit: int
    groups_per_unit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Roles of columns (terms.md 1.4). A measure without bounds has None."""

    unit: str | None = None
    dimensions: frozenset[str] = frozenset()
    measures: tuple[tuple[str, Interval | None], ...] = ()
    filters: frozenset[str] = frozenset()
    join_keys: frozenset[str] = frozenset()

    @property
    def named(self) -> frozenset[str]:
        """Every column that has a role; all others are not there."""
        unit = {self.unit} if self.unit else set()
        measures = {name for name, _ in self.measures}
        return frozenset(unit | measures | self.dimensions | self.filters | self.join_keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLimits:
    """Of tables, and of statistics in a joint computation."""

    columns: Columns
    row_filter: tuple[str, ...] = ()
    k: int | None = None
    k_complement: int | None = None
    dominance: tuple[int, Decimal] | None = None
    p_percent: Decimal | None = None
    rounding: int | None = None
    max_groups: int | None = None
    max_rows: int | None = None
    seconds: int | None = None
    functions: frozenset[str] | None = None
    joins: frozenset[str] = frozenset()
    circle: tuple[frozenset[str], int] | None = None
    privacy: Privacy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JointLimits:
    """Of training over several nodes."""

    columns: Columns
    row_filter: tuple[str, ...] = ()
    models: frozenset[str] = frozenset()
    max_params_share: Decimal | None = None
    min_parties: int | None = None
    min_units: int | None = None
    min_level: int | None = None
    seconds: int | None = None
    privacy: Privacy | None = None


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Of files: the whole asset or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketLimits:
    """Of objects kept for the consumer, or read from the provider."""

    operations: frozenset[str] | None = None
    capacity: int | None = None
    objects: int | None = None
    keep: timedelta | None = None
    copies: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLimits:
    """Of a threat feed: markings and object types that may be served or passed on."""

    tlp: frozenset[str] | None = None
    kinds: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """Of the consumer's program on the provider's computer."""

    images: frozenset[str] = frozenset()
    cpu: int | None = None
    memory: int | None = None
    disk: int | None = None
    job_time: int | None = None
    network: str | None = None
    outputs: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostingLimits:
    """Of calls to the provider's web service. A path may end in `*`."""

    methods: frozenset[str] | None = None
    paths: tuple[str, ...] | None = None
    request_size: int | None = None


AnyLimits = (
    TableLimits | JointLimits | FileLimits | BucketLimits | FeedLimits | JobLimits | HostingLimits
)


Given = Mapping[str, Value]
"""Canonical values of one rule by key of the profile's rows."""


def build(service: str, action: str, given: Given) -> AnyLimits:
    """The limits of a rule whose needed keys are all there."""
    if service == "tables" or (service == "joint" and action == "aggregate"):
        return _table(given)
    match service:
        case "joint":
            return _joint(given)
        case "buckets":
            return BucketLimits(
                operations=_set(given, "operations"),
                capacity=_int(given, "capacity"),
                objects=_int(given, "objects"),
                keep=values.span(_text(given, "keep")) if "keep" in given else None,
                copies=_int(given, "copies"),
            )
        case "threats":
            return FeedLimits(tlp=_set(given, "tlp"), kinds=_set(given, "kinds"))
        case "jobs":
            return JobLimits(
                images=_set(given, "images") or frozenset(),
                cpu=_int(given, "cpu"),
                memory=_int(given, "memory"),
                disk=_int(given, "disk"),
                job_time=_int(given, "job_time"),
                network=_text(given, "network") or None,
                outputs=_text(given, "outputs") or None,
            )
        case "hosting":
            return HostingLimits(
                methods=_set(given, "methods"),
                paths=_tuple(given, "paths") if "paths" in given else None,
                request_size=_int(given, "request_size"),
            )
        case _:
            return FileLimits()


def _tuple(given: Given, key: str) -> tuple[str, ...]:
    value = given.get(key, ())
    return (value,) if isinstance(value, str) else value


def _set(given: Given, key: str) -> frozenset[str] | None:
    return frozenset(_tuple(given, key)) if key in given else None


def _text(given: Given, key: str) -> str:
    return "".join(_tuple(given, key))


def _int(given: Given, key: str) -> int | None:
    return int(_text(given, key)) if key in given else None


def _decimal(given: Given, key: str) -> Decimal | None:
    return Decimal(_text(given, key)) if key in given else None


def _columns(given: Given) -> Columns:
    measures = (values.measure_parts(one) for one in _tuple(given, "columns.measure"))
    return Columns(
        unit=_text(given, "columns.unit") or None,
        dimensions=frozenset(_tuple(given, "columns.dimension")),
        measures=tuple(measures),
        filters=frozenset(_tuple(given, "columns.filter")),
        join_keys=frozenset(_tuple(given, "columns.join-only")),
    )


def _privacy(given: Given) -> Privacy | None:
    for window in LIFE_TOO:
        epsilon = _decimal(given, f"privacy.epsilon.{window}")
        if epsilon is not None:
            return Privacy(
                epsilon=epsilon,
                window=window,
                per_answer=Decimal(_text(given, "privacy.per_answer")),
                delta=Decimal(_text(given, "privacy.delta")),
                rows_per_unit=int(_text(given, "privacy.rows_per_unit")),
                groups_per_unit=int(_text(given, "privacy.groups_per_unit")),
            )
    return None


def _table(given: Given) -> TableLimits:
    largest, share = _int(given, "dominance.n"), _decimal(given, "dominance.percent")
    parties, collude = _set(given, "circle.parties"), _int(given, "circle.collude")
    return TableLimits(
        columns=_columns(given),
        row_filter=_tuple(given, "rows"),
        k=_int(given, "min_group_size"),
        k_complement=_int(given, "min_complement"),
        dominance=None if largest is None or share is None else (largest, share),
        p_percent=_decimal(given, "p_percent"),
        rounding=_int(given, "rounding"),
        max_groups=_int(given, "max_groups"),
        max_rows=_int(given, "max_rows"),
        seconds=_int(given, "time_limit"),
        functions=_set(given, "functions"),
        joins=_set(given, "join_with") or frozenset(),
        circle=None if parties is None or collude is None else (parties, collude),
        privacy=_privacy(given),
    )


def _joint(given: Given) -> JointLimits:
    return JointLimits(
        columns=_columns(given),
        row_filter=_tuple(given, "rows"),
        models=_set(given, "models") or frozenset(),
        max_params_share=_decimal(given, "max_params_share"),
        min_parties=_int(given, "min_parties"),
        min_units=_int(given, "min_units"),
        min_level=_int(given, "min_level"),
        seconds=_int(given, "time_limit"),
        privacy=_privacy(given),
    )
