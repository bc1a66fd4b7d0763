# SPDX-License-Identifier: Apache-2.0
"""A receipt's check: each thing that may be false fails at its own step, and nothing is skipped
silently."""

from __future__ import annotations

import base64
from hashlib import sha256

import msgspec
import pytest

from corridor.engine.desk import use
from corridor.engine.desk.connection import following
from corridor.engine.desk.receipts import STEPS, _answer, verified
from corridor.evidence.receipt import Seen
from corridor.wire.home import ReceiptView
from corridor.world import Response

SALT = bytes(range(32))


class Given:
    """An answer with these blocks."""

    status = 200

    def __init__(self, headers: dict[str, str], *blocks: bytes) -> None:
        self.headers = headers
        self._blocks = blocks

    async def blocks(self):
        for each in self._blocks:
            yield each


def drain(passing: use.Passing) -> bytes:
    async def all_of() -> bytes:
        return b"".join([each async for each in passing.blocks()])

    coroutine = all_of()
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")


def test_what_passes_is_hashed_both_ways() -> None:
    named = f'"r-1";salt=:{base64.b64encode(SALT).decode()}:'
    link = '<https://p.example/x/data/abcdefgh234567ab/receipts/r-1>; rel="describedby"'
    passing = use.Passing(
        Given({"corridor-receipt": named, "link": link}, b"one", b"two"), act="file"
    )
    assert passing.seen()["whole"] is False
    assert drain(passing) == b"onetwo"
    assert passing.seen() == {
        "act": "file", "bytes": 6, "receipt": "r-1", "salted": sha256(SALT + b"onetwo").hexdigest(),
        "sha256": sha256(b"onetwo").hexdigest(), "sid": "abcdefgh234567ab", "status": 200,
        "whole": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "header",
    ["", "r-1", '"a b"', '"../x"', '"' + "a" * 65 + '"', '"r";salt=:**:', '"r'],
)
def test_a_header_that_is_none_names_nothing(header: str) -> None:
    passing = use.Passing(Given({"corridor-receipt": header} if header else {}), act="file")
    seen = passing.seen()
    assert seen is None or seen["receipt"] == "r"


def test_a_whole_file_is_compared_by_its_record_and_a_part_not_at_all() -> None:
    entry = {"payloads": {"response": {"bytes": 9, "digest": "0" * 64}}}
    seen = {"act": "file", "bytes": 6, "salted": "s", "sha256": "p", "status": 200, "whole": True}
    record = msgspec.json.decode(_answer(entry, seen))
    assert record == {"bytes": 6, "digest": "sha256:p", "size": 6}
    assert _answer(entry, {**seen, "status": 206}) is None
    assert _answer(entry, {**seen, "whole": False}) is None
    assert _answer(entry, {**seen, "act": "query"}) == Seen(6, "s")
    assert _answer(entry, None) is None


@pytest.mark.parametrize("leaf", ["", "{}", "not json", '{"entry":{},"index":0,"v":1}'])
def test_nonsense_does_not_verify_and_says_where(leaf: str) -> None:
    view = ReceiptView(
        id="r", deal="d", leaf=leaf, proof="", salts={"response": "zz"}, keys=["a.b.c"],
        provider="did:web:p.example", document={"verificationMethod": [{"id": "x"}]},
    )  # fmt: skip
    found = verified(view, None)
    assert not found.ok
    assert [it.state for it in found.steps].count("failed") == 1
    assert [it.name for it in found.steps] == list(STEPS)


@pytest.mark.parametrize(
    ("link", "there"),
    [
        ("", ""),
        ('<https://a/next>; rel="next"', "https://a/next"),
        ('<https://a/p>; rel="previous", <https://a/n>; rel="next"', "https://a/n"),
        ("<https://a/n>; rel=next", "https://a/n"),
        ('<https://a/p>; rel="previous"', ""),
        ("nonsense;;;,,rel=next", ""),
    ],
)
def test_the_next_page(link: str, there: str) -> None:
    assert following(Response(status=200, headers={"link": link}, body=b"")) == there
