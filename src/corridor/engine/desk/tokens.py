# SPDX-License-Identifier: Apache-2.0
"""Who may speak to the home face: tokens, of which only the digest is kept (node.md g).

`cor_<prefix>_<secret>`. The operator's own token lies in the data folder, made at the first start;
whoever can read that file runs this node anyway.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

import msgspec

from corridor.engine.desk import paging
from corridor.engine.desk.means import Actor, Means, when, when_or_none
from corridor.engine.ground import micros
from corridor.errors import Invalid, NotAllowed, NotFound, NotSignedIn
from corridor.store.people import ApiToken
from corridor.store.unit import Leaf, Unit
from corridor.wire.home import Me, Page, TokenAsk, TokenView
from corridor.world import Chance, Disk

ROLES = ("operator", "steward", "analyst", "auditor")
OPERATOR_FILE = "operator.token"
OPERATOR = "operator"
DAYS_MAX = 365
USED_EVERY_S = 300
SECRET_BYTES = 32
TOKEN_CHARS_MAX = 200
PAGE_MAX = 10_000


def mint(chance: Chance) -> tuple[str, str]:
    """(prefix, whole secret) of a fresh token."""
    prefix = base64.b32encode(chance.bytes(5)).decode().lower()
    secret = base64.urlsafe_b64encode(chance.bytes(SECRET_BYTES)).decode().rstrip("=")
    return prefix, f"cor_{prefix}_{secret}"


def digest(secret: str) -> str:
    """What is kept of a token."""
    return sha256(secret.encode()).hexdigest()


def operator_digest(disk: Disk, chance: Chance) -> str:
    """The digest of the operator's token; the file is made (0600) where there is none."""
    kept = disk.read(OPERATOR_FILE)
    text = kept.decode("ascii", "replace").strip() if kept is not None else ""
    if not text.startswith("cor_"):
        _, text = mint(chance)
        disk.write_atomic(OPERATOR_FILE, f"{text}\n".encode())
    return digest(text)


@dataclass(frozen=True, slots=True)
class Account:
    """Who shows a token: `roles` by participant."""

    user: str
    name: str
    roles: Mapping[str, frozenset[str]]
    token: str = ""

    def of(self, slug: str) -> Actor:
        """The person at one participant's desk."""
        return Actor(user=self.user, roles=self.roles.get(slug, frozenset()))

    @property
    def everywhere(self) -> frozenset[str]:
        """Roles that hold for every participant of this node: what node-wide verbs look at."""
        held = list(self.roles.values())
        return frozenset.intersection(*held) if held else frozenset()


