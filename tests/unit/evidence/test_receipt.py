# SPDX-License-Identifier: Apache-2.0
"""Receipts: the tlog-proof of the vectors, every step that can fail, and what builders refuse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.evidence import ledger_of_three as three
from tests.unit.evidence.test_note import MLDSA_VKEY, TEXT, cosignature_line, log_line

from corridor.errors import EvidenceBroken, LocalProtocolError, MalformedEvidence
from corridor.evidence import entry, note, receipt, tree

SALTS = {"request": three.REQUEST_SALT, "response": three.RESPONSE_SALT}
AT = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
ACT = receipt.Act(
    act="query",
    agreement="urn:uuid:6f2c1a52-0f6e-4c7e-9a51-2d7c5b0e9f10",
    permit=three.PERMIT,
    session="0193c1f0",
    provider="did:web:stat.example:eg",
    consumer="did:web:cons.example:rs",
    purpose="official-statistics",
    rule="allow-1",
    actor="a1",
)
ASKED = receipt.Seen.of(three.REQUEST_SALT, three.REQUEST)
ANSWERED = receipt.Seen.of(three.RESPONSE_SALT, three.RESPONSE)


def check(leaf: bytes = three.RECEIPT, proof: str = three.PROOF, **given: Any) -> receipt.Verified:
    told: dict[str, Any] = {
        "vkeys": [three.LOG_VKEY, three.WITNESS_VKEY],
        "origin": three.ORIGIN,
        "request": three.REQUEST,
        "response": three.RESPONSE,
        "salts": SALTS,
    } | given
    return receipt.verify(leaf, proof, **told)


def test_the_proof_of_the_vectors_byte_for_byte() -> None:
    tiles, root = tree.append(lambda level, n: b"", 0, [tree.leaf_hash(it) for it in three.LEAVES])
    path = tree.inclusion(lambda *at: tiles[at], 2, 3)
    signed = note.note(note.checkpoint(three.ORIGIN, 3, root), [log_line(), cosignature_line()])
    assert receipt.proof(2, path, signed) == three.PROOF


def test_the_receipt_of_the_vectors_verifies() -> None:
    found = check()
    assert (found.index, found.number, found.size) == (2, 2, 3)
    assert found.leaf_hash.hex() == three.HASHES[2]
    assert (found.request, found.response) == (True, True)
    assert found.cosigned == (note.Cosigned(three.WITNESS, three.COSIGNED_AT),)
    assert found.time == datetime(2027, 3, 1, 9, 30, 0, 120_000, tzinfo=UTC)
    assert found.entry["outcome"] == "answered"


def test_what_is_not_given_is_not_said_to_be_checked() -> None:
    found = check(request=None, response=None, salts=None)
    assert (found.request, found.response) == (False, False)


def test_a_stream_is_compared_by_what_was_measured_on_the_way() -> None:
    assert check(request=ASKED, response=ANSWERED, salts=None).response
    with pytest.raises(EvidenceBroken) as told:
        check(response=replace(ANSWERED, length=33), salts=SALTS)
    assert told.value.step == 6


@pytest.mark.parametrize(
    ("step", "given"),
    [
        (1, {"leaf": three.RECEIPT + b" "}),
        (1, {"leaf": three.CONCLUDED}),
        (1, {"leaf": three.RECEIPT.replace(b'"02020202', b'"0202')}),
        (2, {"proof": three.PROOF.replace("index 2", "index 1")}),
        (2, {"proof": three.PROOF.replace("index 2", "index 02")}),
        (2, {"proof": three.PROOF.replace("\n3\n", "\n03\n")}),
        (2, {"proof": ""}),
        (3, {"origin": "stat.example/eg/ledger/2"}),
        (3, {"vkeys": []}),
        (3, {"vkeys": [three.LOG_VKEY, MLDSA_VKEY]}),
        (3, {"vkeys": [three.WITNESS_VKEY]}),
        (3, {"vkeys": ["nonsense"]}),
        (3, {"proof": three.PROOF.replace("\n3\n", "\n4\n")}),
        (3, {"proof": three.PROOF.replace("jCDCax", "jCDCay")}),
        (4, {"leaf": three.RECEIPT.replace(b'"rows_out":2', b'"rows_out":1')}),
        (4, {"proof": three.PROOF.replace("J6H3", "J6H4")}),
        (4, {"proof": three.PROOF.replace("J6H3LqZLd26ULcwkoT2N6SUp4osNOlO9IWgFVKAfVY4=\n", "")}),
        (5, {"request": three.REQUEST + b" "}),
        (5, {"request": b""}),
        (5, {"salts": {"response": three.RESPONSE_SALT}}),
        (5, {"salts": {**SALTS, "request": b"\x11" * 31}}),
        (6, {"response": three.RESPONSE[:-1]}),
        (6, {"salts": {**SALTS, "response": three.REQUEST_SALT}}),
    ],
)
def test_the_failing_step_is_named(step: int, given: Mapping[str, Any]) -> None:
    assert given.get("proof") != three.PROOF
    assert given.get("leaf") != three.RECEIPT
    with pytest.raises(EvidenceBroken) as told:
        check(**given)
    assert told.value.step == step


def placed(body: bytes) -> tuple[bytes, str]:
    """The body as only leaf of a ledger, with its proof."""
    leaf = entry.leaf(body, index=0, number=1, prior=None)
    text = note.checkpoint(three.ORIGIN, 1, tree.leaf_hash(leaf))
    return leaf, receipt.proof(0, [], note.note(text, [log_line(text)]))


def made(**given: Any) -> bytes:
    told: dict[str, Any] = {
        "id": "r1",
        "time": AT,
        "nonce": bytes(16),
        "outcome": receipt.Outcome.ANSWERED,
        "started": AT,
        "counts": {"bytes_in": 51, "bytes_out": 31, "rows_out": 2},
        "request": ASKED,
        "response": ANSWERED,
        "budget": {"queries": 1, "epsilon_micro": 250_000},
        "disclosure": {"level": "L2", "groups": 2, "rest": False},
        "started_as": "s1",
        "beside": {"status": 200},
    } | given
    return receipt.receipt(ACT, **told)


def test_what_we_build_verifies_and_holds_every_field() -> None:
    leaf, proof = placed(made())
    found = check(leaf, proof)
    assert found.entry == {
        "act": "query",
        "actor": "a1",
        "agreement": ACT.agreement,
        "budget": {"epsilon_micro": 250_000, "queries": 1},
        "consumer": ACT.consumer,
        "counts": {"bytes_in": 51, "bytes_out": 31, "rows_out": 2},
        "disclosure": {"groups": 2, "level": "L2", "rest": False},
        "id": "r1",
        "nonce": "00" * 16,
        "outcome": "answered",
        "payloads": {
            "request": {"bytes": ASKED.length, "digest": ASKED.digest},
            "response": {"bytes": ANSWERED.length, "digest": ANSWERED.digest},
        },
        "permit": three.PERMIT,
        "provider": ACT.provider,
        "purpose": "official-statistics",
        "rule": "allow-1",
        "session": "0193c1f0",
        "started": "2027-03-01T09:30:00.000Z",
        "started_as": "s1",
        "status": 200,
        "time": "2027-03-01T09:30:00.000Z",
        "type": "receipt",
    }


def test_an_act_begins_and_a_crash_leaves_no_digest() -> None:
    body = receipt.started(
        ACT,
        id="s1",
        time=AT,
        nonce=bytes(16),
        request=ASKED,
        budget={"bytes": 10, "currency": "EUR"},
        bytes_max=1 << 20,
    )
    told = entry.read_leaf(entry.leaf(body, index=0, number=1, prior=None)).entry
    assert (told["type"], told["bytes_max"], told["budget"]["bytes"]) == (
        "act.started",
        1 << 20,
        10,
    )
    assert "response" not in told["payloads"]
    leaf, proof = placed(made(outcome=receipt.Outcome.UNKNOWN, response=None))
    assert check(leaf, proof, response=None).entry["outcome"] == "unknown"
    with pytest.raises(EvidenceBroken, match="no digest of the response"):
        check(leaf, proof)
    with pytest.raises(EvidenceBroken) as refused:
        check(*placed(body), response=None)
    assert refused.value.step == 1


def test_many_small_acts_close_with_a_root() -> None:
    leaf, proof = placed(made(response=None, acts=3, acts_root=bytes(32)))
    assert check(leaf, proof, response=None).entry["acts_root"] == "00" * 32


@pytest.mark.parametrize(
    "given",
    [
        {"response": None},
        {"outcome": receipt.Outcome.UNKNOWN},
        {"acts": 3},
        {"acts_root": bytes(32)},
        {"counts": {"bytes_out": -1}},
        {"counts": {"hidden": 3}},
        {"budget": {"epsilon": 1}},
        {"budget": {"epsilon_micro": 0.25}},
        {"disclosure": {"suppressed": 0}},
        {"beside": {"withheld": 3}},
    ],
)
def test_receipts_that_may_not_be_written(given: Mapping[str, Any]) -> None:
    with pytest.raises(LocalProtocolError) as told:
        made(**given)
    assert told.value.code == "entry-unfit"


def test_acts_that_may_not_be_written() -> None:
    for act in (replace(ACT, act="walk"), replace(ACT, permit="00")):
        with pytest.raises(LocalProtocolError):
            receipt.started(act, id="s", time=AT, nonce=bytes(16), request=ASKED)


def test_an_extra_line_is_read_and_dropped() -> None:
    assert check(proof=three.PROOF.replace("index", "extra Zm9v\nindex")).index == 2
    with pytest.raises(MalformedEvidence):
        receipt.read_proof(three.PROOF.replace("index", "extra %\nindex"))


def test_paths_at_the_limit_and_one_above() -> None:
    line = "J6H3LqZLd26ULcwkoT2N6SUp4osNOlO9IWgFVKAfVY4=\n"
    assert len(receipt.read_proof(three.PROOF.replace(line, line * 63)).path) == 63
    with pytest.raises(MalformedEvidence, match="longer than any tree"):
        receipt.read_proof(three.PROOF.replace(line, line * 64))
    with pytest.raises(MalformedEvidence, match="too long"):
        receipt.read_proof(three.PROOF + " " * (256 << 10))


def test_importing_it_is_light() -> None:
    """The SDK verifies receipts: no web framework, no store, no loop comes along."""
    heavy = ("sqlalchemy", "aiohttp", "starlette", "asyncio", "pyarrow", "duckdb", "sqlite3")
    code = (
        "import sys, corridor.evidence.receipt, corridor.evidence.keys;"
        f"print([it for it in {heavy!r} if it in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_note_of_the_proof_is_the_checkpoint() -> None:
    assert receipt.read_proof(three.PROOF).note.text == TEXT
