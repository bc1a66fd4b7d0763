# SPDX-License-Identifier: Apache-2.0
"""Key statements: which keys sign a ledger, said by the DID key, chained by hash.

evidence.md 2.1. A statement is a compact JWS, ES256, `typ` corridor-ledger-key+jwt. `did_keys`
lists every DID key in force from then on, so that the next statement is signed by one of them; a
rotated DID key is followed by a statement signed with the new one, which ties the chain to today's
DID document.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from corridor.errors import EvidenceBroken, MalformedEvidence
from corridor.evidence.entry import canonical, read_canonical, text_of, time_of
from corridor.evidence.note import VerifierKey
from corridor.limits import Limits

DEFAULT_LIMITS = Limits()
TYPE = "corridor-ledger-key+jwt"

_HASH = re.compile(r"[0-9a-f]{64}")
_CLAIMS = frozenset(
    {"did", "did_keys", "from", "logs", "origin", "previous", "revoked", "seq", "witnesses"}
)
Point = tuple[str, str]
"""x and y of a P-256 key, base64url: what makes two JWKs the same key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """A key that no longer counts since a time, and why."""

    key: str
    since: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A key statement as read; nothing of it is believed before `verify_chain`."""

    jws: str
    kid: str
    did: str
    origin: str
    seq: int
    previous: str | None
    logs: tuple[str, ...]
    witnesses: tuple[str, ...]
    did_keys: tuple[Mapping[str, str], ...]
    since: datetime
    revoked: tuple[Revoked, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a verified chain says. `vkeys`: every log key stated for `origin` and not revoked."""

    did: str
    origin: str
    vkeys: tuple[str, ...]
    witnesses: tuple[str, ...]
    revoked: Mapping[str, datetime]
    statements: tuple[Statement, ...]


def statement_input(
    *,
    kid: str,
    did: str,
    origin: str,
    seq: int,
    previous: str | None,
    logs: Sequence[str],
    witnesses: Sequence[str],
    did_keys: Sequence[Mapping[str, str]],
    since: datetime,
    revoked: Sequence[Revoked] = (),
) -> bytes:
    """The bytes that the DID key `kid` signs. `previous` is the whole JWS before, None for seq 1.

    `did_keys` are JWKs; of each only kty, crv, x and y are stated.
    """
    assert kid.startswith(f"{did}#"), "the kid is absolute"
    assert seq >= 1, "a chain begins at 1"
    assert (previous is None) == (seq == 1), "only the first follows none"
    header = {"alg": "ES256", "kid": kid, "typ": TYPE}
    claims: dict[str, Any] = {
        "did": did,
        "did_keys": [{it: jwk[it] for it in ("crv", "kty", "x", "y")} for jwk in did_keys],
        "from": text_of(since),
        "logs": list(logs),
        "origin": origin,
        "revoked": [{"key": it.key, "since": text_of(it.since), "why": it.why} for it in revoked],
        "seq": seq,
        "witnesses": list(witnesses),
    }
    if previous is not None:
        claims["previous"] = digest(previous)
    return b".".join(urlsafe_b64encode(canonical(it)).rstrip(b"=") for it in (header, claims))


def statement(input: bytes, signature: bytes) -> str:  # noqa: A002 - JWS calls it the signing input
    """The compact JWS; `signature` is r and s, 64 bytes."""
    assert len(signature) == 64, "ES256 as JWS writes it"
    return (input + b"." + urlsafe_b64encode(signature).rstrip(b"=")).decode()


def digest(jws: str) -> str:
    """SHA-256 of a statement's bytes, hex: how the next one names it."""
    return sha256(jws.encode()).hexdigest()


def read_statement(jws: str, *, limits: Limits = DEFAULT_LIMITS) -> Statement:
    """Read a statement without believing it; MalformedEvidence and nothing else."""
    parts = jws.split(".")
    if len(jws) > limits.key_statement_bytes_max or len(parts) != 3:
        raise MalformedEvidence("not a key statement")
    header, claims = (read_canonical(_decode(it), limits=limits) for it in parts[:2])
    if len(_decode(parts[2])) != 64 or not isinstance(header, dict) or not isinstance(claims, dict):
        raise MalformedEvidence("not a key statement")
    kid, did = header.get("kid"), claims.get("did")
    if header != {"alg": "ES256", "kid": kid, "typ": TYPE} or not claims.keys() <= _CLAIMS:
        raise MalformedEvidence("a key statement of another kind")
    if not (isinstance(did, str) and isinstance(kid, str) and kid.startswith(f"{did}#")):
        raise MalformedEvidence("the statement is not signed by the one it speaks of")
    seq, previous, origin = (claims.get(it) for it in ("seq", "previous", "origin"))
    if isinstance(seq, bool) or not isinstance(seq, int) or seq < 1 or not isinstance(origin, str):
        raise MalformedEvidence("seq or origin of the statement cannot be read")
    if (previous is None) != (seq == 1) or not (
        previous is None or (isinstance(previous, str) and _HASH.fullmatch(previous))
    ):
        raise MalformedEvidence("the statement does not name the one before it")
    return Statement(
        jws=jws,
        kid=kid,
        did=did,
        origin=origin,
        seq=seq,
        previous=previous,
        logs=tuple(_vkeys(claims, "logs", limits)),
        witnesses=tuple(_vkeys(claims, "witnesses", limits)),
        did_keys=tuple(_jwks(claims, limits)),
        since=time_of(claims, "from"),
        revoked=tuple(_revoked(claims, limits)),
    )


