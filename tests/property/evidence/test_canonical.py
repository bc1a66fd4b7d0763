# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON agrees with RFC 8785, and readers raise MalformedEvidence and nothing else."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from corridor.errors import MalformedEvidence
from corridor.evidence import entry

KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
BODY = entry.body(
    id="1", time=datetime(2027, 3, 1, tzinfo=UTC), type="receipt", nonce=bytes(16), text="é\n"
)
LEAF = entry.leaf(BODY, index=7, number=3, prior=bytes(32))


@given(VALUES)
def test_canonical_is_rfc_8785_and_reads_back(value: Any) -> None:
    data = entry.canonical(value)
    assert data == rfc8785.dumps(value)
    assert entry.read_canonical(data) == value


@given(st.dictionaries(st.from_regex(r"[a-z_]{3,9}", fullmatch=True), VALUES, max_size=5))
def test_a_body_reads_back_out_of_its_leaf(fields: dict[str, Any]) -> None:
    own = {"id", "time", "type", "nonce", "limits"}
    fields = {key: it for key, it in fields.items() if key not in own}
    data = entry.body(
        id="1", time=datetime(2027, 3, 1, tzinfo=UTC), type="receipt", nonce=bytes(16), **fields
    )
    read = entry.read_leaf(entry.leaf(data, index=0, number=None, prior=None))
    assert {key: it for key, it in read.entry.items() if key not in own} == fields


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(MalformedEvidence):
        entry.read_leaf(data)


@given(st.data())
def test_bytes_near_a_leaf(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(LEAF)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.binary(max_size=3) | st.sampled_from([b"\\u0041", b"1.0", b'"', b" ", b"{"]))
    changed = LEAF[:at] + put + LEAF[at + cut :]
    with contextlib.suppress(MalformedEvidence):
        read = entry.read_leaf(changed)
        again = entry.leaf(
            entry.canonical(read.entry), index=read.index, number=read.number, prior=read.prior
        )
        assert again == changed, "what is read is exactly what we would write"
