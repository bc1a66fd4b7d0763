# SPDX-License-Identifier: Apache-2.0
"""A session's token is made new before its life is over (node.md d), on either side.

The consumer asks `POST …/data/<sid>/renew` with its own self-issued token; the provider judges the
session again, raises its generation, and answers with the new token. The one before stays good for
the overlap. Peers that do not know this route resume, or ask for another transfer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from corridor.engine.clerk import Clerk
from corridor.engine.ground import Ground, Home, micros, stamp
from corridor.engine.sessions import Sessions, renew_at
from corridor.engine.transfer import Transfers
from corridor.errors import FetchFailed, NotFound, PeerMustWait, Refused, Unauthenticated
from corridor.identity.token import Caller
from corridor.protocol.machine import Role
from corridor.store.keys import SeenToken
from corridor.store.sessions import Session
from corridor.store.transfers import Transfer
from corridor.store.unit import Conflict, Unit, Write
from corridor.wire.transfer import DataAddress
from corridor.world import Request

RENEW_AT = "renewAt"
AGAIN_S = 60.0
TRIED_KEPT_MAX = 10_000
BODY = b"{}"


class Renewed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the provider answers: `renew_at` is ISO 8601, UTC."""

    authorization: str
    renew_at: str


class Renewal:
    """Both sides of it."""

    def __init__(
        self, ground: Ground, clerk: Clerk, sessions: Sessions, transfers: Transfers
    ) -> None:
        self._ground = ground
        self._clerk = clerk
        self._sessions = sessions
        self._transfers = transfers
        self._tried: dict[str, float] = {}

    # as provider

    async def grant(self, home: Home, sid: str, caller: Caller) -> Renewed:
        """A token of a new generation, for the consumer of the agreement alone.

        Raises:
            NotFound: there is no such session, for this caller.
            Refused: it is not open, or the judge says no.
        """
        store = self._ground.store.of(home.slug)
        for _ in range(self._ground.limits.conflict_retries_max):
            session = store.sessions.get(sid)
            it = None if session is None else store.transfers.get(session.transfer)
            if session is None or it is None or it.peer != caller.did:
                raise NotFound("no such session")
            if session.state != "open":
                raise Refused("this session is not open", rule="agreement")
            denied = self._sessions.may_open(home, it)
            if denied is not None:
                raise Refused("the agreement does not allow this", rule=denied.rule)
            soon = self._is_new(session)
            raised = session if soon else self._raised(session, self._ends(home, session))
            unit = (
                Unit(self._used(home, caller))
                if soon
                else self._unit(home, session, raised, caller)
            )
            try:
                if unit.writes:
                    await self._ground.store.run(unit)
            except Conflict as conflict:
                if conflict.write.statement.name.startswith("seen_token"):
                    raise Unauthenticated("this token was used before") from conflict
                continue
            return Renewed(
                authorization=self._sessions.token(home, raised),
                renew_at=renew_at(raised),
            )
        raise PeerMustWait("the session keeps changing")

    def _ends(self, home: Home, session: Session) -> int | None:
        agreements = self._ground.store.of(home.slug).agreements
        agreement = agreements.get(session.agreement_id, Role.PROVIDER)
        return None if agreement is None else agreement.ends_at

    def _is_new(self, session: Session) -> bool:
        """Renewed while the one before is still good: that token is told again, not another.

        Else a peer could fill our ledger, and a lost answer would cost it the token it holds.
        """
        age_s = (micros(self._ground.now()) - session.generation_at) / 1e6
        return session.generation > 1 and 0 <= age_s < self._ground.limits.session_overlap_s

    def _used(self, home: Home, caller: Caller) -> tuple[Write, ...]:
        """The caller's token is used up."""
        if not caller.jti:
            return ()
        used = SeenToken(
            participant=home.slug,
            issuer=caller.did,
            jti=caller.jti,
            expires=micros(caller.expires),
        )
        return (self._ground.store.of(home.slug).tokens.insert(used),)

    def _raised(self, session: Session, ends: int | None) -> Session:
        now = self._ground.now()
        life = micros(now + timedelta(seconds=self._ground.limits.session_token_life_s))
        return msgspec.structs.replace(
            session,
            generation=session.generation + 1,
            generation_at=micros(now),
            expires=life if ends is None else min(life, ends),
        )

    def _unit(self, home: Home, session: Session, raised: Session, caller: Caller) -> Unit:
        store = self._ground.store.of(home.slug)
        update = store.sessions.update(
            session,
            generation=raised.generation,
            generation_at=raised.generation_at,
            expires=raised.expires,
        )
        leaf = self._clerk.leaf(
            home,
            "decision",
            agreement=session.agreement_id,
            subject=session.sid,
            outcome="renewed",
            permit=session.permit_sha,
        )
        return Unit((update, *self._used(home, caller)), (leaf,))

    # as consumer

    async def address(
        self, home: Home, peer: str, it: Transfer, address: DataAddress
    ) -> DataAddress:
        """The address with a new token where it is time for one; else, or on failure, as it is."""
        due = address.property(RENEW_AT)
        url = _route(address)
        if not due or not url or stamp(self._ground.now()) < due or not self._may_try(it.pid):
            return address
        authorization = await home.identify.authorize(
            slug=home.slug, did=home.did, audience=peer, body=BODY
        )
        headers = {"authorization": authorization, "content-type": "application/json"}
        asked = Request(purpose="plane", method="POST", url=url, headers=headers, body=BODY)
        try:
            answer = await self._ground.world.net.fetch(asked)
            if answer.status != 200:
                return address
            told = msgspec.json.decode(answer.body, type=Renewed)
        except (FetchFailed, msgspec.MsgspecError, RecursionError, UnicodeError):
            return address
        renewed = _with(address, {"authorization": told.authorization, RENEW_AT: told.renew_at})
        transfers = self._ground.store.of(home.slug).transfers
        write = transfers.update(it, data_address=self._transfers.seal(home, renewed))
        try:
            await self._ground.store.run(Unit((write,)))
        except Conflict:
            return address  # it moved on; the token before is good for the overlap
        self._tried.pop(it.pid, None)
        return renewed

    def _may_try(self, pid: str) -> bool:
        """One at a time, and not again at once where it failed."""
        now = self._ground.world.clock.monotonic()
        if now - self._tried.get(pid, -AGAIN_S) < AGAIN_S:
            return False
        self._tried[pid] = now
        if len(self._tried) > TRIED_KEPT_MAX:
            self._tried.pop(next(iter(self._tried)))
        return True


def _route(address: DataAddress) -> str:
    """Where a Corridor provider renews; empty where the address is not of one."""
    endpoint, token = address.property("endpoint") or "", address.property("authorization") or ""
    parts = token.split(".")
    if parts[0] != "c1" or len(parts) != 4:
        return ""
    base, found, _ = endpoint.partition(f"/data/{parts[1]}")
    return f"{base}{found}/renew" if found else ""


def _with(address: DataAddress, told: Mapping[str, str]) -> DataAddress:
    """The same address with other values."""
    changed = tuple(
        msgspec.structs.replace(each, value=told[name])
        if (name := each.name.rpartition("/")[2]) in told
        else each
        for each in address.endpoint_properties
    )
    return msgspec.structs.replace(address, endpoint_properties=changed)
