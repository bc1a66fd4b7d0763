# SPDX-License-Identifier: Apache-2.0
"""A table of the provider, read by the consumer under what was agreed, through a real room."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.pair.pair import Pair, play
from tests.pair.using import COR, acts, entries, limit, limited, problem, reading

from corridor.errors import QueryRefused
from corridor.world import Request, Response

ROWS = 2000
REGIONS = ("Banat", "Bačka", "Srem")


def agreed(*more: dict[str, Any]) -> dict[str, Any]:
    """Read region, year and kwh; filter by income too."""
    return limited(
        limit(f"{COR}dimension", "isAnyOf", ["region", "year"]),
        limit(f"{COR}measure", "isAnyOf", ["kwh"]),
        limit(f"{COR}filter", "isAnyOf", ["income"]),
        limit(f"{COR}answerSeconds", "lteq", "20"),
        *more,
        action="odrl:read",
    )


async def table(p: Pair, *more: dict[str, Any]) -> Any:
    """A started transfer of the survey."""
    lines = ["household,region,year,kwh,income"]
    lines += [f"{i},{REGIONS[i % 3]},{2015 + i % 10},{i % 1000},{i * 10}" for i in range(ROWS)]
    path = p.file("survey.csv", "\n".join(lines).encode())
    agreement = await p.agree(
        agreed(*more), asset="survey", service="tables", source={"path": str(path)}
    )
    return await reading(p, agreement)


async def post(it: Any, body: Any, *, path: str = "") -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(
        purpose="plane", method="POST", url=it.endpoint.removesuffix("/sql") + (path or "/sql"),
        headers={"authorization": f"Bearer {it.token}"}, body=raw, answer_bytes_max=1 << 30,
    )  # fmt: skip
    return await it.p.net.fetch(request)


def rows(answer: Response) -> Any:
    assert answer.status == 200, answer.body[:500]
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream"
    return pa.ipc.open_stream(io.BytesIO(answer.body)).read_all()


def test_reading(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await table(p)
        assert it.endpoint.endswith("/sql")
        asked = {
            "select": ["region", "kwh"],
            "where": [["year", ">=", 2020], ["income", "<", 5000], ["region", "=", "Bačka"]],
            "order": [["kwh", "desc"]],
            "limit": 4,
        }
        found = rows(await post(it, asked))
        assert found.column_names == ["region", "kwh"]
        expected = sorted(
            (i % 1000 for i in range(500) if i % 3 == 1 and i % 10 >= 5), reverse=True
        )[:4]
        assert [row["kwh"] for row in found.to_pylist()] == expected
        assert set(found["region"].to_pylist()) == {"Bačka"}
        assert rows(await post(it, {})).num_rows == ROWS
        told = [entry for entry in entries(p) if entry["type"] == "receipt"]
        assert [entry["act"] for entry in told] == ["query", "query"]
        assert [entry["counts"]["rows_out"] for entry in told] == [4, ROWS]
        assert str(tmp_path) not in json.dumps(entries(p))
        assert "income" not in json.dumps(rows(await post(it, {})).column_names)

    play(tmp_path, story, rooms=True)


@pytest.mark.parametrize(
    "asked",
    [
        {"select": ["household"]},
        {"select": ["income"]},
        {"select": ["nothing"]},
        {"select": ["kwh"], "where": [["household", "=", 1]]},
        {"select": ["region"], "order": ["income"]},
        {"select": ["region"], "where": [["kwh; DROP TABLE x", "=", 1]]},
    ],
)
def test_a_column_that_is_not_agreed(tmp_path: Path, asked: dict[str, Any]) -> None:
    async def story(p: Pair) -> None:
        it = await table(p)
        answer = await post(it, asked)
        assert problem(answer) == (403, "query-refused", "columns")
        told = json.loads(answer.body)
        assert "region" in told["would_pass"]
        assert "household" not in told["would_pass"]
        explained = json.loads((await post(it, asked, path="/explain")).body)
        assert (explained["outcome"], explained["rule"]) == ("denied", "columns")
        assert explained["would_pass"] == told["would_pass"]
        assert acts(p) == []
        agreement = p.consumer.store.of("consumer").agreements.page()[0]
        with pytest.raises(QueryRefused) as refused:
            async with p.consumer.engine.reach.request(
                p.home("consumer"), agreement, method="POST", path="", headers={},
                body=json.dumps(asked).encode(),
            ):  # fmt: skip
                pass
        assert refused.value.would_pass == told["would_pass"]

    play(tmp_path, story, rooms=True)


def test_questions_that_are_none(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await table(p)
        sql = await post(it, {"sql": "SELECT * FROM survey"})
        assert sql.status in (400, 403)
        assert json.loads(sql.body)["code"] == "unsupported"
        for asked in (b"", b"x", b"[]", b"null", b'{"select":1}', b'{"limit":-1}', b'{"x":1}'):
            answer = await post(it, asked)
            assert answer.status in (400, 403), asked
            problem(answer)
        deep = b'{"where":' + b"[" * 2000 + b"]" * 2000 + b"}"
        assert (await post(it, deep)).status == 400
        big = b'{"select":["' + b"a" * (2 << 20) + b'"]}'
        assert (await post(it, big)).status == 413
        assert acts(p) == []
        assert rows(await post(it, {"limit": 1})).num_rows == 1

    play(tmp_path, story, rooms=True)


def test_rows_of_a_day(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await table(p, limit(f"{COR}rowsPerDay", "lteq", "50"))
        assert rows(await post(it, {"limit": 30})).num_rows == 30
        over = await post(it, {"limit": 30})
        assert problem(over) == (429, "budget-spent", "quota.rows.day")
        assert rows(await post(it, {"limit": 20})).num_rows == 20
        assert problem(await post(it, {"limit": 1}))[0] == 429
        told = [entry for entry in entries(p) if entry["type"] == "receipt"]
        assert sum(entry["counts"]["rows_out"] for entry in told) == 50

    play(tmp_path, story, rooms=True)


def test_the_most_rows_of_one_answer(tmp_path: Path) -> None:
    async def story(p: Pair) -> None:
        it = await table(p, limit(f"{COR}resultRows", "lteq", "10"))
        whole = await post(it, {})  # never cut short in silence
        assert problem(whole) == (403, "query-refused", "rows")
        assert "10" in json.loads(whole.body)["would_pass"]
        over = await post(it, {"limit": 11})
        assert problem(over)[0] == 403
        assert rows(await post(it, {"limit": 10})).num_rows == 10

    play(tmp_path, story, rooms=True)


@pytest.mark.parametrize("change", ["a table more", "a column that cannot be", "gone"])
def test_what_became_of_the_file_is_not_the_consumers_to_know(tmp_path: Path, change: str) -> None:
    async def story(p: Pair) -> None:
        path = p.file("survey.db", b"")
        with closing(sqlite3.connect(path)) as made:
            made.execute(
                "CREATE TABLE survey (region TEXT, year INTEGER, kwh INTEGER, income INTEGER)"
            )
            made.execute("INSERT INTO survey VALUES ('Banat', 2020, 5, 7)")
            made.commit()
        source = {"path": str(path), "format": "sqlite"}
        agreement = await p.agree(agreed(), asset="survey", service="tables", source=source)
        it = await reading(p, agreement)
        assert (await post(it, {"select": ["region"]})).status == 200
        if change == "gone":
            path.unlink()
        else:
            with closing(sqlite3.connect(path)) as made:
                if change == "a table more":
                    made.execute("CREATE TABLE salaries (a TEXT)")
                else:
                    made.execute('ALTER TABLE survey ADD COLUMN "salaries of all" TEXT')
                made.commit()
        for answer in (await post(it, {"select": ["region"]}), await it.get("/../")):
            assert answer.status in (403, 404), answer
            assert b"salaries" not in answer.body
            assert str(path).encode() not in answer.body
        status, code, _ = problem(await post(it, {"select": ["region"]}))
        assert (status, code) == (403, "source-changed")

    play(tmp_path, story, rooms=True)
