# SPDX-License-Identifier: Apache-2.0
"""did:web addresses, and documents read tolerantly (dcp.md 1.2, 1.3)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from corridor.errors import MalformedMessage
from corridor.identity.did import Document, document, from_url, read_jwk, to_url, write_jwk
from corridor.limits import Limits

LIMITS = Limits()
HTTP = frozenset({"localhost:7001"})
DID = "did:web:localhost%3A7001:stat"
POINT = (
    ec.derive_private_key(7, ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)
EDWARDS = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()


@pytest.mark.parametrize(
    ("did", "url"),
    [
        ("did:web:example.com", "https://example.com/.well-known/did.json"),
        ("did:web:example.com:holder", "https://example.com/holder/did.json"),
        ("did:web:example.com%3A3000:a:b", "https://example.com:3000/a/b/did.json"),
        ("did:web:EXAMPLE.com%3a3000", "https://example.com:3000/.well-known/did.json"),
        ("did:web:localhost%3A7001:stat", "http://localhost:7001/stat/did.json"),
        ("did:web:localhost%3A7002:stat", "https://localhost:7002/stat/did.json"),
    ],
)
def test_where_a_document_lies(did: str, url: str) -> None:
    assert to_url(did, http_hosts=HTTP) == url


@pytest.mark.parametrize(
    "did",
    [
        "",
        "did:web:",
        "did:key:z6Mk",
        "example.com",
        "did:web:example.com:",
        "did:web::a",
        "did:web:example.com::a",
        "did:web:127.0.0.1",
        "did:web:127.1",
        "did:web:2130706433",
        "did:web:0x7f000001",
        "did:web:%5B%3A%3A1%5D",
        "did:web:example.com%2Fevil",
        "did:web:example.com%40evil.com",
        "did:web:user%40example.com",
        "did:web:example.com%3A",
        "did:web:example.com%3A0",
        "did:web:example.com%3A99999",
        "did:web:example.com%3A1%3A2",
        "did:web:example.com.",
        "did:web:example.com:a%2Fb",
        "did:web:example.com:..",
        "did:web:example.com:%2E%2E",
        "did:web:example.com:a%3Fb",
        "did:web:example.com:a?b",
        "did:web:example.com:a#b",
        "did:web:example.com/a",
        "did:web:exämple.com",
        "did:web:" + "a." * 200 + "com",
    ],
)
def test_what_is_no_did_of_the_web(did: str) -> None:
    with pytest.raises(MalformedMessage):
        to_url(did, http_hosts=HTTP)


def test_a_did_from_our_public_url() -> None:
    assert from_url("http://localhost:7001", "stat") == DID
    assert from_url("https://stat.example/", "eg") == "did:web:stat.example:eg"
    assert from_url("https://stat.example/node", "eg") == "did:web:stat.example:node:eg"


def test_what_we_write_has_exactly_the_members_that_readers_bear() -> None:
    services = [("dsp", "DataService", "http://localhost:7001/stat/.well-known/dspace-version")]
    made = document(DID, [("key-1", write_jwk(POINT, kid="key-1"))], services)
    assert set(made["verificationMethod"][0]) == {"id", "type", "controller", "publicKeyJwk"}
    assert made["verificationMethod"][0]["type"] == "JsonWebKey2020"
    assert made["capabilityInvocation"] == [f"{DID}#key-1"]
    assert set(made["service"][0]) == {"id", "type", "serviceEndpoint"}
    read = Document.parse(json.dumps(made).encode(), limits=LIMITS)
    assert read.id == DID
    assert read.endpoint("DataService") == services[0][2]
    assert read.endpoint("Other") is None
    method = read.method(f"{DID}#key-1")
    assert method is not None
    assert method.key is not None
    assert read.may(method, "capabilityInvocation")


def test_jwks_of_both_kinds_come_back() -> None:
    for public in (POINT, EDWARDS):
        assert read_jwk(write_jwk(public, kid="k")) is not None
    with pytest.raises(ValueError, match="neither"):
        write_jwk(b"short", kid="k")


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "RSA"},
        {"crv": "P-384"},
        {"x": "AA"},
        {"x": None},
        {"x": "é" * 43},
        {"y": write_jwk(POINT, kid="")["x"]},
        {"x": "A" * 1000},
    ],
)
def test_a_key_that_is_none(changes: dict[str, Any]) -> None:
    assert read_jwk(write_jwk(POINT, kid="k") | changes) is None


def parsed(**members: Any) -> Document:
    return Document.parse(json.dumps({"id": DID} | members).encode(), limits=LIMITS)


@pytest.mark.parametrize("form", [f"{DID}#key-1", "#key-1", "key-1"])
@pytest.mark.parametrize("asked", [f"{DID}#key-1", "#key-1", "key-1", None])
def test_ids_are_matched_in_all_forms(form: str, asked: str | None) -> None:
    jwk = write_jwk(POINT, kid="key-1") | {"alg": None}
    method = {"id": form, "type": "x", "publicKeyJwk": jwk, "publicKeyMultibase": None}
    read = parsed(verificationMethod=[method], authentication=["key-1"], assertionMethod=None)
    found = read.method(asked)
    assert found is not None
    assert found.key is not None
    assert read.may(found, "authentication")
    assert read.may(found, "assertionMethod")
    assert read.may(found, "capabilityInvocation")


def test_a_relationship_that_lists_somebody_is_enforced() -> None:
    one, two = (
        {"id": f"#{name}", "publicKeyJwk": write_jwk(POINT, kid=name)} for name in ("a", "b")
    )
    read = parsed(verificationMethod=[one, two], capabilityInvocation=[{"id": "#b"}, None, 3])
    a, b = read.method("a"), read.method("b")
    assert a is not None
    assert b is not None
    assert not read.may(a, "capabilityInvocation")
    assert read.may(b, "capabilityInvocation")
    assert read.method(None) is None


def test_two_methods_of_one_id_are_none() -> None:
    one = {"id": "#a", "publicKeyJwk": write_jwk(POINT, kid="a")}
    assert parsed(verificationMethod=[one, one | {"id": "a"}]).method("a") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"id": 1}',
        b'{"id": "a", "id": "b"}',
        b'{"id": "a", "service": 3}',
        b'{"id": "a", "verificationMethod": "x"}',
        b"[" * 100_000,
        b" " * 70_000,
    ],
)
def test_a_document_that_is_none(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        Document.parse(data, limits=LIMITS)


@pytest.mark.parametrize("name", ["verificationMethod", "service"])
def test_keys_and_services_at_the_limit_and_one_above(name: str) -> None:
    parsed(**{name: [{}] * 20})
    with pytest.raises(MalformedMessage):
        parsed(**{name: [{}] * 21})


def test_a_document_at_the_limit_of_bytes_and_one_above() -> None:
    data = json.dumps({"id": DID, "x": "a" * 100}).encode()
    Document.parse(data, limits=replace(LIMITS, did_document_bytes_max=len(data)))
    with pytest.raises(MalformedMessage):
        Document.parse(data, limits=replace(LIMITS, did_document_bytes_max=len(data) - 1))
