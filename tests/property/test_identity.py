# SPDX-License-Identifier: Apache-2.0
"""Hostile bytes: a token is refused as Unauthenticated, a document as MalformedMessage."""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from corridor.errors import MalformedMessage, Unauthenticated
from corridor.identity.did import Document, read_jwk, to_url
from corridor.identity.token import verify
from corridor.limits import Limits

LIMITS = Limits()
US, THEM = "did:web:us.example", "did:web:them.example"
NOW = datetime(2026, 11, 22, tzinfo=UTC)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars | st.sampled_from([US, THEM, f"{THEM}#k", "#k", "k", NOW.timestamp()]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
MEMBERS = ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "token", "content_digest", "alg", "kid"]
parts = st.dictionaries(st.sampled_from(MEMBERS), values)
NEAR = {"iss": THEM, "sub": THEM, "aud": US, "iat": NOW.timestamp(), "jti": "j"}
NEAR |= {"exp": NOW.timestamp() + 300}

names = st.sampled_from(
    [
        "id",
        "verificationMethod",
        "authentication",
        "capabilityInvocation",
        "service",
        "type",
        "publicKeyJwk",
        "serviceEndpoint",
        "kty",
        "crv",
        "x",
        "y",
    ]
)
documents = st.recursive(
    values,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner),
    max_leaves=20,
)
EMPTY = Document(THEM, (), {}, ())


def check(authorization: str | None) -> None:
    steps = verify(authorization, audience=US, body=b"", now=NOW, limits=LIMITS)
    with contextlib.suppress(Unauthenticated):
        next(steps)
        steps.send(EMPTY)
        steps.send(EMPTY)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@given(st.none() | st.text() | st.text().map(lambda text: f"Bearer {text}"))
@example("Bearer " + ".".join(["W" * 5000] * 3))
def test_any_authorization(authorization: str | None) -> None:
    check(authorization)


@given(st.binary(), st.binary(), st.binary())
@example(b"[" * 9000, b"{}", b"")
@example(b'{"alg":"ES256"}', b"[" * 9000, b"")
@example(b'{"alg":"ES256"}', b'{"exp":1e400}', b"")
@example(b'{"alg":"ES256"}', b'{"iss":"\\ud800"}', b"")
def test_any_bytes_in_the_parts(header: bytes, claims: bytes, signature: bytes) -> None:
    check("Bearer " + ".".join(map(encoded, (header, claims, signature))))


@given(parts, parts, st.binary(max_size=70))
def test_any_values_in_the_claims(header: dict, claims: dict, signature: bytes) -> None:
    near = json.dumps(NEAR | claims).encode()
    check(
        f"Bearer {encoded(json.dumps({'alg': 'ES256'} | header).encode())}.{encoded(near)}."
        f"{encoded(signature)}"
    )


@given(st.text() | st.text().map(lambda text: f"did:web:{text}"))
def test_any_did(did: str) -> None:
    with contextlib.suppress(MalformedMessage):
        url = to_url(did, http_hosts=frozenset())
        assert url.startswith("https://")
        assert url.endswith("/did.json")
        assert url.isascii()


@given(st.binary() | documents.map(lambda value: json.dumps(value).encode()))
def test_any_document(data: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        read = Document.parse(data, limits=LIMITS)
        read.method("k")
        read.endpoint("DataService")


@given(st.dictionaries(st.sampled_from(["kty", "crv", "x", "y"]), values))
@example({"kty": ["EC"], "crv": {}})
def test_any_jwk(jwk: dict) -> None:
    read_jwk(jwk)
    read_jwk({"kty": "EC", "crv": "P-256"} | jwk)
    read_jwk({"kty": "OKP", "crv": "Ed25519"} | jwk)
