# SPDX-License-Identifier: Apache-2.0
"""Data-plane sessions of a provider: opened, paused, resumed, ended, and their tokens (node.md d).

A token is derived, never stored: `c1.<sid>.<generation>.<mac>`, the mac over participant, sid,
generation and use under the participant's session key. What ends a session in the store cuts its
streams through its `Cut` before anybody is answered.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import structlog

from corridor import telemetry
from corridor.engine.clerk import Clerk
from corridor.engine.draft import Draft
from corridor.engine.ground import Ground, Home, micros, moment, stamp
from corridor.engine.keyring import Keyring
from corridor.engine.library import Library
from corridor.errors import (
    Changed,
    CorridorError,
    FetchFailed,
    PeerMustWait,
    Refused,
    StoreUnavailable,
    Unauthenticated,
)
from corridor.policy import judge as j
from corridor.policy.permit import Permit
from corridor.protocol.machine import Role
from corridor.protocol.transfer import State
from corridor.services import Offered, Opened, Service
from corridor.store.agreements import Agreement
from corridor.store.sessions import Session
from corridor.store.transfers import Transfer
from corridor.store.unit import Conflict, Leaf, Unit
from corridor.wire.transfer import DataAddress

RETRIES_S = (1.0, 10.0, 60.0)
RENEW_PART = 0.8
AGAIN_S = 1.0  # the store was away
log = structlog.get_logger()


class Cut:
    """Tells the streams of a session that no byte may leave any more, and why."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.rule = ""

    def now(self, rule: str) -> None:
        """Cut; the first reason stands."""
        if not self._event.is_set():
            self.rule = rule
            self._event.set()

    @property
    def done(self) -> bool:
        """Whether it was cut."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return when it is cut."""
        await self._event.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A session whose token was shown and held."""

    home: Home
    session: Session
    agreement: Agreement
    permit: Permit
    offered: Offered
    service: Service
    cut: Cut


class Sessions:
    """The sessions of all participants of this node."""

    def __init__(self, ground: Ground, clerk: Clerk, library: Library, keyring: Keyring) -> None:
        self._ground = ground
        self._clerk = clerk
        self._library = library
        self._keyring = keyring
        self._cuts: dict[str, Cut] = {}
        self._tasks: dict[asyncio.Future[None], None] = {}
        self.opened: Callable[[Home, str], Awaitable[None]] | None = None
        self.not_opened: Callable[[Home, str, str], Awaitable[None]] | None = None

    # in the unit of a transition

    def prepare(self, draft: Draft, it: Transfer) -> None:
        """A session that is to be opened once this is durable."""
        store = self._ground.store.of(draft.home.slug)
        agreement = store.agreements.get(it.agreement_id, Role.PROVIDER)
        assert agreement is not None
        permit = self._library.permit(draft.home, agreement)
        now = self._ground.now()
        life = now + timedelta(seconds=self._ground.limits.session_token_life_s)
        ends = permit.ends or life
        sid = base64.b32encode(self._ground.world.chance.bytes(10)).decode().lower()
        session = Session(
            participant=draft.home.slug,
            sid=sid,
            transfer=it.pid,
            agreement_id=it.agreement_id,
            asset=agreement.asset,
            service=agreement.service,
            permit_sha=permit.permit_hash,
            generation=1,
            generation_at=micros(now),
            purpose=_single_purpose(permit),
            opened=micros(now),
            expires=micros(min(life, ends)),
            state="opening",
        )
        draft.writes.append(store.sessions.insert(session))
        draft.set(sid=sid)
        home, pid = draft.home, it.pid
        draft.after.append(lambda: self._spawn(self.open(home, pid)))

    def pause(self, draft: Draft, it: Transfer) -> None:
        """SUSPENDED: no byte more, the session stays."""
        self._change(draft, it, "suspended", "suspended")

    def end(self, draft: Draft, it: Transfer, code: str) -> None:
        """COMPLETED or TERMINATED: the session closes once its acts have their receipts."""
        session = self._of(draft.home, it)
        if session is None or session.state in ("closed", "closing"):
            return
        self._change(draft, it, "closing", code)
        home, sid = draft.home, session.sid
        draft.after.append(lambda: self._spawn(self._close(home, sid, code)))

    def resume(self, draft: Draft, it: Transfer) -> None:
        """STARTED again after a suspension: a new generation of tokens."""
        session = self._of(draft.home, it)
        if session is None or session.state != "suspended":
            return
        store = self._ground.store.of(draft.home.slug).sessions
        raised = store.update(
            session,
            state="open",
            generation=session.generation + 1,
            generation_at=micros(self._ground.now()),
            reason=None,
        )
        draft.writes.append(raised)
        draft.leaf("session.resumed", agreement=it.agreement_id, process=None, session=session.sid)
        sid = session.sid
        draft.after.append(lambda: self._uncut(sid))

    def _uncut(self, sid: str) -> None:
        """New streams of a resumed session; those that were cut stay cut."""
        self._cuts.pop(sid, None)

    def _change(self, draft: Draft, it: Transfer, state: str, code: str) -> None:
        session = self._of(draft.home, it)
        if session is None or session.state in (state, "closed", "closing"):
            return
        store = self._ground.store.of(draft.home.slug)
        draft.writes.append(store.sessions.update(session, state=state, reason=code))
        if state == "suspended":
            draft.leaf(
                "session.suspended",
                agreement=it.agreement_id,
                process=None,
                session=session.sid,
                code=code,
            )
        draft.after.append(lambda: self.cut(session.sid, code))

    def _of(self, home: Home, it: Transfer) -> Session | None:
        return self._ground.store.of(home.slug).sessions.by_transfer(it.pid)

    # opening and closing

    async def open(self, home: Home, pid: str) -> None:
        """Let the service make ready, then tell the peer (`opened`), or end (`not_opened`)."""
        await self._until_written(lambda: self._open(home, pid))

    async def _open(self, home: Home, pid: str) -> None:
        most = self._ground.limits.service_open_retries_max
        for wait in (*RETRIES_S[:most], None):
            session = self._ground.store.of(home.slug).sessions.by_transfer(pid)
            if session is not None and session.state == "open":
                await self._tell(home, pid)
                return
            if session is None or session.state != "opening":
                return
            try:
                async with asyncio.timeout(self._ground.limits.service_open_s):
                    opened = await self._opened(home, session)
            except (FetchFailed, TimeoutError) as later:
                if wait is None:
                    await self._refuse(home, session, "not-opened")
                    return
                log.info(telemetry.SESSION_OPENED, sid=session.sid, again_s=wait, why=str(later))
                await self._ground.world.clock.sleep(wait)
                continue
            except (StoreUnavailable, PeerMustWait):
                raise
            except CorridorError as refused:
                rule = getattr(refused, "rule", "") or refused.code
                await self._refuse(home, session, rule)
                return
            await self._commit_open(home, session, opened)
            return

    def _decided(self, home: Home, session: Session, rule: str = "") -> Leaf:
        """The judge's word on a session that is to begin."""
        return self._clerk.leaf(
            home,
            "decision",
            agreement=session.agreement_id,
            subject=session.sid,
            outcome="denied" if rule else "allowed",
            rule=rule,
            permit=session.permit_sha,
        )

    async def _opened(self, home: Home, session: Session) -> Opened:
        agreement = self._agreement(home, session)
        permit = self._library.permit(home, agreement)
        denied = self._judge_session(home, agreement, permit)
        if denied is not None:
            raise Refused("the judge says no", rule=denied.rule)
        service = self._ground.services[session.service]
        return await service.open(session.sid, permit, self._offered(home, session))

    async def _commit_open(self, home: Home, session: Session, opened: Opened) -> None:
        store = self._ground.store.of(home.slug)
        it = store.transfers.get(session.transfer)
        leaf = self._clerk.leaf(
            home,
            "session.opened",
            agreement=session.agreement_id,
            session=session.sid,
            format="" if it is None else it.format,
        )
        write = store.sessions.update(session, state="open", detail=msgspec.json.encode(opened))
        try:
            decided = self._decided(home, session)
            await self._ground.store.run(Unit((write,), (decided, leaf)))
        except Conflict:
            await self._let_go(self._ground.services[session.service], session.sid)
            return
        log.info(telemetry.SESSION_OPENED, participant=home.slug, sid=session.sid)
        await self._tell(home, session.transfer)

    async def _tell(self, home: Home, pid: str) -> None:
        """Say START, unless that is said: a crash may lie between the session and its START."""
        it = self._ground.store.of(home.slug).transfers.get(pid)
        waits = it is not None and it.state == State.REQUESTED and it.pending is None
        if waits and self.opened is not None:
            await self.opened(home, pid)

    async def _until_written(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it again while the store is away: what is due stays due."""
        while True:
            try:
                await work()
            except (StoreUnavailable, PeerMustWait) as away:
                log.warning(telemetry.STORE_UNAVAILABLE, cause=away.cause or away.what)
                await self._ground.world.clock.sleep(AGAIN_S)
            else:
                return

    async def _refuse(self, home: Home, session: Session, code: str) -> None:
        await self._ground.store.run(Unit((), (self._decided(home, session, code),)))
        if self.not_opened is not None:
            await self.not_opened(home, session.transfer, code)

    async def _close(self, home: Home, sid: str, code: str) -> None:
        """Wait for the receipts of what was cut, then say in the ledger that it is closed."""
        await self._until_written(lambda: self._try_close(home, sid, code))

    async def _try_close(self, home: Home, sid: str, code: str) -> None:
        store = self._ground.store.of(home.slug)
        await self._ground.bells.until(
            f"acts|{sid}", lambda: True if not store.acts.open_of_session(sid) else None, 10.0
        )
        session = store.sessions.get(sid)
        if session is None or session.state == "closed":
            return
        service = self._ground.services.get(session.service)
        if service is not None:
            await self._let_go(service, sid)
        leaf = self._clerk.leaf(
            home,
            "session.closed",
            agreement=session.agreement_id,
            session=sid,
            code=code,
        )
        try:
            write = store.sessions.update(session, state="closed")
            await self._ground.store.run(Unit((write,), (leaf,)))
        except Conflict:
            return
        self._cuts.pop(sid, None)
        log.info(telemetry.SESSION_CLOSED, participant=home.slug, sid=sid, code=code)

    async def _let_go(self, service: Service, sid: str) -> None:
        """Tell the service; what it does not let go in time does not hold the session."""
        try:
            async with asyncio.timeout(self._ground.limits.service_close_s):
                await service.close(sid)
        except (TimeoutError, CorridorError) as error:
            log.warning(telemetry.SESSION_CLOSED, sid=sid, service=service.name, why=str(error))

    async def recover(self) -> None:
        """Take up what a crash left: sessions to open, sessions to close."""
        for home in self._ground.homes.values():
            sessions = self._ground.store.of(home.slug).sessions
            for session in sessions.in_states(("opening", "open")):
                self._spawn(self.open(home, session.transfer))
            for session in sessions.in_states(("closing",)):
                self._spawn(self._close(home, session.sid, session.reason or "ended"))

    async def stop(self) -> None:
        """Let go of what waits; the rows say what is due."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def closing(self, home: Home, sid: str, code: str) -> None:
        """Close what was marked closing, once its receipts are written."""
        self._spawn(self._close(home, sid, code))

    # cutting

    def cut(self, sid: str, rule: str) -> None:
        """No byte more in this session, on any stream, from now on."""
        self._cuts.setdefault(sid, Cut()).now(rule)
        log.info(telemetry.SESSION_CUT, sid=sid, rule=rule)

    # tokens

    def token(self, home: Home, session: Session, *, use: str = "b") -> str:
        """The bearer token of a session's present generation."""
        mac = self._mac(home, session.sid, session.generation, use)
        return f"c1.{session.sid}.{session.generation}.{mac}"

    def _mac(self, home: Home, sid: str, generation: int, use: str) -> str:
        told = f"{home.slug}|{sid}|{generation}|{use}".encode()
        mac = self._ground.world.keys.hmac(self._keyring.active(home.slug, "session"), told)
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def admit(self, home: Home, sid: str, token: str | None) -> Admitted:
        """The session whose token this is.

        Raises:
            Unauthenticated: no such session, or not its token: one answer for all causes.
            Refused: it is suspended.
        """
        session = self._ground.store.of(home.slug).sessions.get(sid) if token else None
        if session is None or not self._holds(home, session, token or ""):
            raise Unauthenticated("no valid session token")
        now = self._ground.now()
        if session.state == "suspended":
            raise Refused("this session is suspended", rule="agreement")
        if session.state != "open" or now >= moment(session.expires):
            raise Unauthenticated("no valid session token")
        agreement = self._agreement(home, session)
        if agreement.state == "broken":
            raise Refused("this node cannot serve the agreement any more", rule="agreement")
        return Admitted(
            home=home,
            session=session,
            agreement=agreement,
            permit=self._library.permit(home, agreement),
            offered=self._offered(home, session),
            service=self._ground.services[session.service],
            cut=self._cuts.setdefault(sid, Cut()),
        )

    def recognise(self, home: Home, sid: str, token: str | None) -> Session:
        """The session whose token this is, whatever state it is in; raises Unauthenticated."""
        session = self._ground.store.of(home.slug).sessions.get(sid) if token else None
        if session is None or not self._holds(home, session, token or ""):
            raise Unauthenticated("no valid session token")
        return session

    def _holds(self, home: Home, session: Session, token: str) -> bool:
        for generation in (session.generation, session.generation - 1):
            mac = self._mac(home, session.sid, generation, "b")
            expected = f"c1.{session.sid}.{generation}.{mac}"
            if hmac.compare_digest(expected.encode(), token.encode()):
                age = (micros(self._ground.now()) - session.generation_at) / 1e6
                fresh = age < self._ground.limits.session_overlap_s
                return generation == session.generation or fresh
        return False

    # what a session rests on

    def address(self, home: Home, it: Transfer) -> DataAddress:
        """Where the consumer reads, with the token of the present generation."""
        session = self._of(home, it)
        if session is None or session.state == "opening":
            raise Changed("the session is still being opened")
        opened = msgspec.json.decode(session.detail, type=Opened)
        properties = {
            "authorization": self.token(home, self._raised(it, session)),
            "authType": "bearer",
            "renewAt": renew_at(session),
            **opened.properties,
        }
        endpoint = f"{home.base_url}/data/{session.sid}{opened.path}"
        return DataAddress.build(opened.endpoint_type, endpoint, properties)

    def _raised(self, it: Transfer, session: Session) -> Session:
        """In the unit of a resume the generation is not yet in the store."""
        if session.state == "suspended":
            return msgspec.structs.replace(session, generation=session.generation + 1)
        del it
        return session

    def may_open(self, home: Home, it: Transfer) -> j.Denied | None:
        """Whether the agreement still lets this transfer be served."""
        agreement = self._ground.store.of(home.slug).agreements.get(it.agreement_id, Role.PROVIDER)
        if agreement is None:
            return j.Denied(rule="agreement")
        return self._judge_session(home, agreement, self._library.permit(home, agreement))

    def _judge_session(self, home: Home, agreement: Agreement, permit: Permit) -> j.Denied | None:
        now = self._ground.now()
        verdict = j.judge(
            j.Point.SESSION,
            permit,
            j.Facts(),
            who=self._library.people.who(agreement.peer),
            counters=self._library.counters(home, agreement.agreement_id, permit, now),
            standing=j.Standing(
                state=agreement.state,
                permit_hash=permit.permit_hash,
                clock_floor=self._library.clock_floor(home),
            ),
            now=now,
        )
        return verdict if isinstance(verdict, j.Denied) else None

    def _agreement(self, home: Home, session: Session) -> Agreement:
        agreements = self._ground.store.of(home.slug).agreements
        record = agreements.get(session.agreement_id, Role.PROVIDER)
        if record is None:
            raise Refused("no such agreement", rule="agreement")
        return record

    def _offered(self, home: Home, session: Session) -> Offered:
        asset = self._ground.store.of(home.slug).assets.get(session.asset)
        if asset is None:
            raise Refused("the asset is gone", rule="agreement")
        source = self._ground.world.keys.open(f"source|{home.slug}", asset.source)
        return Offered(
            participant=home.slug,
            asset_id=asset.asset_id,
            source=msgspec.json.decode(source),
            detail=msgspec.json.decode(asset.detail),
        )


def renew_at(session: Session) -> str:
    """When the consumer should have the token made new: at 80 % of its life (node.md d)."""
    since, until = moment(session.generation_at), moment(session.expires)
    return stamp(since + (until - since) * RENEW_PART)


def _single_purpose(permit: Permit) -> str | None:
    """The one purpose that a session's token can be bound to, where there is only one."""
    named = {frozenset(rule.purposes or ()) for rule in permit.rules if rule.action != "share"}
    if len(named) != 1:
        return None
    (purposes,) = named
    return next(iter(purposes)) if len(purposes) == 1 else None
