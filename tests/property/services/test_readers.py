# SPDX-License-Identifier: Apache-2.0
"""Whatever a consumer sends: it is read, or refused by one of our codes, and nothing else happens."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corridor.errors import CorridorError, Invalid, NotFound, QueryRefused
from corridor.limits import Limits
from corridor.rooms import seccomp
from corridor.services.files import place, ranges
from corridor.services.tables import question
from corridor.services.tables.work import sql

LIMITS = Limits()
KINDS = ("integer", "number", "decimal", "text", "boolean", "date", "time", "timestamp", "instant")

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
dates = st.dates().map(str) | st.datetimes().map(lambda it: it.isoformat()) | st.times().map(str)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "select": st.lists(st.text(max_size=8)) | values,
        "where": st.lists(
            st.tuples(st.text(max_size=8), st.sampled_from(question.OPERATORS) | st.text(), values)
        )
        | values,
        "order": st.lists(st.text() | st.tuples(st.text(), st.sampled_from(["asc", "desc", "x"]))),
        "limit": values,
        "purpose": values,
        "sql": values,
    },
)


def refused(error: CorridorError, *codes: str) -> None:
    assert error.code in codes


@given(st.binary(max_size=300) | bodies.map(lambda it: json.dumps(it).encode()))
@example(b"[" * 10_000)
@example(b'{"where": [["a", "=", "\\ud800"]]}')
def test_a_body_is_read_or_refused(body: bytes) -> None:
    try:
        asked = question.read(body, LIMITS)
    except (Invalid, QueryRefused) as error:
        refused(error, "query", "unsupported")
    else:
        assert set(asked.uses(["d"])) >= set(asked.selected(["d"]))


@given(st.sampled_from(KINDS), st.sampled_from(question.OPERATORS), values | dates)
def test_a_value_is_typed_or_refused_and_then_binds(kind: str, op: str, value: Any) -> None:
    listed = value if isinstance(value, list) and value else [value]
    asked = question.Question(where=[("c", op, listed if op == "in" else value)])
    try:
        (condition,) = question.conditions(asked, {"c": kind})
    except Invalid as error:
        refused(error, "query-type")
        return
    told = [["own", kind, op, list(condition.values)]]
    text, bound = sql.where(told, sql.DuckDB())
    assert text.count("?") == len(bound) == (0 if condition.values == (None,) else len(listed))
    text, bound = sql.where(told, sql.SQLite({"own": "BIGINT"}))
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE TABLE t (own)")
        connection.execute(f"SELECT * FROM t{text}", bound).fetchall()
    finally:
        connection.close()


@given(st.text(max_size=40))
@example('"; DROP TABLE t; --')
@example('a"b\0c')
def test_a_name_stays_a_name(name: str) -> None:
    quoted = sql.quoted(name)
    inner = quoted[1:-1].replace('""', "")
    assert quoted[0] == quoted[-1] == '"'
    assert '"' not in inner
    assert quoted[1:-1].replace('""', '"') == name


@given(st.text(max_size=60))
@example("year in (")
@example("year = '")
def test_a_row_filter_is_typed_or_refused(predicate: str) -> None:
    try:
        question.row_filter([predicate], {"year": "integer"})
    except Invalid as error:
        refused(error, "row-filter")


@given(
    st.text(max_size=40) | st.from_regex(r"bytes=[0-9]{0,12}-[0-9]{0,12}", fullmatch=True),
    st.text(max_size=20),
    st.integers(0, 10_000),
)
def test_a_range_lies_inside_the_file(text: str, tag: str, size: int) -> None:
    for name in ("if-range", "if-match", "if-none-match", "nothing"):
        found = ranges.part({"range": text, name: tag}, etag='"e"', size=size)
        assert found.status in {200, 206, 304, 412, 416}
        assert 0 <= found.start <= found.stop <= size
        if found.status == 206:
            assert found.start < found.stop


@given(st.text(max_size=60))
@example("../x")
@example("a/../../x")
@example("a//b")
def test_a_name_of_a_file_leads_down(name: str) -> None:
    try:
        plain = place.checked(name, 50)
    except NotFound:
        return
    assert not {"", ".", ".."} & set(plain.split("/"))
    assert len(plain.encode()) <= 50


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_lands_inside_it(machine: str) -> None:
    code = seccomp.program(machine)
    ops = [code[at : at + 8] for at in range(0, len(code), 8)]
    assert len(ops) < 4096
    for at, op in enumerate(ops):
        number, yes, no = int.from_bytes(op[:2], "little"), op[2], op[3]
        if number in {0x15, 0x45}:
            assert at + 1 + max(yes, no) < len(ops)
    assert int.from_bytes(ops[-1][:2], "little") == 0x06
