# SPDX-License-Identifier: Apache-2.0
"""Tables before a survey: rules, visits and questions, answered through a real room."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.unit.services.visits import RecordedVisit, content

from corridor.limits import Limits
from corridor.policy.bounds import Columns, TableLimits
from corridor.policy.judge import Facts
from corridor.policy.permit import Permit, Rule, When, Who
from corridor.rooms import RealRooms
from corridor.services import Offered, PlaneRequest
from corridor.services.tables import WORKS, Tables, connect


def rule(key: str = "read-1", purposes: frozenset[str] | None = None, **limits: Any) -> Rule:
    return Rule(
        key=key,
        action="read",
        who=Who(),
        when=When(),
        purposes=purposes,
        approvals=frozenset(),
        quotas=(),
        limits=TableLimits(**limits),
    )


def permit(*rules: Rule) -> Permit:
    return Permit(
        agreement="urn:uuid:1", agreement_hash="", terms_hash="", permit_hash="", asset="a",
        provider="did:web:p", consumer="did:web:c", service="tables", agreed=None, rules=rules,
        forbid=frozenset(), promises=(), duties=(), notice=timedelta(),
    )  # fmt: skip


AGREED = Columns(
    dimensions=frozenset({"region", "year", "day"}),
    measures=(("kwh", None),),
    filters=frozenset({"income"}),
    unit="household",
)


def columns_of(facts: Facts) -> str:
    """The judge's rule `columns`, for AGREED."""
    returnable = AGREED.dimensions | {"kwh"}
    for name, uses in (facts.columns or {}).items():
        if name not in (returnable | AGREED.filters if uses == {"filter"} else returnable):
            return "columns"
    return ""


Test = Callable[[Tables, Callable[..., RecordedVisit]], Awaitable[None]]


def with_tables(folder: Path, test: Test, **changes: Any) -> None:
    """Run a test with the service, and a maker of visits to survey.parquet (or another source)."""
    limits = Limits(**changes)

    def visit(source: dict[str, Any] | None = None, *rules: Rule, **more: Any) -> RecordedVisit:
        given = source or {"path": str(folder / "survey.parquet")}
        offered = Offered(participant="p", asset_id="a", source=given, detail={})
        rules = rules or (rule(columns=AGREED),)
        return RecordedVisit(permit(*rules), offered, **{"says": columns_of, **more})

    async def main() -> None:
        rooms = RealRooms(modules=WORKS, limits=limits)
        try:
            await test(connect(rooms=rooms, limits=limits, roots=(folder,)), visit)
        finally:
            await rooms.close()

    asyncio.run(main())


async def ask(tables: Tables, visit: RecordedVisit, path: str = "/sql", **body: Any) -> Any:
    request = PlaneRequest(
        method="POST", path=path, query="", headers={}, body=json.dumps(body).encode()
    )
    answer = await tables.answer(visit, request)
    whole = await content(answer)
    if path != "/sql":
        return json.loads(whole)
    return pa.ipc.open_stream(io.BytesIO(whole)).read_all()


FORMS = ("csv", "parquet", "duckdb", "sqlite")


def source_of(folder: Path, form: str) -> dict[str, Any]:
    table = {"table": "survey"} if form == "duckdb" else {}
    return {"path": str(folder / f"survey.{form}"), **table}
