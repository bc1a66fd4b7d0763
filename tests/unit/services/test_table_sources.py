# SPDX-License-Identifier: Apache-2.0
"""Sources of tables: looked at, typed, or refused before anybody is offered them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.unit.services.survey import FORMS, ask, rule, source_of, with_tables

from corridor.errors import CorridorError, Invalid, Refused
from corridor.policy.bounds import Columns
from corridor.services.tables import Tables


@pytest.mark.parametrize("form", FORMS)
def test_a_look_finds_columns_types_and_rows(folder: Path, form: str) -> None:
    async def test(tables: Tables, visit: Any) -> None:
        look = await tables.look(source_of(folder, form))
        assert look.columns == (
            "household", "region", "year", "kwh", "day", "seen", "solar", "income",
        )  # fmt: skip
        assert look.detail["rows"] == 1000
        assert look.detail["format"] == form
        types = dict(zip(look.columns, look.detail["types"], strict=True))
        assert types["day"] == "DATE"
        assert types["solar"] == "BOOLEAN"
        assert types["seen"] == "TIMESTAMP"
        assert types["region"] == "VARCHAR"
        assert types["year"] == ("INTEGER" if form in {"parquet", "duckdb"} else "BIGINT")

    with_tables(folder, test)


def test_odd_columns_are_refused_with_a_hint_and_can_be_aliased(
    folder: Path, tmp_path: Path
) -> None:
    odd = folder / "odd.csv"
    odd.write_text('"a b",=cmd(),ok\n1,x,2020-01-01\n2,,2020-01-02\n')

    async def test(tables: Tables, visit: Any) -> None:
        with pytest.raises(Invalid) as caught:
            await tables.look({"path": str(odd)})
        assert [it.path for it in caught.value.problems] == ["columns.a b", "columns.=cmd()"]
        assert "alias" in caught.value.problems[0].message
        aliases = {"path": str(odd), "columns": {"first": "a b", "second": "=cmd()"}}
        look = await tables.look(aliases)
        assert look.columns == ("first", "second", "ok")
        columns = Columns(dimensions=frozenset({"first", "second", "ok"}))
        v = visit(aliases, rule(columns=columns), says=lambda facts: "")
        got = await ask(tables, v, where=[["first", ">", 0]], order=[["first", "desc"]])
        assert got.to_pylist() == [
            {"first": 2, "ok": date(2020, 1, 2), "second": None},
            {"first": 1, "ok": date(2020, 1, 1), "second": "x"},
        ]
        for bad in ({"first": "nothere"}, {"ok": "a b", "x": "=cmd()"}, {"a": "a b", "b": "a b"}):
            with pytest.raises(Invalid):
                await tables.look({"path": str(odd), "columns": bad})

    with_tables(folder, test)


def test_sources_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "x.csv"
    outside.write_text("a\n1\n")
    (folder / "link.csv").symlink_to(outside)
    (folder / "bad.parquet").write_bytes(b"PAR1 no PAR1")
    (folder / "bad.sqlite").write_bytes(b"SQLite format 3\0 no" * 100)
    (folder / "bad.duckdb").write_bytes(b"no" * 10000)
    (folder / "a[1].csv").write_text("a\n1\n")
    (folder / "busy.sqlite").write_bytes(b"")
    (folder / "busy.sqlite-wal").write_bytes(b"x")
    (folder / "some.bin").write_bytes(b"")

    async def test(tables: Tables, visit: Any) -> None:
        for given, code in (
            ({"path": str(outside)}, "source-outside"),
            ({"path": str(folder / "link.csv")}, "source-outside"),
            ({"path": str(folder / ".." / "x.csv")}, "source-missing"),
            ({"path": "relative.csv"}, "source-path"),
            ({"path": 5}, "source-path"),
            ({}, "source-path"),
            ({"path": str(folder)}, "source-path"),
            ({"path": str(folder / "a[1].csv")}, "source-path"),
            ({"path": str(folder / "some.bin")}, "source-format"),
            ({"path": str(folder / "busy.sqlite")}, "source-busy"),
            ({"path": str(folder / "survey.csv"), "secret": 1}, "source-keys"),
            ({"path": str(folder / "survey.csv"), "table": "x"}, "source-format"),
            ({"path": str(folder / "survey.duckdb")}, "source-table"),
            ({"path": str(folder / "survey.sqlite"), "table": "nothere"}, "source-table"),
            ({"path": str(folder / "bad.parquet")}, "source-unreadable"),
            ({"path": str(folder / "bad.sqlite")}, "source-unreadable"),
            ({"path": str(folder / "bad.duckdb")}, "source-unreadable"),
        ):
            with pytest.raises(Invalid) as caught:
                await tables.look(given)
            assert caught.value.code == code, given

    with_tables(folder, test)


def test_a_file_that_changes_is_looked_at_anew(folder: Path) -> None:
    path = folder / "changing.csv"
    path.write_text("region,year\na,1\n")

    async def test(tables: Tables, visit: Any) -> None:
        v = visit({"path": str(path)})
        assert (await ask(tables, v, select=["year"])).to_pylist() == [{"year": 1}]
        path.write_text("region,year\na,xyz\nb,2\n")
        got = await ask(tables, v, select=["year"])
        assert got.to_pylist() == [{"year": "xyz"}, {"year": "2"}]
        path.write_text("region,years\na,5\n")
        with pytest.raises(Refused) as caught:
            await ask(tables, v, select=["year"])
        assert caught.value.code == "source-changed"
        path.unlink()
        with pytest.raises(CorridorError):
            await ask(tables, v, select=["year"])

    with_tables(folder, test)


def test_types_come_through(folder: Path) -> None:
    path = folder / "types.parquet"
    duckdb.connect().execute(
        f"""COPY (SELECT 1::UTINYINT AS a, 170141183460469231731687303715884105727::HUGEINT AS b,
          1.5::FLOAT AS c, TIMESTAMPTZ '2026-11-22 10:00:00+02' AS d, TIME '10:00' AS e,
          uuid() AS f, [1, 2] AS g, 'x'::BLOB AS h, true AS i) TO '{path}'"""
    )

    async def test(tables: Tables, visit: Any) -> None:
        names = "abcdefghi"
        v = visit({"path": str(path)}, rule(columns=Columns(dimensions=frozenset(names))),
                  says=lambda facts: "")  # fmt: skip
        got = await ask(tables, v)
        assert got.num_rows == 1
        assert got["d"][0].as_py() == datetime(2026, 11, 22, 8, tzinfo=UTC)
        assert got["g"].to_pylist() == [[1, 2]]
        for condition in (
            ["a", "=", 1], ["c", "<", 2], ["d", "=", "2026-11-22T08:00:00Z"],
            ["d", "in", ["2026-11-22T09:00:00+01:00"]], ["e", "=", "10:00"], ["i", "=", True],
            ["f", "!=", "00000000-0000-0000-0000-000000000000"],
        ):  # fmt: skip
            assert (await ask(tables, v, where=[condition])).num_rows == 1, condition
        for condition in (["g", "=", 1], ["h", "=", "x"], ["d", "=", "2026-11-22T08:00:00"]):
            with pytest.raises(Invalid):
                await ask(tables, v, where=[condition])

    with_tables(folder, test)
