# SPDX-License-Identifier: Apache-2.0
"""Rows: asked once, measured while they pass, whole or not at all."""

from __future__ import annotations

import base64
import json

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.client import listed_node as scripts

from corridor.client import result
from corridor.client.exchange import Got
from corridor.client.flows import Line
from corridor.client.receipts import Gauge, Promised
from corridor.errors import NotReachable, QueryRefused
from corridor.evidence.receipt import Seen

SALT = bytes(range(32))
TABLE = pa.table({"country": ["Brazil", "<b>China</b>"], "persons": [1, 2]})


def stream(table: pa.Table = TABLE) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def head() -> Got:
    told = f'"r1";salt=:{base64.b64encode(SALT).decode()}:'
    return Got(status=200, headers={"corridor-receipt": told})


def ask(script: scripts.Script) -> result.Answer:
    asked = result.question(["country"], where=[("year", "=", 2025)], order=["-persons"], limit=2)
    return script.run(result.ask_rows(Line("institute"), "urn:uuid:1", asked))


def test_rows_come_whole_and_measured() -> None:
    data = stream()
    script = scripts.Script((head(), [data[:100], data[100:]]))
    answer = ask(script)
    rows = result.Rows(answer, deal="d")
    assert rows.to_arrow().equals(TABLE)
    assert rows.columns == ["country", "persons"]
    assert rows.rows == 2
    assert answer.seen == Seen.of(SALT, data)
    assert json.loads(script.asked[0].body) == {
        "select": ["country"],
        "where": [["year", "=", 2025]],
        "order": [["persons", "desc"]],
        "limit": 2,
    }


def test_an_answer_that_broke_is_not_asked_again() -> None:
    lost = NotReachable("cut", side="home", code="home-unreachable")
    script = scripts.Script((head(), [stream()[:50], lost]))
    with pytest.raises(NotReachable) as caught:
        ask(script)
    assert caught.value.reference == "r1"
    assert len(script.asked) == 1


def test_a_refusal_of_a_question_is_raised() -> None:
    refusal = scripts.problem("query-refused", rule="columns", would_pass="country, year")
    with pytest.raises(QueryRefused) as caught:
        ask(scripts.Script(refusal))
    assert caught.value.would_pass == "country, year"


def test_rows_go_into_other_libraries() -> None:
    rows = result.Rows(ask(scripts.Script((head(), [stream()]))), deal="d")
    assert rows.to_polars().to_dicts() == TABLE.to_pylist()
    assert pl.from_arrow(pa.table(rows)).shape == (2, 2)
    assert list(rows.to_pandas()["persons"]) == [1, 2]
    assert sum(it.num_rows for it in rows.batches()) == 2


def test_a_notebook_shows_text_escaped() -> None:
    shown = result.Rows(ask(scripts.Script((head(), [stream()]))), deal="d")._repr_html_()
    assert "&lt;b&gt;China" in shown
    assert "<b>" not in shown


@given(st.text(max_size=100))
def test_any_receipt_header_is_read_or_none(header: str) -> None:
    found = Promised.read(header)
    assert found is None or found.id


@given(st.lists(st.binary(max_size=50)))
def test_a_gauge_measures_like_the_ledger(blocks: list[bytes]) -> None:
    gauge = Gauge(Promised("r", SALT))
    for block in blocks:
        gauge.take(block)
    assert gauge.seen() == Seen.of(SALT, b"".join(blocks))
