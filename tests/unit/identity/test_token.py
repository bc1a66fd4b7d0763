# SPDX-License-Identifier: Apache-2.0
"""Self-issued tokens: every step of dcp.md 2.3 refuses what it is there for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from corridor.errors import Unauthenticated
from corridor.identity.did import Document, document, write_jwk
from corridor.identity.token import Caller, Resolve, join, unsigned, verify
from corridor.limits import Limits
from corridor.wire.digest import content_digest

LIMITS = Limits()
US, THEM = "did:web:us.example", "did:web:them.example:holder"
NOW = datetime(2026, 11, 22, 8, 0, 0, 500_000, UTC)
AT = int(NOW.timestamp())
KEY = ec.derive_private_key(7, ec.SECP256R1())
OTHER = ec.derive_private_key(8, ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))


def es256(data: bytes, key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def published(*keys: tuple[str, Any], did: str = THEM, **more: Any) -> Document:
    jwks = [(kid, write_jwk(raw(key), kid=kid)) for kid, key in keys]
    return Document.parse(json.dumps(document(did, jwks, []) | more).encode(), limits=LIMITS)


def raw(key: Any) -> bytes:
    public = key.public_key()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return public.public_bytes_raw()
    return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


DOCUMENT = published(("k", KEY))


def token(
    claims: dict[str, Any] | None = None,
    header: dict[str, Any] | None = None,
    sign: Callable[[bytes], bytes] = es256,
) -> str:
    """A good token but for the changes; a value of None takes the member away."""
    good = {"iss": THEM, "sub": THEM, "aud": US, "iat": AT, "exp": AT + 300, "jti": "j"}
    head = {"alg": "ES256", "kid": f"{THEM}#k"}
    parts = [head | (header or {}), good | (claims or {})]
    data = b".".join(
        encoded(json.dumps({k: v for k, v in part.items() if v is not None}).encode())
        for part in parts
    )
    return "Bearer " + join(data, sign(data))


def encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def drive(
    authorization: str | None, *documents: Document, body: bytes | None = None
) -> tuple[Caller, list[Resolve]]:
    steps = verify(authorization, audience=US, body=body, now=NOW, limits=LIMITS)
    asked: list[Resolve] = []
    try:
        asked.append(next(steps))
        for one in documents:
            asked.append(steps.send(one))  # noqa: PERF401 - its StopIteration is the answer
    except StopIteration as done:
        return done.value, asked
    raise AssertionError("it asks for more")


def refused(authorization: str | None, *documents: Document, body: bytes | None = None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        drive(authorization, *documents, body=body)
    return caught.value.what


def test_what_we_make_verifies() -> None:
    made = unsigned(
        did=THEM, kid="k", audience=US, now=NOW, life_s=300, jti="j1", body=b"{}", token="t"
    )
    compact = join(made, es256(made))
    caller, asked = drive(f"bearer {compact}", DOCUMENT, body=b"{}")
    assert asked == [Resolve(THEM, fresh=False)]
    assert caller == Caller(
        did=THEM,
        kid=f"{THEM}#k",
        jti="j1",
        expires=datetime.fromtimestamp(AT + 300, UTC),
        raw=compact,
        bound=True,
        token="t",
    )
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "==")) for part in compact.split(".")[:2]
    )
    assert header == {"alg": "ES256", "typ": "JWT", "kid": f"{THEM}#k"}
    assert claims["iat"] == AT
    assert claims["content_digest"] == content_digest(b"{}")


def test_a_token_without_digest_is_taken_and_marked() -> None:
    made = unsigned(did=THEM, kid="k", audience=US, now=NOW, life_s=300, jti="j", body=None)
    caller, _ = drive("Bearer " + join(made, es256(made)), DOCUMENT, body=b"anything")
    assert not caller.bound
    assert caller.token == ""


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        token().removeprefix("Bearer "),
        token().replace("Bearer ", "Basic "),
        "Bearer " + "a" * (16 << 10),
        "Bearer " + "a" * ((16 << 10) + 1),
        "Bearer é",
        "Bearer a.b",
        "Bearer a.b.c.d",
        "Bearer ..",
        token() + "=",
        token()[:-1] + "+",
        token(header={"alg": "none"}),
        token(header={"alg": "HS256"}),
        token(header={"alg": None}),
        token(header={"alg": "RS256"}),
        token({"iss": None}),
        token({"sub": None}),
        token({"sub": US}),
        token({"iss": "did:web:127.0.0.1", "sub": "did:web:127.0.0.1"}),
        token({"iss": "x", "sub": "x"}),
        token({"iss": THEM + "a" * 1024, "sub": THEM + "a" * 1024}),
        token({"aud": None}),
        token({"aud": THEM}),
        token({"aud": []}),
        token({"aud": [THEM]}),
        token({"aud": {"a": US}}),
        token(header={"kid": f"{US}#k"}),
        token(header={"kid": "#k"}),
        token({"exp": None}),
        token({"exp": "soon"}),
        token({"iat": None}),
        token({"exp": AT - 5}),
        token({"exp": AT - 1_000_000, "iat": AT - 1_000_300}),
        token({"iat": AT + 60, "exp": AT + 300}),
        token({"nbf": AT + 60}),
        token({"exp": AT + 901}),
        token({"exp": 1e308}),
        token({"jti": None}),
        token({"jti": ""}),
        token({"jti": "j" * 257}),
        token({"content_digest": content_digest(b"other")}),
        token({"content_digest": ""}),
    ],
)
def test_refused_before_any_fetch(authorization: str | None) -> None:
    # No document is there to be sent: whoever asks for one fails the test.
    refused(authorization, body=b"body")


def test_steps_at_their_limits() -> None:
    for claims in (
        {"exp": AT - 4},
        {"iat": AT + 5, "exp": AT + 300},
        {"nbf": AT + 5},
        {"exp": AT + 900},
        {"jti": "j" * 256},
        {"aud": [US]},
        {"aud": [THEM, US]},
        {"exp": AT + 300.5},
        {"content_digest": content_digest(b"")},
        {"unknown": {"a": [1]}},
    ):
        assert drive(token(claims), DOCUMENT)[0].did == THEM


@pytest.mark.parametrize("kid", [f"{THEM}#k", "k", THEM, None])
def test_forms_of_kid(kid: str | None) -> None:
    assert drive(token(header={"kid": kid}), DOCUMENT)[0].kid == f"{THEM}#k"
    two = published(("k", KEY), ("l", OTHER))
    if kid in (THEM, None):
        refused(token(header={"kid": kid}), two, two)


def test_ed25519_by_both_names() -> None:
    held = published(("k", EDWARDS))
    for alg in ("EdDSA", "Ed25519"):
        drive(token(header={"alg": alg}, sign=EDWARDS.sign), held)
    # The algorithm is the key's, not the token's choice.
    refused(token(header={"alg": "ES256"}, sign=EDWARDS.sign), held, held)
    refused(token(header={"alg": "EdDSA"}), DOCUMENT, DOCUMENT)


def test_an_unknown_key_or_bad_signature_asks_once_more() -> None:
    stale = published(("old", OTHER))
    caller, asked = drive(token(), stale, DOCUMENT)
    assert asked == [Resolve(THEM, fresh=False), Resolve(THEM, fresh=True)]
    assert caller.kid == f"{THEM}#k"
    changed = published(("k", OTHER))
    assert drive(token(), changed, DOCUMENT)[1][-1].fresh
    assert "signature" in refused(token(), changed, changed)
    assert "key" in refused(token(), stale, stale)


def test_a_document_of_somebody_else_and_a_key_for_something_else() -> None:
    alien = published(("k", KEY), did=US)
    assert "somebody else" in refused(token(), alien, alien)
    meant = published(("k", KEY), capabilityInvocation=["other"])
    assert "not meant" in refused(token(), meant, meant)
    drive(token(), published(("k", KEY), capabilityInvocation=[]))


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(63), b"\xff" * 64, bytes(65)])
def test_signatures_that_are_none(signature: bytes) -> None:
    refused(token(sign=lambda _: signature), DOCUMENT, DOCUMENT)


def test_expiry_is_told_to_the_second_it_names() -> None:
    caller, _ = drive(token({"exp": AT + 10}), DOCUMENT)
    assert caller.expires == datetime.fromtimestamp(AT, UTC) + timedelta(seconds=10)
