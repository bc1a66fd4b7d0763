# SPDX-License-Identifier: Apache-2.0
"""What every table's rows can do: become records, be inserted, change under their version.

A record is one row with the columns of `schema.py` as its fields. Times are integer microseconds
UTC, JSON is canonical bytes, flags are 0 or 1. `pk` is None before the insert; a change is guarded
by the row's own key and `ver`, so that a record just inserted may be changed without reading it
again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from corridor.store.unit import Statement, Write

Row = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
PAGE = 200


def micros(time: datetime) -> int:
    """An aware datetime as the store keeps it."""
    return (time - _EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """The inverse: aware, UTC."""
    return _EPOCH + timedelta(microseconds=at)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One row. Every table has `pk`."""

    pk: int | None = None


R = TypeVar("R", bound=Record)


def after(record: R, **changes: Any) -> R:
    """The record as it is once `update(record, **changes)` is durable."""
    if "ver" in record.__struct_fields__:
        changes["ver"] = getattr(record, "ver") + 1  # noqa: B009 - not every record has it
    return msgspec.structs.replace(record, **changes)


class Reads(Protocol):
    """What rows are read through."""

    def read(self, statement: Statement, params: Mapping[str, Any]) -> list[Row]:
        """Rows, at once."""
        ...


class Bound:
    """Statements of a dialect, and the participant that each of them is bound to."""

    def __init__(
        self, reads: Reads, texts: Mapping[str, Statement], participant: str | None
    ) -> None:
        self._reads = reads
        self._texts = texts
        self.participant = participant

    def statement(self, name: str) -> Statement:
        """The statement of this name."""
        return self._texts[name]

    def read(self, name: str, params: dict[str, Any]) -> list[Row]:
        """Rows of a statement."""
        return self._reads.read(self._texts[name], self.of(params))

    def write(self, name: str, params: dict[str, Any], expect: int | None = 1) -> Write:
        """A write of a statement."""
        return Write(self._texts[name], self.of(params), expect)

    def of(self, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters, and whose rows they are about."""
        if self.participant is not None:
            params["participant"] = self.participant
        return params


class Rows(Generic[R]):
    """Rows of one table, read as records and inserted."""

    def __init__(self, bound: Bound, table: str, record: type[R]) -> None:
        self._bound = bound
        self._table = table
        self._record = record
        self._fields = record.__struct_fields__
        # msgspec puts inherited fields first, and every table begins with pk
        assert self._fields[0] == "pk"

    def insert(self, record: R) -> Write:
        """A new row; Conflict where its key is taken."""
        return self._write("insert", **msgspec.structs.asdict(record))

    def _from(self, row: Row) -> R:
        return self._record(**dict(zip(self._fields, row, strict=True)))

    def _one(self, verb: str, **params: Any) -> R | None:
        found = self._bound.read(f"{self._table}.{verb}", params)
        return self._from(found[0]) if found else None

    def _list(self, verb: str, **params: Any) -> list[R]:
        return [self._from(row) for row in self._bound.read(f"{self._table}.{verb}", params)]

    def _count(self, verb: str, **params: Any) -> int:
        return int(self._bound.read(f"{self._table}.{verb}", params)[0][0])

    def _write(self, verb: str, *, expect: int | None = 1, **params: Any) -> Write:
        return self._bound.write(f"{self._table}.{verb}", params, expect)


class Changing(Rows[R]):
    """Rows that also change."""

    def __init__(self, bound: Bound, table: str, record: type[R]) -> None:
        super().__init__(bound, table, record)
        self._update = bound.statement(f"{table}.update")
        self._free = frozenset(re.findall(r":(\w+)", self._update.sql.split(" WHERE ")[0]))

    def update(self, record: R, **changes: Any) -> Write:
        """Change these columns of the row; Conflict where somebody changed it since it was read."""
        fixed = changes.keys() - self._free
        assert not fixed, f"{self._table}: these never change: {sorted(fixed)}"
        params = self._bound.of({**msgspec.structs.asdict(record), **changes})
        return Write(self._update, params)
