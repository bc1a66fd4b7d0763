# SPDX-License-Identifier: Apache-2.0
"""Users, what they may do, their tokens, and answers kept for repeated requests (node.md b, g)."""

from __future__ import annotations

from corridor.store.rows import PAGE, Bound, Changing, Record, Rows
from corridor.store.unit import Write


class User(Record, frozen=True, kw_only=True):
    """A person of this node. States: active, disabled."""

    user_id: str
    login: str
    name: str = ""
    oidc_iss: str | None = None
    oidc_sub: str | None = None
    state: str = "active"
    created: int
    ver: int = 1


class Users(Changing[User]):
    """All users of the node."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "user", User)

    def get(self, user_id: str) -> User | None:
        """By id."""
        return self._one("get", user_id=user_id)

    def by_login(self, login: str) -> User | None:
        """By the name they sign in with."""
        return self._one("by-login", login=login)

    def by_oidc(self, issuer: str, subject: str) -> User | None:
        """By issuer and subject of their identity provider."""
        return self._one("by-oidc", oidc_iss=issuer, oidc_sub=subject)

    def page(self, after: int = 0, limit: int = PAGE) -> list[User]:
        """Oldest first, behind row `after`."""
        return self._list("page", after=after, limit=limit)

    def count(self) -> int:
        """How many there are."""
        return self._count("count")


class Grant(Record, frozen=True, kw_only=True):
    """What a user may do for a participant. `kind`: role or office; `name`: which one."""

    participant: str = ""
    user_id: str
    kind: str = "role"
    name: str
    created: int


class Grants(Rows[Grant]):
    """Grants for one participant."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "grant", Grant)

    def of_user(self, user_id: str) -> list[Grant]:
        """Those of one user."""
        return self._list("of-user", user_id=user_id)

    def put(self, record: Grant) -> Write:
        """Grant; having it already is fine."""
        return self._write("put", expect=None, **{it: getattr(record, it) for it in self._fields})

    def delete(self, user_id: str, kind: str, name: str) -> Write:
        """Take it back; Conflict where it was not granted."""
        return self._write("delete", user_id=user_id, kind=kind, name=name)


class NodeGrants(Rows[Grant]):
    """Grants over all participants."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "grant", Grant)

    def of_user(self, user_id: str) -> list[Grant]:
        """Everything one user may do."""
        return self._list("node-of-user", user_id=user_id)

    def delete_of_user(self, user_id: str) -> Write:
        """Take back everything."""
        return self._write("node-delete-of-user", expect=None, user_id=user_id)


class ApiToken(Record, frozen=True, kw_only=True):
    """A secret that stands for a user; only its digest is kept. `kind`: token, link or login.

    `roles` is JSON; `scope` names the one participant it is good for, None for all of the user's.
    `csrf` belongs to a login of the console.
    """

    token_id: str
    user_id: str
    kind: str = "token"
    prefix: str
    sha256: str
    roles: bytes = b"[]"
    scope: str | None = None
    csrf: str | None = None
    created: int
    expires: int
    last_used: int | None = None


class ApiTokens(Changing[ApiToken]):
    """All tokens of the node."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "api_token", ApiToken)

    def get(self, token_id: str) -> ApiToken | None:
        """By id."""
        return self._one("get", token_id=token_id)

    def by_sha256(self, sha256: str) -> ApiToken | None:
        """By the digest of the secret. Whether it has expired is the caller's to see."""
        return self._one("by-sha256", sha256=sha256)

    def of_user(self, user_id: str) -> list[ApiToken]:
        """Those of one user, oldest first."""
        return self._list("of-user", user_id=user_id)

    def used(self, token_id: str, at: int) -> Write:
        """Note that it was used; a token gone meanwhile is fine."""
        return self._write("used", expect=None, token_id=token_id, last_used=at)

    def delete(self, token_id: str) -> Write:
        """Revoke it, or redeem a link once: Conflict where it is gone."""
        return self._write("delete", token_id=token_id)

    def delete_of_user(self, user_id: str) -> Write:
        """Revoke all of a user."""
        return self._write("delete-of-user", expect=None, user_id=user_id)

    def purge(self, before: int, limit: int) -> Write:
        """Forget up to `limit` tokens that expired before this instant."""
        return self._write("purge", expect=None, before=before, limit=limit)


class Answered(Record, frozen=True, kw_only=True):
    """A request with an Idempotency-Key: `status` and `answer` are None while it runs."""

    participant: str = ""
    user_id: str
    key: str
    request_sha: str
    status: int | None = None
    answer: bytes | None = None
    expires: int


class Idempotency(Rows[Answered]):
    """Requests of a participant's users that are not done twice."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "idempotency", Answered)

    def get(self, user_id: str, key: str) -> Answered | None:
        """What became of this key."""
        return self._one("get", user_id=user_id, key=key)

    def finish(self, user_id: str, key: str, status: int, answer: bytes) -> Write:
        """Keep the answer; Conflict where there is one."""
        return self._write("finish", user_id=user_id, key=key, status=status, answer=answer)

    def delete(self, user_id: str, key: str) -> Write:
        """Forget a request that failed before it changed anything, so that it may come again."""
        return self._write("delete", expect=None, user_id=user_id, key=key)

    def purge(self, before: int, limit: int) -> Write:
        """Forget up to `limit` keys that expired before this instant."""
        return self._write("purge", expect=None, before=before, limit=limit)
