# SPDX-License-Identifier: Apache-2.0
"""Entries and leaves: the ledger of three, and what is refused (T25-T31 of the tamper corpus)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from tests.unit.evidence import ledger_of_three as three

from corridor.errors import CODES, LocalProtocolError, MalformedEvidence
from corridor.evidence import entry, tree
from corridor.limits import Limits

NONCE = bytes(16)
AT = datetime(2027, 3, 1, 8, 0, 0, 999, tzinfo=UTC)


def some(**fields: Any) -> bytes:
    return entry.body(id="1", time=AT, type="decision", nonce=NONCE, **fields)


def test_the_ledger_of_three_leaf_by_leaf() -> None:
    opened = entry.body(
        id="0199a000-0000-7000-8000-000000000000",
        time=AT,
        type=entry.Type.LEDGER_OPENED,
        nonce=NONCE,
        origin=three.ORIGIN,
    )
    concluded = entry.body(
        id="0199a000-0000-7000-8000-000000000001",
        time=datetime(2027, 3, 1, 11, 0, tzinfo=timezone(timedelta(hours=2))),
        type=entry.Type.AGREEMENT_CONCLUDED,
        nonce=b"\x01" * 16,
        agreement="urn:uuid:6f2c1a52-0f6e-4c7e-9a51-2d7c5b0e9f10",
        provider="did:web:stat.example:eg",
        consumer="did:web:cons.example:rs",
        digest=three.AGREEMENT_DIGEST,
        permit=three.PERMIT,
    )
    assert entry.leaf(opened, index=0, number=None, prior=None) == three.OPENED
    assert entry.leaf(concluded, index=1, number=1, prior=None) == three.CONCLUDED
    read = entry.read_leaf(three.RECEIPT)
    assert (read.index, read.number) == (2, 2)
    assert read.prior == tree.leaf_hash(three.CONCLUDED)
    again = entry.canonical(read.entry)
    assert entry.leaf(again, index=2, number=2, prior=read.prior) == three.RECEIPT


@pytest.mark.parametrize("place", range(3))
def test_leaf_hashes_of_the_ledger_of_three(place: int) -> None:
    assert tree.leaf_hash(three.LEAVES[place]).hex() == three.HASHES[place]


def test_slot_digests_of_the_receipt() -> None:
    payloads = entry.read_leaf(three.RECEIPT).entry["payloads"]
    assert entry.slot(three.REQUEST_SALT, three.REQUEST) == payloads["request"]
    assert entry.slot(three.RESPONSE_SALT, three.RESPONSE) == payloads["response"]


def test_threads() -> None:
    assert entry.thread_of({"agreement": "a", "process": "p"}) == "a"
    assert entry.thread_of({"process": "p"}) == "p"
    assert entry.thread_of({"peer": "x"}) is None
    assert entry.thread_of({"agreement": 5, "process": "p"}) is None


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        None,
        float("nan"),
        1 << 53,
        -(1 << 53),
        {"ключ": 1},
        {1: 1},
        [None],
        {"a": [{"b": 0.5}]},
        b"bytes",
        {1, 2},
        datetime(2027, 1, 1, tzinfo=UTC),
        "\ud800",
        {"a": ["\udfff"]},
    ],
    ids=repr,
)
def test_what_no_entry_can_hold(value: Any) -> None:
    with pytest.raises(LocalProtocolError) as told:
        some(field=value)
    assert told.value.code == "entry-unfit"
    assert told.value.code in CODES


def test_depth_and_size_at_the_limit_and_one_above() -> None:
    deep: Any = 1
    for _ in range(Limits().json_depth_max - 1):
        deep = [deep]
    some(field=deep)
    with pytest.raises(LocalProtocolError, match="nested"):
        some(field=[deep])
    room = Limits().entry_bytes_max - len(some(field=""))
    assert len(some(field="x" * room)) == Limits().entry_bytes_max
    with pytest.raises(LocalProtocolError, match="over 16384"):
        some(field="x" * (room + 1))
    with pytest.raises(LocalProtocolError):
        some(field="", limits=replace(Limits(), entry_bytes_max=50))


@pytest.mark.parametrize("word", ["", "A", "two words", "receipt.", "a.b.c", "receipt\n"])
def test_types_are_words(word: str) -> None:
    with pytest.raises(LocalProtocolError):
        entry.body(id="1", time=AT, type=word, nonce=NONCE)


def test_every_type_that_we_write_can_be_written() -> None:
    for word in entry.Type:
        assert b'"type":"%s"' % word.encode() in entry.body(id="1", time=AT, type=word, nonce=NONCE)


@pytest.mark.parametrize("nonce", [b"", bytes(15), bytes(17)])
def test_nonces_have_16_bytes(nonce: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        entry.body(id="1", time=AT, type="decision", nonce=nonce)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"index":2', b'"index": 2'),
        (b'"index":2', b'"index":2.0'),
        (b'"index":2', b'"index":2e0'),
        (b'"index":2', b'"index":-2'),
        (b'"index":2', b'"index":true'),
        (b'"index":2', b'"index":"2"'),
        (b'"index":2,', b""),
        (b'"number":2,', b""),
        (b'"number":2', b'"number":1'),
        (b'"number":2', b'"number":0'),
        (b'"prior":"1d', b'"prior":"1D'),
        (b'"prior":"1d', b'"prior":"'),
        (b'"v":1', b'"v":2'),
        (b'"v":1', b'"v":true'),
        (b',"v":1', b""),
        (b'"v":1', b'"v":1,"v":1'),
        (b'"v":1', b'"v":1,"w":1'),
        (b'"bytes_in":51', b'"bytes_in":51.0'),
        (b'"bytes_in":51', b'"bytes_in":null'),
        (b'"bytes_in":51', b'"bytes_in":9007199254740992'),
        (b'"act":"query"', b'"act":"\\u0071uery"'),
        (b'"act":"query",', b'"act":"query","act":"query",'),
        (b'"act":"query"', b'"\xd1\x84":"query"'),
        (b'"act":"query"', b'"act":"\xff"'),
        (b'"act":"query"', b'"act":"\\ud800"'),
        (b'"nonce":"02020202020202020202020202020202",', b""),
        (b'"type":"receipt"', b'"type":1'),
        (b'"time":"2027-03-01T09:30:00.120Z"', b'"time":"2027-03-01T09:30:00Z"'),
        (b'"time":"2027-03-01', b'"time":"2027-02-30'),
        (b'"time":"2027-03-01T09:30:00.120Z"', '"time":"２027-03-01T09:30:00.120Z"'.encode()),
        (b"}", b"} "),
        (b"{", b"\xef\xbb\xbf{"),
    ],
    ids=repr,
)
def test_leaves_that_differ_a_little_are_refused(old: bytes, new: bytes) -> None:
    assert old in three.RECEIPT
    with pytest.raises(MalformedEvidence):
        entry.read_leaf(three.RECEIPT.replace(old, new, 1))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"1", b"null", b"[" * 50_000, bytes(64), b'{"v":1}', b"\xff"]
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedEvidence):
        entry.read_leaf(data)


def test_leaves_that_are_too_long_are_not_even_parsed() -> None:
    body = some(field="x" * (Limits().entry_bytes_max - len(some(field=""))))
    leaf = entry.leaf(body, index=2**53 - 1, number=2**53 - 1, prior=bytes(32))
    assert entry.read_leaf(leaf).index == 2**53 - 1
    with pytest.raises(MalformedEvidence, match="too long"):
        entry.read_leaf(leaf + b" " * 256)


def test_places_that_cannot_be() -> None:
    for number, prior in ((None, bytes(32)), (1, bytes(32)), (2, None)):
        with pytest.raises(AssertionError):
            entry.leaf(b"{}", index=0, number=number, prior=prior)


def test_times_read_back_to_the_millisecond() -> None:
    at = datetime(2027, 3, 1, 8, 0, 0, 120_999, tzinfo=UTC)
    assert entry.time_of({"time": entry.text_of(at)}) == at.replace(microsecond=120_000)
