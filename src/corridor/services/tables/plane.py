# SPDX-License-Identifier: Apache-2.0
"""How tables are served: check the question, have it judged, let a room answer, relay.

A request passes, in this order: (1) the body is read  (2) its columns become facts, and the judge
says what it would say  (3) only then are names and values looked up and typed, so that a column
that is not agreed answers like one that does not exist  (4) a room reads  (5) the act begins,
durable  (6) bytes leave. At most 1 MiB is known in full before (5); a longer answer begins there
and its rows are counted batch by batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from corridor.errors import FetchFailed, Invalid, NotFound, QueryRefused, Refused
from corridor.limits import Limits
from corridor.policy.bounds import TableLimits
from corridor.policy.judge import Facts
from corridor.policy.permit import Permit, Rule
from corridor.policy.profile import PURPOSES
from corridor.services import Act, Answer, Known, Look, Offered, Opened, PlaneRequest, Visit
from corridor.services.tables import question, shape
from corridor.services.tables.question import Condition, Question
from corridor.services.tables.shape import Shape, Source
from corridor.telemetry import SOURCE_CHANGED
from corridor.world import Rooms

ARROW = "application/vnd.apache.arrow.stream"
_JSON = {"content-type": "application/json"}
_LOOK = "corridor.services.tables.work:look"
_READ = "corridor.services.tables.work:read"
_ROWS_BYTES = 4
_KNOWN_BYTES_MAX = 1 << 20
_THREADS = 2
_IDSA_HTTP = "https://w3id.org/idsa/v4.1/HTTP"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the agreement's rule lets out for one question."""

    returnable: tuple[str, ...]
    filterable: frozenset[str]
    row_filter: tuple[str, ...]
    max_rows: int | None
    seconds: float

    def told(self) -> str:
        """What would pass, in words; only names that stand in the agreement."""
        told = f"columns to select and order by: {', '.join(self.returnable) or 'none'}"
        only = sorted(self.filterable - set(self.returnable))
        return f"{told}; in where also: {', '.join(only)}" if only else told


