# SPDX-License-Identifier: Apache-2.0
"""Signing keys of a participant, and tokens of others that were already used (node.md b, e)."""

from __future__ import annotations

from corridor.store.rows import Bound, Changing, Record, Rows
from corridor.store.unit import Write


class SigningKey(Record, frozen=True, kw_only=True):
    """A key. `sealed` is its private half under the master key. States: next, active, old, revoked.

    `use`: did, log, log2, witness, session, pseudonym.
    """

    participant: str = ""
    kid: str
    use: str
    alg: str
    public: bytes
    sealed: bytes | None = None
    state: str = "active"
    valid_from: int | None = None
    valid_until: int | None = None
    created: int
    ver: int = 1


class SigningKeys(Changing[SigningKey]):
    """A participant's keys."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "signing_key", SigningKey)

    def get(self, kid: str) -> SigningKey | None:
        """By kid."""
        return self._one("get", kid=kid)

    def list(self, use: str | None = None) -> list[SigningKey]:
        """All, or those of one use, oldest first."""
        if use is None:
            return self._list("all")
        return self._list("of-use", use=use)


class SeenToken(Record, frozen=True, kw_only=True):
    """A self-issued token that was used: it is not good a second time."""

    participant: str = ""
    issuer: str
    jti: str
    expires: int


class SeenTokens(Rows[SeenToken]):
    """Tokens that a participant has seen. `insert` has Conflict for one seen before."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "seen_token", SeenToken)

    def get(self, issuer: str, jti: str) -> SeenToken | None:
        """Whether it was seen."""
        return self._one("get", issuer=issuer, jti=jti)

    def purge(self, before: int, limit: int) -> Write:
        """Forget up to `limit` tokens that expired before this instant."""
        return self._write("purge", expect=None, before=before, limit=limit)
