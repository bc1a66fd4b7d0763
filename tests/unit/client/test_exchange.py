# SPDX-License-Identifier: Apache-2.0
"""Retries and errors of the SDK's flows, against a node that is a list."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.client import listed_node as scripts

from corridor.client import flows
from corridor.client.exchange import RETRY_AFTER_MAX_S, Ask, Got, ask
from corridor.client.problems import error_of
from corridor.codes import CODES
from corridor.errors import (
    BudgetSpent,
    CorridorError,
    Ended,
    Invalid,
    NotAllowed,
    NotReachable,
    NotSignedIn,
    Pending,
    QueryRefused,
    Refused,
    Unreadable,
)

READ = Ask(method="GET", path="/api/v1/node")
LOST = NotReachable("gone", side="home", code="home-unreachable")


def test_a_read_is_tried_three_times_with_jitter() -> None:
    script = scripts.Script(LOST, LOST, scripts.answer({"ok": True}))
    got = script.run(ask(READ, again=True, chance=lambda: 0.5))
    assert got.status == 200
    assert script.paused == [pytest.approx(1.6)] * 2


def test_the_fourth_try_is_never_made() -> None:
    script = scripts.Script(LOST, LOST, LOST, scripts.answer({}))
    with pytest.raises(NotReachable):
        script.run(ask(READ, again=True))
    assert len(script.asked) == 3


def test_what_may_not_be_repeated_is_not() -> None:
    script = scripts.Script(LOST, scripts.answer({}))
    with pytest.raises(NotReachable):
        script.run(ask(READ, again=False))
    assert len(script.asked) == 1


def test_retry_after_is_kept_up_to_its_bound() -> None:
    script = scripts.Script(scripts.problem("try-again", retry_after=7), scripts.answer({}))
    script.run(ask(READ, again=True))
    assert script.paused == [7.0]
    script = scripts.Script(scripts.problem("try-again", retry_after=int(RETRY_AFTER_MAX_S) + 1))
    with pytest.raises(NotReachable):
        script.run(ask(READ, again=True))


def test_a_spent_quota_is_final_at_once() -> None:
    refusal = scripts.problem(
        "budget-spent", rule="quota.requests", resets_at="2026-12-01T00:00:00Z", retry_after=1
    )
    script = scripts.Script(refusal)
    with pytest.raises(BudgetSpent) as caught:
        script.run(ask(READ, again=True))
    assert (caught.value.rule, caught.value.resets_at) == ("quota.requests", "2026-12-01T00:00:00Z")
    assert script.paused == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("not-signed-in", NotSignedIn),
        ("not-allowed", NotAllowed),
        ("query-refused", QueryRefused),
        ("unsupported", QueryRefused),
        ("agreement-withdrawn", Ended),
        ("agreement-ended", Ended),
        ("refused", Refused),
        ("waiting", Pending),
        ("invalid", Invalid),
        ("partner-unreachable", NotReachable),
    ],
)
def test_a_problem_becomes_its_error(code: str, kind: type[CorridorError]) -> None:
    error = error_of(scripts.problem(code, detail="so it is", reference="4c1e-90b7"))
    assert type(error) is kind
    assert (error.code, error.what, error.reference) == (code, "so it is", "4c1e-90b7")


def test_every_code_becomes_an_error_that_keeps_it() -> None:
    for code, known in CODES.items():
        error = error_of(scripts.problem(code))
        assert error.code == code
        assert CODES[error.code].exit == known.exit


def test_what_a_refusal_knows_is_kept() -> None:
    error = error_of(scripts.problem("query-refused", rule="columns", would_pass="country"))
    assert isinstance(error, QueryRefused)
    assert (error.rule, error.would_pass) == ("columns", "country")
    told = {"path": "allow[0]", "message": "no", "code": "terms-action", "line": 7}
    fault = error_of(scripts.problem("invalid", errors=[told]))
    assert isinstance(fault, Invalid)
    assert [(it.path, it.line, it.code) for it in fault.problems] == [
        ("allow[0]", 7, "terms-action")
    ]


@given(st.binary(max_size=200), st.integers(400, 599))
def test_any_answer_becomes_an_error(body: bytes, status: int) -> None:
    assert isinstance(error_of(Got(status=status, headers={}, body=body)), CorridorError)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda it: st.lists(it) | st.dictionaries(st.sampled_from(["code", "detail", "errors", "rule", "instance", "path", "line"]), it), max_leaves=8))  # fmt: skip
def test_any_document_becomes_an_error(document: Any) -> None:
    try:
        body = msgspec.json.encode(document)
    except (OverflowError, UnicodeEncodeError):
        return
    assert isinstance(error_of(Got(status=409, headers={}, body=body)), CorridorError)
    named = document if isinstance(document, dict) else {}
    body = msgspec.json.encode({**named, "code": "invalid"})
    assert error_of(Got(status=400, headers={}, body=body)).code == "invalid"


# operations


def test_the_participant_is_learned_once() -> None:
    me = {"user": "1", "name": "Lena", "roles": {"institute": ["analyst"]}}
    script = scripts.Script(scripts.answer(me), scripts.answer({"items": []}))
    line = flows.Line()
    script.run(flows.page(line, "partners", {}, None))
    assert line.participant == "institute"
    assert script.asked[1].path == "/api/v1/p/institute/peers"
    script.turns = [scripts.answer({"items": []})]
    script.run(flows.page(line, "partners", {}, "x"))
    assert script.asked[-1].query == {"limit": "100", "after": "x"}


def test_several_participants_must_be_named() -> None:
    me = {"user": "1", "name": "Lena", "roles": {"a": ["analyst"], "b": ["analyst"]}}
    with pytest.raises(NotAllowed) as caught:
        scripts.Script(scripts.answer(me)).run(flows.slug(flows.Line()))
    assert "a, b" in caught.value.cause


def test_names_are_one_segment_but_paths_keep_their_slashes() -> None:
    names = {"participant": "stat", "id": "urn:uuid:1/2", "path": "a b/c"}
    assert (
        flows.path_of("file", names) == "/api/v1/p/stat/agreements/urn%3Auuid%3A1%2F2/files/a%20b/c"
    )


def test_what_changes_something_carries_a_key_that_stays() -> None:
    script = scripts.Script(LOST, scripts.answer({"id": "1"}))
    script.turns[1] = scripts.answer(
        {"kid": "k", "use": "dsp", "alg": "ES256", "state": "next", "public": "", "created": "",
         "valid_from": None, "valid_until": None}
    )  # fmt: skip
    script.run(flows.call(flows.Line("stat"), "key.rotate", body=None))
    first, second = script.asked
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert len(first.headers["idempotency-key"]) == 32


def test_an_answer_of_another_shape_is_unreadable() -> None:
    script = scripts.Script(scripts.answer({"version": 1}))
    with pytest.raises(Unreadable):
        script.run(flows.call(flows.Line(), "node"))
