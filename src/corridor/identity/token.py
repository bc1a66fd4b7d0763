# SPDX-License-Identifier: Apache-2.0
"""Self-issued ID tokens: made (dcp.md 2.1) and verified by the steps of dcp.md 2.3.

`verify` is a generator: it yields `Resolve`, is sent a `Document`, and returns the `Caller`.
Not here: step 8's memory of `jti` (it stands in the unit of the message), and what an access
token in the claim `token` is good for (steps 9, 10).
"""

from __future__ import annotations

import hmac
import math
from base64 import urlsafe_b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from corridor.errors import MalformedMessage, Unauthenticated
from corridor.identity.did import Document, PublicKey, to_url
from corridor.limits import Limits
from corridor.wire.digest import content_digest

# RFC 9864 names Ed25519 what was EdDSA. Never `none`, never an HMAC.
ALGORITHMS: Final = frozenset({"ES256", "EdDSA", "Ed25519"})
_SIGNATURE_BYTES: Final = 64
_NO_HOSTS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Resolve:
    """Ask for the document of `did`; `fresh`: not from a cache that was filled before."""

    did: str
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who spoke. `bound`: the token names the digest of this very body.

    `expires` is the token's own end (keep its `jti` until then and the leeway); `token` is the
    access token that it carries, empty where there is none; `document` the bytes of the DID
    document that its key stands in.
    """

    did: str
    kid: str
    jti: str
    expires: datetime
    raw: str
    bound: bool
    token: str = ""
    document: bytes = field(default=b"", compare=False, repr=False)


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str | None = None


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: str | list[str]
    exp: float
    iat: float
    jti: str
    nbf: float | None = None
    token: str | None = None
    content_digest: str | None = None


_header = msgspec.json.Decoder(_Header)
_claims = msgspec.json.Decoder(_Claims)


@dataclass(frozen=True, slots=True)
class _Token:
    """A token taken apart; nothing in it is verified."""

    raw: str
    header: _Header
    claims: _Claims
    signed: bytes
    signature: bytes


def unsigned(
    *,
    did: str,
    kid: str,
    audience: str,
    now: datetime,
    life_s: float,
    jti: str,
    body: bytes | None,
    token: str = "",
) -> bytes:
    """The signing input of a token for one request, to be signed with ES256.

    `kid` is absolute, or the part behind `#`. With `body` the token is bound to it (evidence.md
    3.6); None leaves the claim out. `iat` is the floor: some readers have no leeway.
    """
    issued = math.floor(now.timestamp())
    absolute = kid if "#" in kid else f"{did}#{kid}"
    claims: dict[str, str | int] = {
        "iss": did,
        "sub": did,
        "aud": audience,
        "iat": issued,
        "exp": issued + int(life_s),
        "jti": jti,
    }
    if token:
        claims["token"] = token
    if body is not None:
        claims["content_digest"] = content_digest(body)
    header = {"alg": "ES256", "typ": "JWT", "kid": absolute}
    return _encoded(msgspec.json.encode(header)) + b"." + _encoded(msgspec.json.encode(claims))


def join(signing_input: bytes, signature: bytes) -> str:
    """The compact form."""
    return (signing_input + b"." + _encoded(signature)).decode("ascii")


def verify(
    authorization: str | None,
    *,
    audience: str,
    body: bytes | None,
    now: datetime,
    limits: Limits,
) -> Generator[Resolve, Document, Caller]:
    """Find out who calls, by the numbers of dcp.md 2.3; Unauthenticated and nothing else.

    Cheap checks come before the first fetch (1.5): 1 to 5, 7, the digest and 8's presence stand
    before 6. An unknown key or a bad signature asks once more, past the cache (1.2).
    """
    # (1) `Bearer ` and a token. A naked JWT is refused.
    raw = _bearer(authorization, limits)
    # (2) It parses, and its algorithm is on the list.
    token = _take_apart(raw)
    claims = token.claims
    # (3) `iss` and `sub` are equal.
    if claims.iss != claims.sub:
        raise Unauthenticated("the token's issuer and subject differ")
    _check_did(claims.iss, limits)
    # (4) `aud` holds our DID.
    if audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
        raise Unauthenticated("the token is made for somebody else")
    # (5) The DID part of `kid` is the issuer.
    kid = _kid(token.header.kid, claims.iss)
    # (7) It has begun, and has not ended.
    _check_times(claims, now, limits)
    # The body is the one that the token names (evidence.md 3.6), where it names one.
    bound = _check_digest(claims.content_digest, body)
    # (8) `jti` is there. That it is new is written down with what the message does.
    if not 0 < len(claims.jti) <= limits.token_jti_chars_max:
        raise Unauthenticated("the token has no usable jti")
    # (6) The document is the issuer's, holds the key, and the signature is good.
    document = yield Resolve(claims.iss, fresh=False)
    fault, method_id = _check_signature(document, token, kid)
    if fault:
        document = yield Resolve(claims.iss, fresh=True)
        fault, method_id = _check_signature(document, token, kid)
    if fault:
        raise Unauthenticated(fault)
    # (9, 10) are the verifier's and the credential service's: `token` is handed on.
    return Caller(
        did=claims.iss,
        kid=method_id,
        jti=claims.jti,
        expires=datetime.fromtimestamp(claims.exp, UTC),
        raw=raw,
        bound=bound,
        token=claims.token or "",
        document=document.raw,
    )


def _bearer(authorization: str | None, limits: Limits) -> str:
    scheme, _, raw = (authorization or "").partition(" ")
    raw = raw.strip(" ")
    if scheme.lower() != "bearer" or not raw:
        raise Unauthenticated("no bearer token")
    if len(raw) > limits.token_bytes_max or not raw.isascii():
        raise Unauthenticated("a token that cannot be read")
    return raw


def _take_apart(raw: str) -> _Token:
    try:
        header, claims, signature = raw.split(".")
        token = _Token(
            raw,
            _header.decode(_decoded(header)),
            _claims.decode(_decoded(claims)),
            raw.rpartition(".")[0].encode("ascii"),
            _decoded(signature),
        )
    except (ValueError, NotBase64, msgspec.MsgspecError, RecursionError) as error:
        raise Unauthenticated("a token that cannot be read") from error
    if token.header.alg not in ALGORITHMS:
        raise Unauthenticated("the token's algorithm is not on the list")
    return token


def _check_did(did: str, limits: Limits) -> None:
    if len(did) > limits.did_chars_max:
        raise Unauthenticated("the token's issuer is too long")
    try:
        to_url(did, http_hosts=_NO_HOSTS)
    except MalformedMessage as error:
        raise Unauthenticated("the token's issuer is no DID of the method web") from error


def _kid(kid: str | None, issuer: str) -> str | None:
    """The method's absolute id; None: the only one of the document.

    Without `#` it is a key id relative to the issuer, or the issuer itself (the kit's form).
    """
    if kid is None or kid == issuer:
        return None
    if "#" not in kid:
        return f"{issuer}#{kid}"
    if kid.partition("#")[0] != issuer:
        raise Unauthenticated("the token's key belongs to somebody else")
    return kid


def _check_times(claims: _Claims, now: datetime, limits: Limits) -> None:
    at, leeway = now.timestamp(), limits.token_leeway_s
    if at >= claims.exp + leeway:
        raise Unauthenticated("the token has expired")
    if claims.iat > at + leeway or (claims.nbf is not None and claims.nbf > at + leeway):
        raise Unauthenticated("the token is not valid yet")
    if claims.exp - claims.iat > limits.token_life_accepted_s:
        raise Unauthenticated("the token lives too long")


def _check_digest(claimed: str | None, body: bytes | None) -> bool:
    if claimed is None:
        return False
    actual = content_digest(body or b"").encode("ascii")
    if not hmac.compare_digest(claimed.encode("utf-8", "surrogatepass"), actual):
        raise Unauthenticated("the token is made for another body")
    return True


def _check_signature(document: Document, token: _Token, kid: str | None) -> tuple[str, str]:
    """(What is wrong, or nothing; the method's id)."""
    if document.id != token.claims.iss:
        return "the DID document belongs to somebody else", ""
    method = document.method(kid)
    if method is None or method.key is None:
        return "the DID document does not hold the token's key", ""
    if not document.may(method, "capabilityInvocation"):
        return "the token's key is not meant for tokens", ""
    if not signed_by(method.key, token.header.alg, token.signature, token.signed):
        return "the token's signature is not good", ""
    return "", method.id


def signed_by(key: PublicKey, alg: str, signature: bytes, data: bytes) -> bool:
    """Whether `signature` (64 raw bytes) is good, and of the kind that `alg` says."""
    if len(signature) != _SIGNATURE_BYTES:
        return False
    try:
        match key, alg:
            case ec.EllipticCurvePublicKey(), "ES256":
                r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
                key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
            case ed25519.Ed25519PublicKey(), "EdDSA" | "Ed25519":
                key.verify(signature, data)
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: str) -> bytes:
    """Base64url without padding, strictly: one text for one value."""
    if "=" in text or "+" in text or "/" in text:
        raise ValueError("not base64url")
    padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    return a2b_base64(padded, strict_mode=True)
