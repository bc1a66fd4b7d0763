# SPDX-License-Identifier: Apache-2.0
"""Receipts in a client's hands: verified offline by the vectors of evidence.md 8, kept in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.evidence import ledger_of_three as three
from tests.unit.evidence.test_keys import DID, FIRST, OLD, OTHER, SECOND

from corridor.client.receipts import Receipt, keys_from, load_receipt, verify
from corridor.errors import EvidenceBroken, Invalid
from corridor.evidence.entry import read_leaf
from corridor.evidence.receipt import Seen
from corridor.wire.home import ReceiptView

PROVIDER = read_leaf(three.RECEIPT).entry["provider"]


def document(*keys: Any, did: str = DID) -> dict[str, Any]:
    return {"id": did, "verificationMethod": [{"publicKeyJwk": it.jwk} for it in keys]}


def view(**more: Any) -> ReceiptView:
    told: dict[str, Any] = {
        "id": "r1",
        "deal": "d1",
        "leaf": three.RECEIPT.decode(),
        "proof": three.PROOF,
        "salts": {"request": three.REQUEST_SALT.hex(), "response": three.RESPONSE_SALT.hex()},
        "keys": [FIRST, SECOND],
        "provider": DID,
        "document": document(OLD),
    }
    return ReceiptView(**told | more)


WHOLE = Receipt(
    view=view(), request=three.REQUEST, response=Seen.of(three.RESPONSE_SALT, three.RESPONSE)
)


def test_it_says_what_it_is_of() -> None:
    assert PROVIDER == DID
    assert (WHOLE.id, WHOLE.act, WHOLE.by) == ("r1", "query", DID)
    assert WHOLE.permit_hash == three.PERMIT


def test_it_verifies_and_compares_what_passed_here() -> None:
    verified = WHOLE.verify()
    assert (verified.request, verified.response, verified.index) == (True, True, 2)
    assert not Receipt(view=view()).verify().response


def test_another_answer_is_found() -> None:
    other = Seen.of(three.RESPONSE_SALT, three.RESPONSE + b"!")
    with pytest.raises(EvidenceBroken) as caught:
        replace(WHOLE, response=other).verify()
    assert caught.value.step == 6


def test_another_question_is_found() -> None:
    with pytest.raises(EvidenceBroken) as caught:
        replace(WHOLE, request=b"SELECT 1").verify()
    assert caught.value.step == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"document": document(OTHER)},
        {"document": document(OLD, did="did:web:other.example")},
        {"document": {}},
        {"document": {"id": DID, "verificationMethod": [1]}},
        {"keys": []},
        {"keys": [SECOND]},
        {"keys": ["a.b.c"]},
        {"provider": "did:web:other.example"},
        {"salts": {"response": "no salt"}},
        {"proof": three.PROOF.replace("index 2", "index 1")},
        {"leaf": three.OPENED.decode()},
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(EvidenceBroken):
        replace(WHOLE, view=view(**wrong)).verify()


def test_keys_from_elsewhere_are_believed_instead(tmp_path: Path) -> None:
    path = tmp_path / "did.json"
    path.write_bytes(msgspec.json.encode(document(OLD)))
    kept = replace(WHOLE, view=view(document=document(OTHER)))
    assert kept.verify(keys=path).response
    with pytest.raises(EvidenceBroken):
        WHOLE.verify(keys=document(OTHER))
    with pytest.raises(Invalid):
        keys_from(tmp_path / "missing")


def test_it_is_kept_and_verified_later(tmp_path: Path) -> None:
    path = WHOLE.save(tmp_path / "answer.receipt.json")
    assert load_receipt(path) == WHOLE
    assert verify(path).response
    assert verify(WHOLE).request


@pytest.mark.parametrize("text", ["", "{}", '{"corridor_receipt": 1}', "[1", '{"a": "\\ud800"}'])
def test_a_file_that_holds_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(Invalid):
        load_receipt(path)
