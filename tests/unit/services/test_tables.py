# SPDX-License-Identifier: Apache-2.0
"""Tables, through a real room: what is agreed comes out, typed, and nothing else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from tests.unit.services.survey import AGREED, FORMS, ask, permit, rule, source_of, with_tables
from tests.unit.services.visits import blocks, content

from corridor.errors import Invalid, NotFound, QueryRefused, Refused
from corridor.limits import Limits
from corridor.policy.bounds import Columns
from corridor.services import PlaneRequest
from corridor.services.tables import Tables


@pytest.mark.parametrize("form", FORMS)
def test_every_format_answers_alike(folder: Path, form: str) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        v = visit(source_of(folder, form))
        got = await ask(
            tables, v, select=["region", "kwh", "day"],
            where=[["year", ">=", 2020], ["region", "=", "أسوان"], ["day", "<", "2020-02-01"],
                   ["income", "<=", 1e9], ["kwh", "!=", 2.5]],
            order=[["kwh", "desc"], "day"], limit=3,
        )  # fmt: skip
        assert got.column_names == ["region", "kwh", "day"]
        rows = got.to_pylist()
        expected = [
            (i / 8, date(2020, 1, 1) + timedelta(days=i % 400))
            for i in range(1000)
            if i % 3 == 1 and i % 8 >= 2 and i % 400 < 31 and i != 20
        ]
        assert [(float(row["kwh"]), row["day"]) for row in rows] == sorted(expected)[::-1][:3]
        assert {row["region"] for row in rows} == {"أسوان"}
        (act,) = v.acts
        assert act.begun["act"] == "query"
        assert act.begun["hashed"] is True
        assert act.begun["known"].rows == 3
        assert act.begun["facts"].rows == 3
        assert act.begun["facts"].columns["year"] == {"filter"}
        assert act.begun["facts"].columns["kwh"] == {"return", "filter", "order"}

    with_tables(folder, test)


def test_without_select_all_that_is_agreed_comes_and_no_more(folder: Path) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        got = await ask(tables, visit())
        assert got.column_names == ["day", "kwh", "region", "year"]
        assert got.num_rows == 1000
        assert got.schema.field("kwh").type == pa.decimal128(12, 3)
        assert got["kwh"][1].as_py() == Decimal("0.125")
        assert got["region"][2].as_py() is None

    with_tables(folder, test)


def test_the_row_filter_of_the_permit_always_holds(folder: Path) -> None:
    predicates = ("day in (2020-01-01, 2020-01-09)", "region != 'it''s'", "year >= 2018")

    async def test(tables: Tables, visit: Any) -> None:
        v = visit(None, rule(columns=AGREED, row_filter=predicates))
        got = await ask(tables, v, select=["day"], where=[["year", "<", 3000]])
        days = [date(2020, 1, 1), date(2020, 1, 9)]
        kept = [i for i in range(1000) if i % 400 in {0, 8} and i % 3 != 2]
        assert got["day"].to_pylist() == [days[i % 400 == 8] for i in kept]
        assert (await tables.open("s", v.permit, v.offered)).path == "/sql"
        for wrong in ("year = 'x'", "nothere = 1", "region > 5", "day < 20.5"):
            with pytest.raises(Invalid) as caught:
                await tables.open("s", permit(rule(columns=AGREED, row_filter=(wrong,))), v.offered)
            assert caught.value.code == "row-filter"

    with_tables(folder, test)


def test_where_several_rules_would_do_the_filters_of_all_hold(folder: Path) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        one = rule("a", columns=AGREED, row_filter=("year >= 2020",), max_rows=900)
        two = rule("b", columns=AGREED, row_filter=("region = 'Sever'",), max_rows=800)
        other = rule("c", columns=Columns(), row_filter=("year = 1",), max_rows=1)
        got = await ask(tables, visit(None, one, two, other), select=["region", "year"])
        assert set(got["region"].to_pylist()) == {"Sever"}
        assert min(got["year"].to_pylist()) == 2020

    with_tables(folder, test)


def test_columns_that_are_not_agreed_are_refused_like_those_that_are_not_there(
    folder: Path,
) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        told = set()
        for body in (
            {"select": ["household"]}, {"select": ["nothere"]}, {"select": ["income"]},
            {"where": [["household", "=", "h1"]]}, {"where": [["nothere", "=", "h1"]]},
            {"order": ["income"]}, {"select": ['x" FROM secrets --']},
        ):  # fmt: skip
            v = visit()
            with pytest.raises(QueryRefused) as caught:
                await ask(tables, v, **body)
            told.add((str(caught.value), caught.value.rule, caught.value.would_pass))
            assert not v.acts
        ((_, name, would_pass),) = told
        assert name == "columns"
        assert "day, kwh, region, year" in would_pass
        assert "income" in would_pass
        assert "household" not in would_pass
        explained = await ask(tables, visit(), "/explain", select=["household"])
        assert explained["outcome"] == "denied"
        assert "region" in explained["would_pass"]

    with_tables(folder, test)


def test_no_room_works_for_what_the_judge_denies(folder: Path) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        v = visit(says=lambda facts: "time")
        with pytest.raises(Refused) as caught:
            await ask(tables, v, select=["region"])
        assert caught.value.rule == "time"
        assert tables._rooms._zygote is None  # type: ignore[attr-defined]

    with_tables(folder, test)


@pytest.mark.parametrize(
    ("column", "op", "value"),
    [
        ("year", "=", "2020"), ("year", "=", 2020.5), ("year", "=", True), ("region", "=", 5),
        ("kwh", "<", "abc"), ("kwh", "<", 1e300), ("kwh", "<", "1e-19"), ("kwh", "<", "NaN"),
        ("day", "=", "yesterday"), ("day", "=", 5), ("day", "=", "2020-02-30"),
        ("region", "<", None), ("region", "in", ["a", 1]), ("region", "=", {"a": 1}),
        ("day", "in", ["2020-01-01", None]),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_their_column(
    folder: Path, column: str, op: str, value: Any
) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        v = visit()
        with pytest.raises(Invalid) as caught:
            await ask(tables, v, where=[[column, op, value]])
        assert caught.value.code == "query-type"
        assert caught.value.problems[0].path == "where[0]"
        assert not v.acts

    with_tables(folder, test)


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        (["region", "=", None], 333), (["region", "!=", None], 667), (["year", "in", [2018, 2019]], 250),
        (["region", "in", ["Sever", "أسوان"]], 667), (["kwh", "=", "0.125"], 1),
        (["kwh", "<", "0.1250000001"], 2), (["kwh", "<", 1], 8), (["day", ">", "2021-01-31"], 6),
        (["year", "=", 10**30], 0), (["region", "=", "x' OR '1'='1"], 0), (["region", "=", '"; --'], 0),
    ],
)  # fmt: skip
def test_conditions_mean_what_they_say(folder: Path, condition: list[Any], count: int) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        got = await ask(tables, visit(), select=["year"], where=[condition])
        assert got.num_rows == count

    with_tables(folder, test)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b"\xff", b'{"select": []}', b'{"select": ["a", "a"]}',
        b'{"select": "a"}', b'{"what": 1}', b'{"limit": -1}', b'{"limit": 1.5}', b'{"limit": "1"}',
        b'{"where": [["a", "like", "x"]]}', b'{"where": [["a", "in", "x"]]}',
        b'{"where": [["a", "=", ["x"]]]}', b'{"where": [["a", "in", []]]}', b'{"where": [["a", "="]]}',
        b'{"order": [["a", "up"]]}', b'{"limit": 1, "limit": 2}', b'{"purpose": ""}',
        b'{"where": ' + json.dumps([["a", "=", 1]] * 33).encode() + b"}",
        b'{"where": [["a", "in", ' + json.dumps([1] * 201).encode() + b"]]}",
        b'{"select": ["' + b"a" * (16 << 10) + b'"]}',
        b"[" * 5000,
    ],
)  # fmt: skip
def test_questions_that_cannot_be_read(folder: Path, body: bytes) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        with pytest.raises(Invalid) as caught:
            await tables.answer(
                visit(), PlaneRequest(method="POST", path="/sql", query="", headers={}, body=body)
            )
        assert caught.value.code == "query"

    with_tables(folder, test)


def test_sql_is_not_in_this_version(folder: Path) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        for path in ("/sql", "/explain"):
            with pytest.raises(QueryRefused) as caught:
                await ask(tables, visit(), path, sql="SELECT 1")
            assert caught.value.code == "unsupported"
            assert str(caught.value) == ("SQL comes with disclosure control, not in this version")

    with_tables(folder, test)


def test_the_description_names_agreed_columns_only(folder: Path) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        v = visit(None, rule(columns=AGREED, max_rows=5, row_filter=("year >= 2020",)))
        request = PlaneRequest(method="GET", path="/", query="", headers={}, body=b"")
        told = json.loads(await content(await tables.answer(v, request)))
        assert [it["name"] for it in told["columns"]] == [
            "region", "year", "kwh", "day", "income",
        ]  # fmt: skip
        assert told["columns"][-1]["uses"] == ["filter"]
        assert told["columns"][2]["type"] == "DECIMAL(12,3)"
        assert (told["max_rows"], told["rows"]) == (5, ["year >= 2020"])
        with pytest.raises(NotFound):
            await ask(tables, v, "/../secret")

    with_tables(folder, test)


def test_more_rows_than_agreed_are_refused_and_not_cut(folder: Path) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        for form in ("parquet", "sqlite"):
            bounded = rule(columns=AGREED, max_rows=10)
            v = visit(source_of(folder, form), bounded)
            with pytest.raises(QueryRefused) as caught:
                await ask(tables, v, select=["region"])
            assert caught.value.rule == "rows"
            assert not v.acts
            got = await ask(tables, v, select=["region"], where=[["kwh", "<", 1]])
            assert got.num_rows == 8
            assert v.asked[-1].rows == 10
            assert (await ask(tables, v, select=["region"], limit=10)).num_rows == 10

    with_tables(folder, test)


def test_a_long_answer_is_streamed_and_its_rows_counted_before_they_leave(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    long = folder / "long.parquet"
    duckdb.connect().execute(
        f"COPY (SELECT i::BIGINT AS year, random() AS kwh FROM range(500000) t(i)) TO '{long}'"
    )

    async def test(tables: Tables, visit: Any) -> None:
        v = visit({"path": str(long)}, rule(columns=Columns(
            dimensions=frozenset({"year"}), measures=(("kwh", None),))))  # fmt: skip
        request = PlaneRequest(method="POST", path="/sql", query="", headers={}, body=b"{}")
        answer = await tables.answer(v, request)
        (act,) = v.acts
        assert act.begun["known"] is None
        assert act.begun["bytes_max"] == Limits().read_result_bytes_max
        sent = []
        async for block in blocks(answer):
            assert len(block) <= 1 << 20
            sent.append(block)
            # The rows that can be read from what has left were all counted before.
            assert sum(len(it) for it in sent) <= sum(act.counted) * 16 + (1 << 16)
        table = pa.ipc.open_stream(io.BytesIO(b"".join(sent))).read_all()
        assert sorted(table["year"].to_pylist()) == list(range(500000))
        assert sum(act.counted) == 500000

        async def stop(count: int) -> None:
            if sum(act.counted) + count > 200000:
                raise Refused("spent", rule="quota.rows.day")
            act.counted.append(count)

        answer = await tables.answer(v, request)
        act = v.acts[-1]
        act.rows = stop  # type: ignore[method-assign]
        with pytest.raises(Refused):
            await content(answer)
        assert sum(act.counted) <= 200000

    with_tables(folder, test)


def test_a_stream_that_is_dropped_frees_its_room(folder: Path) -> None:
    long = folder / "dropped.parquet"
    duckdb.connect().execute(
        f"COPY (SELECT i::BIGINT AS year, random() AS kwh FROM range(2000000) t(i)) TO '{long}'"
    )

    async def test(tables: Tables, visit: Any) -> None:
        v = visit({"path": str(long)})
        for _ in range(3):
            body = b'{"select": ["year", "kwh"]}'
            answer = await tables.answer(
                v, PlaneRequest(method="POST", path="/sql", query="", headers={}, body=body)
            )
            async for _ in blocks(answer):
                break
            await answer.body.aclose()  # type: ignore[union-attr]

    with_tables(folder, test, workers_per_node_max=1, room_wait_s=5.0)


def test_the_node_loads_no_engine() -> None:
    code = (
        "import sys, corridor.services.tables, corridor.services.files, corridor.rooms;"
        "print([it for it in ('duckdb', 'pyarrow', 'numpy', 'obstore') if it in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
