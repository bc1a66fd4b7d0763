# SPDX-License-Identifier: Apache-2.0
"""The home face's tables agree with each other, and its errors say what they were made to say."""

from __future__ import annotations

import inspect

import msgspec
import pytest

from corridor import errors
from corridor.codes import CODES
from corridor.errors import (
    BudgetSpent,
    CorridorError,
    Ended,
    Invalid,
    NotSignedIn,
    PeerMustWait,
    Pending,
    Problem,
    QueryRefused,
)
from corridor.http import problems
from corridor.http.asked import read_body, read_limit, read_query
from corridor.http.openapi import openapi
from corridor.http.roles import ROLES
from corridor.http.routes import ARole, Call, Route, Table
from corridor.limits import Limits
from corridor.wire.home import OPERATIONS, PROBLEM, Operation, PartnerAsk, ProblemBody, ReasonAsk

LIMITS = Limits()
PEOPLE = {"operator", "steward", "analyst", "auditor"}


def leaves() -> list[type[CorridorError]]:
    found = [it for _, it in inspect.getmembers(errors, inspect.isclass)]
    return [it for it in found if issubclass(it, CorridorError)]


def call(query: str = "") -> Call:
    scope = {"method": "GET", "path": "/", "query_string": query.encode()}
    return Call(scope, None, None, {})  # type: ignore[arg-type]  # nobody listens


def test_every_operation_says_who_may() -> None:
    assert ROLES.keys() == OPERATIONS.keys()
    assert all(isinstance(it, ARole) and it.roles <= PEOPLE for it in ROLES.values())
    changing = {name for name, it in OPERATIONS.items() if it.method in ("POST", "PUT", "DELETE")}
    open_to_all = {name for name in changing if not ROLES[name].roles}
    assert open_to_all == {"explain"}  # it asks, and changes nothing
    assert all("auditor" not in ROLES[name].roles for name in changing - _READING)


_READING = {"explain", "ledger.verify", "receipt.verify"}


def test_no_two_operations_share_a_path() -> None:
    places = {(it.method, it.path) for it in OPERATIONS.values()}
    assert len(places) == len(OPERATIONS)


def test_the_document_has_every_operation_body_and_code() -> None:
    document = openapi("1.2.3")
    assert document == openapi("1.2.3")
    listed = {it["operationId"]: it for path in document["paths"].values() for it in path.values()}
    assert listed.keys() == OPERATIONS.keys()
    for name, it in listed.items():
        assert set(it["x-roles"]) == ROLES[name].roles
    problem = document["components"]["responses"]["Problem"]
    assert set(CODES) <= set(
        problem["description"].removeprefix("an error; its codes: ").split(", ")
    )
    assert problem["content"][PROBLEM]["schema"]["$ref"].endswith("ProblemBody")
    text = msgspec.json.encode(document).decode()
    schemas = document["components"]["schemas"]
    for reference in text.split('"#/components/schemas/')[1:]:
        assert reference.partition('"')[0] in schemas


@pytest.mark.parametrize("kind", leaves(), ids=lambda it: it.__name__)
def test_every_error_has_a_status_and_a_body_that_reads_back(kind: type[CorridorError]) -> None:
    try:
        error = kind("what")
    except TypeError:
        assert inspect.isabstract(kind) or kind.__name__ == "ProtocolError"
        return
    status = problems.status_of(error)
    body = msgspec.json.decode(problems.body_of(error, status), type=ProblemBody)
    assert 400 <= status <= 504
    assert (body.status, body.code, body.detail) == (status, error.code, "what")


@pytest.mark.parametrize(
    ("error", "status", "field", "value"),
    [
        (NotSignedIn("x"), 401, "mend", CODES["not-signed-in"].mend),
        (QueryRefused("x", would_pass="count"), 403, "would_pass", "count"),
        (BudgetSpent("x", resets_at="2027"), 429, "resets_at", "2027"),
        (Pending("x", waiting_for="stat"), 409, "waiting_for", "stat"),
        (Ended("x", code="agreement-withdrawn", why="law"), 403, "why", "law"),
        (PeerMustWait("x"), 503, "code", "try-again"),
    ],
)
def test_errors_tell_their_own(error: CorridorError, status: int, field: str, value: str) -> None:
    assert problems.status_of(error) == status
    assert msgspec.json.decode(problems.body_of(error, status))[field] == value


def test_all_faults_are_told() -> None:
    error = Invalid("x", problems=[Problem("a", "m", "c", line=3, source="s", mend="do")])
    (told,) = msgspec.json.decode(problems.body_of(error, 400))["errors"]
    assert told == {
        "path": "a", "message": "m", "code": "c", "line": 3, "source": "s", "mend": "do",
    }  # fmt: skip


def test_a_query_holds_known_words_once() -> None:
    operation = Operation("GET", "/x", None, None, "", ("limit", "kind"))
    assert read_query(call("limit=5&kind=a%20b"), operation) == {"limit": "5", "kind": "a b"}
    for wrong in ("colour=red", "kind=a&kind=b", "&".join(["kind=a"] * 40), "kind=" + "a" * 9000):
        with pytest.raises(Invalid):
            read_query(call(wrong), operation)


@pytest.mark.parametrize(("text", "count"), [("", 100), ("1", 1), ("200", 200)])
def test_limits_of_a_page(text: str, count: int) -> None:
    assert read_limit({"limit": text}, LIMITS) == count


@pytest.mark.parametrize("text", ["0", "201", "-1", "1.5", "x", "9" * 30])
def test_no_other_limits(text: str) -> None:
    with pytest.raises(Invalid):
        read_limit({"limit": text}, LIMITS)


def test_bodies_are_read_strictly_and_may_be_empty_where_nothing_is_needed() -> None:
    reason = Operation("POST", "/x", ReasonAsk, None, "")
    assert read_body(b"", reason, LIMITS) == ReasonAsk()
    assert read_body(b'{"reason": "r"}', reason, LIMITS).reason == "r"
    for wrong, path in (
        (b'{"reason": 5}', "$.reason"),
        (b"[]", "$"),
        (b'{"dry_run": "yes"}', "$.dry_run"),
    ):
        with pytest.raises(Invalid) as refused:
            read_body(wrong, reason, LIMITS)
        assert [it.path for it in refused.value.problems] == [path]
    for wrong in (b"{", b'{"did":"a","did":"b"}', b"\xff", b"[" * 5000):
        with pytest.raises(Invalid):
            read_body(wrong, Operation("POST", "/x", PartnerAsk, None, ""), LIMITS)


def test_paths_are_found() -> None:
    table = Table([Route(it.method, it.path, _nothing, ROLES[n]) for n, it in OPERATIONS.items()])
    for method, path, name, names in (
        ("POST", "/api/v1/p/stat/assets:look", "asset.look", {"participant": "stat"}),
        ("GET", "/api/v1/p/stat/agreements/d/files", "file", {"path": ""}),
        ("GET", "/api/v1/p/stat/agreements/d/files/a/b", "file", {"path": "a/b"}),
        ("GET", "/api/v1/p/stat/agreements/d", "deal", {"id": "d"}),
    ):
        found = table.find(method, path)
        assert found is not None
        assert found[0].path == OPERATIONS[name].path
        assert names.items() <= found[1].items()
    assert table.find("DELETE", "/api/v1/p/stat/agreements/d") is None


async def _nothing(_: Call) -> None:
    return
