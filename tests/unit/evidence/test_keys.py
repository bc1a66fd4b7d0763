# SPDX-License-Identifier: Apache-2.0
"""Key statements: a chain over a rotation of the DID key, and T7-T11 of the corpus."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from tests.unit.evidence import ledger_of_three as three

from corridor.errors import EvidenceBroken, MalformedEvidence
from corridor.evidence import keys, note

DID = "did:web:stat.example:eg"
AT = datetime(2027, 3, 1, tzinfo=UTC)


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class DidKey:
    """A P-256 key out of a small number."""

    def __init__(self, number: int) -> None:
        self.private = ec.derive_private_key(number, ec.SECP256R1())
        it = self.private.public_key().public_numbers()
        self.jwk = {
            "crv": "P-256",
            "kty": "EC",
            "x": b64(it.x.to_bytes(32, "big")),
            "y": b64(it.y.to_bytes(32, "big")),
        }

    def sign(self, data: bytes) -> bytes:
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


OLD, NEW, OTHER = DidKey(11), DidKey(12), DidKey(13)
LOG_TWO = note.vkey(three.ORIGIN, "Ed25519", bytes(range(32)))


def say(signer: DidKey, seq: int, previous: str | None, *stated: DidKey, **given: Any) -> str:
    told: dict[str, Any] = {
        "kid": f"{DID}#key",
        "did": DID,
        "origin": three.ORIGIN,
        "logs": [three.LOG_VKEY],
        "witnesses": [three.WITNESS_VKEY],
        "did_keys": [it.jwk for it in stated],
        "since": AT,
        "revoked": [],
    } | given
    data = keys.statement_input(seq=seq, previous=previous, **told)
    return keys.statement(data, signer.sign(data))


FIRST = say(OLD, 1, None, OLD)
SECOND = say(OLD, 2, FIRST, OLD, NEW)
THIRD = say(NEW, 3, SECOND, NEW, logs=[LOG_TWO])
CHAIN = [FIRST, SECOND, THIRD]


def verified(chain: list[str], *trusted: DidKey, did: str = DID) -> keys.Stated:
    return keys.verify_chain(chain, did=did, did_keys=[it.jwk for it in trusted])


def test_a_statement_reads_back() -> None:
    read = keys.read_statement(SECOND)
    assert (read.did, read.seq, read.previous) == (DID, 2, keys.digest(FIRST))
    assert read.did_keys == (OLD.jwk, NEW.jwk)
    assert (read.logs, read.since) == ((three.LOG_VKEY,), AT)


def test_a_chain_over_a_rotation() -> None:
    for trusted in (OLD, NEW):
        stated = verified(CHAIN, trusted)
        assert stated.vkeys == (LOG_TWO, three.LOG_VKEY), "newest first"
        assert stated.origin == three.ORIGIN
    assert verified([FIRST], OLD).vkeys == (three.LOG_VKEY,)


def test_keys_of_the_did_document_of_another_kind_are_passed_over() -> None:
    trusted: list[Mapping[str, Any]] = [
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "?", "y": 5},
        {},
        {**OLD.jwk, "kid": "more", "alg": "ES256"},
    ]
    assert keys.verify_chain([FIRST], did=DID, did_keys=trusted).vkeys == (three.LOG_VKEY,)


def test_revoked_keys_no_longer_count() -> None:
    gone = keys.Revoked(key=three.LOG_VKEY, since=AT, why="stolen")
    stated = verified([FIRST, say(OLD, 2, FIRST, OLD, logs=[LOG_TWO], revoked=[gone])], OLD)
    assert stated.vkeys == (LOG_TWO,)
    assert stated.revoked == {three.LOG_VKEY: AT}


def test_keys_of_an_earlier_epoch_are_not_those_of_this_one() -> None:
    origin = note.origin(DID, 2)
    key = note.vkey(origin, "Ed25519", bytes(range(32)))
    stated = verified([FIRST, say(OLD, 2, FIRST, OLD, origin=origin, logs=[key])], OLD)
    assert (stated.origin, stated.vkeys) == (origin, (key,))


def edited(jws: str, **claims: Any) -> str:
    """T8: the claims edited, the signature left."""
    head, body, signature = jws.split(".")
    told = json.loads(urlsafe_b64decode(body + "==")) | claims
    body = b64(json.dumps(told, sort_keys=True, separators=(",", ":")).encode())
    return f"{head}.{body}.{signature}"


@pytest.mark.parametrize(
    "chain",
    [
        [],
        [SECOND],  # T10
        [FIRST, THIRD],
        [FIRST, FIRST],
        [SECOND, FIRST],
        [say(OTHER, 1, None, OLD)],  # T7
        [say(OTHER, 1, None, OTHER)],  # signed well, by nobody known
        [FIRST, say(OTHER, 2, FIRST, OTHER)],
        [FIRST, SECOND, say(OTHER, 3, SECOND, OTHER)],
        [*CHAIN, say(OLD, 4, THIRD, OLD)],  # a key that was dropped comes back
        [edited(FIRST, logs=[LOG_TWO])],
        [FIRST, edited(SECOND, did_keys=[OTHER.jwk])],
        [say(OLD, 1, None, OLD, did="did:web:x.example", kid="did:web:x.example#k")],  # T11
        [FIRST, say(OLD, 2, FIRST + "A", OLD)],
        [FIRST] * 1001,
    ],
)
def test_chains_that_do_not_hold(chain: list[str]) -> None:
    with pytest.raises(EvidenceBroken):
        verified(chain, OLD, NEW)


def test_nobody_trusted_verifies_nothing() -> None:
    with pytest.raises(EvidenceBroken, match="known key"):
        verified(CHAIN)
    with pytest.raises(EvidenceBroken, match="known key"):
        verified([FIRST, SECOND], NEW)


def rewritten(part: int, old: bytes, new: bytes) -> str:
    parts = FIRST.split(".")
    data = urlsafe_b64decode(parts[part] + "==")
    assert old in data
    parts[part] = b64(data.replace(old, new, 1))
    return ".".join(parts)


@pytest.mark.parametrize(
    "jws",
    [
        "",
        "a.b",
        "..",
        "a.b.c.d",
        FIRST + "=",
        FIRST + "AA",
        FIRST.replace(".", "\u00e9.", 1),
        FIRST.replace(".", "\ud800.", 1),
        FIRST[:-1] + ("B" if FIRST[-1] != "B" else "C"),  # another spelling, or another length
        rewritten(0, b"ES256", b"none"),  # T9
        rewritten(0, b"jwt", b"JWT"),
        rewritten(0, b"did:web:stat", b"did:web:stax"),
        rewritten(0, b"{", b'{"a":1,'),
        rewritten(0, b"{", b"{ "),
        rewritten(1, b'"seq":1', b'"seq":0'),
        rewritten(1, b'"seq":1', b'"seq":2'),
        rewritten(1, b'"seq":1', b'"seq":true'),
        rewritten(1, b'"seq":1', b'"seq":"1"'),
        rewritten(1, b'"seq":1', b'"seq":1,"zzz":1'),
        rewritten(1, b'"revoked":[]', b'"revoked":[1]'),
        rewritten(1, b'"revoked":[]', b'"revoked":[{"key":1,"since":"","why":""}]'),
        rewritten(1, b'"revoked":[]', b'"revoked":[{"key":"","since":"","why":""}]'),
        rewritten(1, b'"logs":[', b'"logs":[1,'),
        rewritten(1, b"+75781396", b"+75781397"),
        rewritten(1, b'"logs":[', b'"logs":[' + b'"",' * 40),
        rewritten(1, b'"crv":"P-256"', b'"crv":"P-384"'),
        rewritten(1, b'"did_keys":[', b'"did_keys":[1,'),
        rewritten(1, b'"from":"2027', b'"from":"x027'),
        b64(b"[" * 9000) + "." + ".".join(FIRST.split(".")[1:]),
        FIRST.split(".")[0] + "." + b64(b"x" * 70_000) + ".A",
    ],
)
def test_statements_that_cannot_be_read(jws: str) -> None:
    with pytest.raises(MalformedEvidence):
        keys.read_statement(jws)