class Tokens:
    """Tokens of the node."""

    def __init__(self, means: Means) -> None:
        """`operator`: the digest of the operator's token, empty until the node starts."""
        self._means = means
        self.operator = ""

    async def account(self, authorization: str | None) -> Account:
        """Who this is; raises NotSignedIn, in the same words for every cause."""
        kind, _, secret = (authorization or "").strip().partition(" ")
        secret = secret.strip()
        if kind.lower() != "bearer" or not secret or len(secret) > TOKEN_CHARS_MAX:
            raise NotSignedIn("a token is needed", mend="corridor help profiles")
        shown = digest(secret)
        if self.operator and hmac.compare_digest(shown, self.operator):
            return Account(OPERATOR, OPERATOR, self._all(self._operator_roles()))
        kept = self._means.ground.store.node.api_tokens.by_sha256(shown)
        now = micros(self._means.ground.now())
        if kept is None or kept.kind != "token" or kept.expires <= now:
            raise NotSignedIn("this token is not good here", mend="corridor help profiles")
        if kept.last_used is None or now - kept.last_used > USED_EVERY_S * 1_000_000:
            used = self._means.ground.store.node.api_tokens.used(kept.token_id, now)
            await self._means.ground.store.run(Unit((used,)))
        return self._account(kept)

    def _operator_roles(self) -> frozenset[str]:
        """Every role while nobody else is known, then the operator's alone."""
        alone = self._means.ground.store.node.users.count() == 0
        return frozenset(ROLES) if alone else frozenset({OPERATOR})

    def _all(self, roles: frozenset[str]) -> dict[str, frozenset[str]]:
        return dict.fromkeys(self._means.ground.homes, roles)

    def _account(self, kept: ApiToken) -> Account:
        roles = frozenset(msgspec.json.decode(kept.roles, type=list[str]))
        # A participant without a role stands here too, else `everywhere` would not see it.
        held = {
            slug: roles if not kept.scope or kept.scope == slug else frozenset[str]()
            for slug in self._means.ground.homes
        }
        return Account(kept.user_id, kept.user_id, held, kept.token_id)

    def me(self, account: Account) -> Me:
        """Who asks."""
        return Me(
            user=account.user,
            name=account.name,
            roles={slug: sorted(roles) for slug, roles in account.roles.items() if roles},
            token=account.token,
        )

    # verbs

    async def add(self, account: Account, ask: TokenAsk) -> TokenView:
        """A new token, in the name `ask.name`; nobody gives more than it has."""
        slugs = [ask.participant] if ask.participant else list(self._means.ground.homes)
        unknown = [role for role in ask.roles if role not in ROLES]
        if unknown or not ask.roles:
            raise Invalid("a token has one or more roles", cause=f"of: {', '.join(ROLES)}")
        if ask.participant and ask.participant not in self._means.ground.homes:
            raise Invalid("no such participant")
        if not 1 <= ask.days <= DAYS_MAX:
            raise Invalid(f"a token lives 1 to {DAYS_MAX} days")
        name = ask.name.strip()
        if not name or len(name) > 100 or not name.isprintable() or name == OPERATOR:
            raise Invalid("a token has a name of 1 to 100 characters, and not operator's")
        for slug in slugs:
            if not set(ask.roles) <= account.roles.get(slug, frozenset()):
                raise NotAllowed("nobody gives a role that it has not")
        store = self._means.ground.store.node.api_tokens
        if len(store.of_user(name)) >= self._means.ground.limits.tokens_per_user_max:
            raise Invalid(f"{name} has as many tokens as it may have")
        prefix, secret = mint(self._means.ground.world.chance)
        now = self._means.ground.now()
        record = ApiToken(
            token_id=self._means.ground.world.chance.uuid7(),
            user_id=name,
            prefix=prefix,
            sha256=digest(secret),
            roles=msgspec.json.encode(sorted(set(ask.roles))),
            scope=ask.participant,
            created=micros(now),
            expires=micros(now + timedelta(days=ask.days)),
        )
        names = list(dict.fromkeys([*self._names(), name]))
        put = self._means.ground.store.node.meta.put(NAMES, msgspec.json.encode(names).decode())
        noted = self._noted(account, "token.add", record)
        await self._means.ground.store.run(Unit((store.insert(record), put), noted))
        return self._view(record, secret)

    def _names(self) -> list[str]:
        """Everybody who ever got a token: tokens are read by name."""
        kept = self._means.ground.store.node.meta.get(NAMES)
        return [] if kept is None else msgspec.json.decode(kept, type=list[str])

    def page(self, *, after: str, limit: int) -> Page[TokenView]:
        """All that were not revoked, expired ones too."""
        store = self._means.ground.store.node.api_tokens
        every = [it for name in self._names() for it in store.of_user(name) if it.kind == "token"]
        every.sort(key=lambda it: it.pk or 0)
        start = paging.position(after)
        behind = [it for it in every if (it.pk or 0) > start][: limit + 1]
        following = str(behind[limit - 1].pk) if len(behind) > limit else None
        return Page(items=[self._view(it) for it in behind[:limit]], next=following)

    def _noted(self, account: Account, action: str, it: ApiToken) -> tuple[Leaf, ...]:
        """Entries of each participant whom the token opens."""
        homes = self._means.ground.homes
        roles = msgspec.json.decode(it.roles)
        return tuple(
            self._means.acted(homes[slug], account.of(slug), action, it.token_id, roles=roles)
            for slug in ([it.scope] if it.scope else homes)
            if slug in homes
        )

    async def revoke(self, account: Account, token_id: str) -> None:
        """It is good no more, from the next request on."""
        store = self._means.ground.store.node.api_tokens
        known = store.get(token_id)
        if known is None:
            raise NotFound("no such token")
        noted = self._noted(account, "token.revoke", known)
        await self._means.ground.store.run(Unit((store.delete(token_id),), noted))

    def _view(self, it: ApiToken, secret: str = "") -> TokenView:
        return TokenView(
            id=it.token_id,
            name=it.user_id,
            prefix=it.prefix,
            roles=msgspec.json.decode(it.roles),
            participant=it.scope,
            created=when(it.created),
            expires=when(it.expires),
            last_used=when_or_none(it.last_used),
            secret=secret,
        )


NAMES = "token-names"
