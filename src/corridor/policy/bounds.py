# SPDX-License-Identifier: Apache-2.0
"""What a compiled rule allows of one service's request, as typed values (terms.md 4.1).

Absent means: the rule sets no such limit. Sizes are bytes, times seconds. No dicts: these values
are shared by every request of an agreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

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
