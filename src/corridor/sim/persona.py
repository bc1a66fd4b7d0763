# SPDX-License-Identifier: Apache-2.0
"""A foreign participant's name and key: its DID document, and tokens put together by hand.

Nothing of `identity` is used: what it verifies must not have been written by it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from corridor.sim.loop import SimLoop
from corridor.sim.world import BEGIN, draw, public_of, sign_es256


def encoded(data: bytes) -> str:
    """Base64url without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value: Any) -> bytes:
    """JSON without blanks."""
    return json.dumps(value, separators=(",", ":")).encode()


class Persona:
    """`did:web:<host>:<slug>`; its base is `https://<host>/<slug>/dsp/2025-1`."""

    def __init__(self, loop: SimLoop, seed: object, host: str, slug: str) -> None:
        self._loop = loop
        self.slug = slug
        self.did = f"did:web:{host}:{slug}"
        self.root = f"https://{host}/{slug}"
        self.base = f"{self.root}/dsp/2025-1"
        self.kid = f"{self.did}#key-1"
        self.chance = draw(seed, "persona", slug)
        secret = int.from_bytes(hashlib.sha256(f"{seed}/key/{slug}".encode()).digest())
        self._key = ec.derive_private_key(secret >> 1, ec.SECP256R1())

    def name(self, prefix: str) -> str:
        """A fresh id of ours."""
        return f"{prefix}-{self.chance.getrandbits(64):016x}"

    def document(self) -> bytes:
        """Our DID document."""
        point = public_of(self._key)
        jwk = {"kty": "EC", "crv": "P-256", "x": encoded(point[1:33]), "y": encoded(point[33:])}
        method = {
            "id": self.kid,
            "type": "JsonWebKey2020",
            "controller": self.did,
            "publicKeyJwk": jwk,
        }
        return compact(
            {
                "@context": ["https://www.w3.org/ns/did/v1"],
                "id": self.did,
                "verificationMethod": [method],
                "authentication": [self.kid],
                "assertionMethod": [self.kid],
            }
        )

    def token(self, audience: str, **changes: Any) -> str:
        """A self-issued token; `changes` replace claims (None takes one away), to be hostile with.

        `alg` and `kid` change the header instead.
        """
        now = int((BEGIN + timedelta(seconds=self._loop.time())).timestamp())
        header = {
            "alg": changes.pop("alg", "ES256"),
            "kid": changes.pop("kid", self.kid),
            "typ": "JWT",
        }
        claims: dict[str, Any] = {
            "iss": self.did,
            "sub": self.did,
            "aud": audience,
            "iat": now,
            "exp": now + 300,
            "jti": self.name("jti"),
            "token": self.name("access"),
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        signing = f"{encoded(compact(header))}.{encoded(compact(claims))}"
        signature = b"" if header["alg"] == "none" else sign_es256(self._key, signing.encode())
        return f"Bearer {signing}.{encoded(signature)}"