class Tables:
    """The service `tables` (see `services.Service`): action read, Arrow IPC streams."""

    name = "tables"
    actions = frozenset({"read"})
    # What every service's judge sees to, and what this one does: columns, rows, result size, time.
    operands = frozenset(
        {
            "purpose", "dateTime", "elapsedTime", "spatial", "recipient", "credential", "claim",
            "approval", "count", "dimension", "measure", "filter", "unit", "rowFilter",
            "resultRows", "answerSeconds",
        }
        | {
            f"{noun}Per{window}"
            for noun in ("requests", "bytes", "rows")
            for window in ("Minute", "Hour", "Day", "Week", "Month", "Year", "Agreement")
        }
    )  # fmt: skip
    pull_formats = ("CorridorTables-PULL",)
    push_formats: tuple[str, ...] = ()

    def __init__(self, *, rooms: Rooms, limits: Limits, roots: Sequence[Path]) -> None:
        self._rooms = rooms
        self._limits = limits
        self._roots = tuple(roots)
        # What was found in a file, by the source's own words; looked at anew when it has changed.
        self._shapes: dict[bytes, Shape] = {}

    async def look(self, source: Mapping[str, Any]) -> Look:
        """Read the whole table once: columns, types, rows. Raises Invalid with all faults.

        Types are the engine's names, in the order of the columns. The names are not in `detail`,
        which is public, since a column that the terms do not name must not be known.
        """
        checked = await self._source(source)
        found = await self._shape(source, checked)
        return Look(
            columns=tuple(column.name for column in found.columns),
            detail={
                "format": checked.format,
                "rows": found.rows,
                "types": [column.type for column in found.columns],
            },
        )

    async def open(self, sid: str, permit: Permit, offered: Offered) -> Opened:
        """Look at the table again, and at whether the permit's row filter fits it."""
        del sid
        checked = await self._source(offered.source)
        found = await self._shape(offered.source, checked)
        kinds = {column.name: column.kind for column in found.columns}
        for rule in _reading(permit):
            question.row_filter(_limits_of(rule).row_filter, kinds)
        return Opened(endpoint_type=_IDSA_HTTP, path="/sql", properties={"service": "tables"})

    async def close(self, sid: str) -> None:
        """Nothing is kept for a session."""

    async def answer(self, visit: Visit, request: PlaneRequest) -> Answer:
        """`POST /sql` reads, `POST /explain` says what would be said, `GET /` lists columns."""
        match request.method, request.path:
            case "POST", "/sql":
                return await self._read(visit, request.body)
            case "POST", "/explain":
                asked = question.read(request.body, self._limits)
                bounds = self._bounds(visit.permit, asked)
                told = {**await visit.explain(self._facts(visit, asked, bounds))}
                if told.get("rule") == "columns":
                    told["would_pass"] = bounds.told()
                return Answer(status=200, headers=_JSON, body=msgspec.json.encode(told))
            case "GET" | "HEAD", "/":
                body = await self._described(visit)
                return Answer(
                    status=200,
                    headers=_JSON,
                    body=b"" if request.method == "HEAD" else body,
                    length=len(body),
                )
            case _:
                raise NotFound("tables answer POST /sql, POST /explain and GET /")

    # --- what is agreed -------------------------------------------------------------------------

    async def _described(self, visit: Visit) -> bytes:
        """The agreed columns with types and roles, as JSON."""
        _, found = await self._standing(visit)
        bounds = self._bounds(visit.permit, Question())
        listed = []
        for column in found.columns:
            uses = [use for use, names in (
                ("select", bounds.returnable), ("filter", bounds.filterable),
            ) if column.name in names]  # fmt: skip
            if uses:
                listed.append({"name": column.name, "type": column.type, "uses": uses})
        told: dict[str, Any] = {
            "columns": listed,
            "format": ARROW,
            "operators": list(question.OPERATORS),
        }
        if bounds.max_rows is not None:
            told["max_rows"] = bounds.max_rows
        if bounds.row_filter:
            told["rows"] = list(bounds.row_filter)
        return msgspec.json.encode(told)

    def _bounds(self, permit: Permit, asked: Question) -> Bounds:
        """The bounds of the rules that might allow this question, all of them at once.

        The judge allows by one rule and does not say to us which. So where several would admit the
        columns, their row filters all apply and the smallest limits hold: what leaves is within
        whichever it was.
        """
        rules = _reading(permit)
        admitting = [rule for rule in rules if _admits(rule, asked)] or rules
        every = [_limits_of(rule) for rule in admitting]
        seconds = [it.seconds for it in every if it.seconds is not None]
        most = [it.max_rows for it in every if it.max_rows is not None]
        first = every[0].columns if every else None
        measures = {name for name, _ in first.measures} if first else set()
        returnable = set(first.dimensions) | measures if first else set()
        return Bounds(
            returnable=tuple(sorted(returnable)),
            filterable=frozenset(first.dimensions | first.filters if first else ()),
            row_filter=tuple(sorted({it for limits in every for it in limits.row_filter})),
            max_rows=min(most, default=None),
            seconds=min(seconds, default=self._limits.room_seconds_max),
        )

    def _facts(self, visit: Visit, asked: Question, bounds: Bounds) -> Facts:
        purpose = asked.purpose or visit.purpose
        return Facts(
            action="read",
            purpose=PURPOSES.get(purpose, purpose) if purpose else None,
            columns=asked.uses(bounds.returnable),
            rows=bounds.max_rows if asked.limit is None else asked.limit,
            seconds=int(bounds.seconds),
        )

    # --- reading --------------------------------------------------------------------------------

    async def _read(self, visit: Visit, body: bytes) -> Answer:
        asked = question.read(body, self._limits)  # (1)
        bounds = self._bounds(visit.permit, asked)
        facts = self._facts(visit, asked, bounds)
        act = await self._foreseen(visit, facts, bounds, body)  # (2)
        try:
            reads, args = await self._args(visit, asked, bounds)  # (3)
            return await self._run(
                visit, facts=facts, args=args, reads=reads, bounds=bounds, body=body, act=act
            )
        except BaseException as error:
            if act is not None:
                await act.close("failed", code=getattr(error, "code", "internal"))
            raise

    async def _foreseen(
        self, visit: Visit, facts: Facts, bounds: Bounds, body: bytes
    ) -> Act | None:
        """Ask the judge before a room works; where it says no, let it say so for the record."""
        told = await visit.explain(facts)
        if told.get("outcome") == "allowed":
            return None
        return await self._begin(visit, facts, bounds, body, known=None)

    async def _begin(
        self, visit: Visit, facts: Facts, bounds: Bounds, body: bytes, known: Known | None
    ) -> Act:
        try:
            return await visit.begin(
                "query",
                facts,
                request=body,
                hashed=True,
                known=known,
                bytes_max=None if known else self._limits.read_result_bytes_max,
            )
        except Refused as error:
            if error.rule != "columns":
                raise
            raise QueryRefused(
                "the agreement does not name these columns for this use",
                rule="columns",
                cause=error.cause,
                reference=error.reference,
                would_pass=bounds.told(),
            ) from error

    async def _args(
        self, visit: Visit, asked: Question, bounds: Bounds
    ) -> tuple[tuple[Path, ...], dict[str, Any]]:
        """What the room is told: own names, typed values, and the permit's row filter."""
        checked, found = await self._standing(visit)
        columns = {column.name: column for column in found.columns}
        selected = asked.selected(bounds.returnable)
        if not selected or asked.uses(selected).keys() - columns.keys():
            raise Refused("the table no longer has these columns", code="source-changed")
        kinds = {name: column.kind for name, column in columns.items()}
        conditions = [
            *question.row_filter(bounds.row_filter, kinds),
            *question.conditions(asked, kinds),
        ]
        own = {name: column.own for name, column in columns.items()}
        used = {
            *selected,
            *(name for name, _ in asked.ordered()),
            *(it.column for it in conditions),
        }
        args = {
            "source": {**checked.told(), "table": found.table},
            # A CSV's types must all be told; of the others only what is used is read.
            "types": {
                it.own: it.type
                for it in found.columns
                if checked.format == "csv" or it.name in used
            },
            "columns": [[own[name], name] for name in selected],
            "where": [_told(condition, own) for condition in conditions],
            "order": [[own[name], down] for name, down in asked.ordered()],
            "limit": asked.limit,
            "cap": bounds.max_rows,
            "memory_bytes": self._limits.engine_memory_bytes_max,
            "threads": _THREADS,
        }
        return (checked.path,), args

    async def _run(
        self,
        visit: Visit,
        *,
        facts: Facts,
        args: Mapping[str, Any],
        reads: tuple[Path, ...],
        bounds: Bounds,
        body: bytes,
        act: Act | None,
    ) -> Answer:
        """Read up to 1 MiB; what ends there is known in full, what does not is streamed."""
        headers = {"content-type": ARROW}
        async with AsyncExitStack() as stack:
            room = self._rooms.run(_READ, args, reads=reads, seconds=bounds.seconds)  # (4)
            blocks = _counted(await stack.enter_async_context(room))
            ahead: list[tuple[int, bytes]] = []
            size = rows = 0
            async for count, block in blocks:
                ahead.append((count, block))
                size, rows = size + len(block), rows + count
                if size > _KNOWN_BYTES_MAX:
                    act = act or await self._begin(visit, facts, bounds, body, known=None)  # (5)
                    kept = stack.pop_all()
                    stream = self._stream(kept, act, ahead, blocks)
                    return Answer(status=200, headers=headers, body=stream, act=act)
        content = b"".join(block for _, block in ahead)
        if act is None:
            told = replace(facts, rows=rows, bytes=size)
            act = await self._begin(
                visit, told, bounds, body, known=Known(content=content, rows=rows)
            )
        else:
            await act.rows(rows)
        return Answer(status=200, headers=headers, body=content, length=size, act=act)

    async def _stream(
        self,
        room: AsyncExitStack,
        act: Act,
        ahead: list[tuple[int, bytes]],
        blocks: AsyncIterator[tuple[int, bytes]],
    ) -> AsyncIterator[bytes]:
        """Block after block; a batch's rows are counted before its first byte leaves."""
        left = self._limits.read_result_bytes_max
        async with room:
            while ahead:
                count, block = ahead.pop(0)
                left -= len(block)
                await act.rows(count)
                yield block
            async for count, block in blocks:
                left -= len(block)
                if left < 0:
                    raise Refused("the answer has more bytes than may be read at once", rule="rows")
                if count:
                    await act.rows(count)
                yield block

    # --- the table ------------------------------------------------------------------------------

    async def _source(self, given: Mapping[str, Any]) -> Source:
        return await asyncio.to_thread(shape.source, given, self._roots)

    async def _standing(self, visit: Visit) -> tuple[Source, Shape]:
        """The table as it stands now. What is wrong with it is for the provider alone to know."""
        source = visit.offered.source
        try:
            checked = await self._source(source)
            return checked, await self._shape(source, checked)
        except Invalid as error:
            faults = [f"{it.path}: {it.message}" for it in error.problems]
            _log.error(SOURCE_CHANGED, asset=visit.offered.asset_id, why=error.what, faults=faults)
            raise Refused(
                "the table cannot be served as it is now", code="source-changed"
            ) from None

    async def _shape(self, given: Mapping[str, Any], checked: Source) -> Shape:
        """What the table looks like now. A room reads all of it where that is not known."""
        key = msgspec.json.encode(given, order="sorted")
        known = self._shapes.get(key)
        if known is not None and known.state == checked.state:
            return known
        args = {
            "source": checked.told(),
            "memory_bytes": self._limits.engine_memory_bytes_max,
            "threads": _THREADS,
        }
        try:
            seconds = self._limits.look_seconds_max
            async with self._rooms.run(_LOOK, args, reads=(checked.path,), seconds=seconds) as sent:
                found = msgspec.json.decode(b"".join([bytes(part) async for part in sent]))
        except FetchFailed:
            raise Invalid("reading the table takes too long", code="source-unreadable") from None
        fresh = shape.shape(found, checked, self._limits)
        while len(self._shapes) >= self._limits.shapes_kept_max:
            self._shapes.pop(next(iter(self._shapes)))
        self._shapes[key] = fresh
        return fresh