def verify_chain(
    statements: Sequence[str],
    *,
    did: str,
    did_keys: Sequence[Mapping[str, Any]],
    limits: Limits = DEFAULT_LIMITS,
) -> Stated:
    """The keys of `did`'s ledger. `did_keys`: public JWKs of its DID document, or known otherwise.

    Raises MalformedEvidence or EvidenceBroken. In order (evidence.md 5.3, step 3):
    1. there are statements, all of this DID, `seq` without gap, `previous` right;
    2. statement 1 is signed by a key that it states itself, each later one by a key stated in
       the one before;
    3. one of them at least is signed by a key in `did_keys`: the hash chain ties the rest to it,
       and none after it comes from a key that it had dropped.
    """
    if not 0 < len(statements) <= limits.key_statements_max:
        raise EvidenceBroken("no key statements, or too many")
    read = [read_statement(it, limits=limits) for it in statements]
    trusted = {_point(it) for it in did_keys if _is_p256(it)}
    anchored, stated = False, {_point(it) for it in read[0].did_keys}
    for place, it in enumerate(read, start=1):
        # (1)
        if it.did != did or it.seq != place:
            raise EvidenceBroken(f"key statement {place} is missing or of another")
        if it.previous != (digest(read[place - 2].jws) if place > 1 else None):
            raise EvidenceBroken(f"key statement {place} does not follow the one before it")
        # (2)
        signer = next((key for key in sorted(stated) if _signed(it.jws, key)), None)
        if signer is None:
            raise EvidenceBroken(f"key statement {place} is signed by a key not stated before it")
        # (3)
        anchored = anchored or signer in trusted
        stated = {_point(key) for key in it.did_keys}
    if not anchored:
        raise EvidenceBroken("no key statement is signed by a known key of the DID")
    return _stated(did, read)


def _stated(did: str, read: Sequence[Statement]) -> Stated:
    origin = read[-1].origin
    revoked = {it.key: it.since for one in read for it in one.revoked}
    logs = dict.fromkeys(key for one in reversed(read) for key in one.logs)
    return Stated(
        did=did,
        origin=origin,
        vkeys=tuple(
            it for it in logs if it not in revoked and VerifierKey.parse(it).name == origin
        ),
        witnesses=tuple(it for it in read[-1].witnesses if it not in revoked),
        revoked=revoked,
        statements=tuple(read),
    )


def _signed(jws: str, key: Point) -> bool:
    data, _, signature = jws.rpartition(".")
    raw = _decode(signature)
    pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    x, y = (int.from_bytes(_decode(it), "big") for it in key)
    try:
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        public.verify(pair, data.encode(), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_p256(jwk: Mapping[str, Any]) -> bool:
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        return False
    try:
        return all(
            isinstance(jwk.get(it), str) and len(_decode(jwk[it])) == 32 for it in ("x", "y")
        )
    except MalformedEvidence:
        return False


def _point(jwk: Mapping[str, Any]) -> Point:
    return jwk["x"], jwk["y"]


def _list(claims: Mapping[str, Any], name: str, limits: Limits) -> list[Any]:
    items = claims.get(name)
    if not isinstance(items, list) or len(items) > limits.statement_keys_max:
        raise MalformedEvidence(f"{name} of the statement cannot be read")
    return items


def _vkeys(claims: Mapping[str, Any], name: str, limits: Limits) -> list[str]:
    items = _list(claims, name, limits)
    for it in items:
        if not isinstance(it, str):
            raise MalformedEvidence(f"{name} of the statement cannot be read")
        VerifierKey.parse(it)
    return items


def _jwks(claims: Mapping[str, Any], limits: Limits) -> list[dict[str, str]]:
    items = _list(claims, "did_keys", limits)
    if not items or not all(
        isinstance(it, dict) and it.keys() == {"crv", "kty", "x", "y"} and _is_p256(it)
        for it in items
    ):
        raise MalformedEvidence("did_keys of the statement cannot be read")
    return items


def _revoked(claims: Mapping[str, Any], limits: Limits) -> list[Revoked]:
    found: list[Revoked] = []
    for it in _list(claims, "revoked", limits):
        if not isinstance(it, dict) or it.keys() != {"key", "since", "why"}:
            raise MalformedEvidence("revoked of the statement cannot be read")
        if not isinstance(it["key"], str) or not isinstance(it["why"], str):
            raise MalformedEvidence("revoked of the statement cannot be read")
        found.append(Revoked(key=it["key"], since=time_of(it, "since"), why=it["why"]))
    return found


def _decode(text: str) -> bytes:
    """base64url without padding, in its one spelling."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (NotBase64, ValueError) as error:
        raise MalformedEvidence("not base64url") from error
    if urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise MalformedEvidence("not base64url in its one spelling")
    return data
