# SPDX-License-Identifier: Apache-2.0
"""Readers of notes, proofs, keys and statements raise MalformedEvidence and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.evidence import ledger_of_three as three
from tests.unit.evidence.test_keys import DID, FIRST, OLD

from corridor.errors import EvidenceBroken, MalformedEvidence
from corridor.evidence import keys, note, receipt

READERS: list[tuple[Callable[[str], Any], str]] = [
    (lambda it: note.Note.parse(it.encode("utf-8", "surrogatepass")), three.PROOF[100:]),
    (receipt.read_proof, three.PROOF),
    (note.VerifierKey.parse, three.LOG_VKEY),
    (keys.read_statement, FIRST),
    (note.origin, DID),
]
TEXT = st.text(st.characters(), max_size=60)


@pytest.mark.parametrize(("reads", "good"), READERS)
@given(data=st.data())
def test_only_malformed_evidence_comes_out(
    reads: Callable[[str], Any], good: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(0, 40))
    put = data.draw(TEXT)
    for text in (put, good[:at] + put + good[at + cut :]):
        with contextlib.suppress(MalformedEvidence):
            reads(text)


@given(st.integers(0, len(FIRST) - 1), st.characters(codec="ascii"))
def test_no_changed_statement_verifies(at: int, sign: str) -> None:
    changed = FIRST[:at] + sign + FIRST[at + 1 :]
    if changed != FIRST:
        with pytest.raises((MalformedEvidence, EvidenceBroken)):
            keys.verify_chain([changed], did=DID, did_keys=[OLD.jwk])


@given(st.integers(0, len(three.RECEIPT) - 1), st.integers(0, 255))
def test_no_changed_receipt_verifies(at: int, byte: int) -> None:
    changed = three.RECEIPT[:at] + bytes([byte]) + three.RECEIPT[at + 1 :]
    if changed != three.RECEIPT:
        with pytest.raises(EvidenceBroken):
            receipt.verify(changed, three.PROOF, vkeys=[three.LOG_VKEY], origin=three.ORIGIN)