def _reading(permit: Permit) -> list[Rule]:
    """The rules that let rows out, in the judge's order."""
    return [
        rule
        for rule in permit.rules
        if rule.action == "read" and isinstance(rule.limits, TableLimits)
    ]


def _limits_of(rule: Rule) -> TableLimits:
    if not isinstance(rule.limits, TableLimits):
        raise TypeError("a rule of tables has the limits of tables")
    return rule.limits


def _admits(rule: Rule, asked: Question) -> bool:
    """Whether this rule's columns hold all that is asked. The judge decides; this only narrows."""
    columns = _limits_of(rule).columns
    returnable = columns.dimensions | {name for name, _ in columns.measures}
    filterable = columns.dimensions | columns.filters | {name for name, _ in columns.measures}
    uses = asked.uses(())
    return all(
        name in (filterable if kinds == {"filter"} else returnable) for name, kinds in uses.items()
    )


def _told(condition: Condition, own: Mapping[str, str]) -> list[Any]:
    return [own[condition.column], condition.kind, condition.op, list(condition.values)]


async def _counted(sent: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """Frames of the work `read`, taken apart: rows that begin here, and the bytes."""
    async for frame in sent:
        whole = bytes(frame)
        yield int.from_bytes(whole[:_ROWS_BYTES], "big"), whole[_ROWS_BYTES:]
