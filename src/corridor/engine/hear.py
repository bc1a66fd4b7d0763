# SPDX-License-Identifier: Apache-2.0
"""What happens when a peer speaks: every inbound protocol message, top to bottom (node.md c).

The numbers are those of the table "Hear". Rows 1 and 2 (route, size, rate) are the HTTP floor's.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from corridor.engine.clerk import Clerk
from corridor.engine.deliver import Deliver
from corridor.engine.draft import Draft, Record, Talk, is_taken, process_of
from corridor.engine.ground import Ground, Home, micros
from corridor.errors import (
    CannotHonour,
    NotFound,
    PeerMustWait,
    RemoteProtocolError,
    Unauthenticated,
)
from corridor.identity.token import Caller
from corridor.protocol.machine import Machine, Role
from corridor.store.boxes import Heard as HeardRow
from corridor.store.keys import SeenToken
from corridor.store.transfers import Transfer
from corridor.store.unit import Conflict, Unit, Write
from corridor.wire.codec import Message

END = "TERMINATE"
REFUSED_KEPT_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to answer; `release` is called once the answer was handed to the transport."""

    status: int
    body: bytes
    release: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A message that was read, from somebody whom we know: the bytes are evidence."""

    caller: Caller
    message: Message
    raw: bytes
    path: str

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes as they came, hex."""
        return hashlib.sha256(self.raw).hexdigest()


class Ear:
    """Hears for negotiations and transfers alike."""

    def __init__(self, ground: Ground, clerk: Clerk, deliver: Deliver) -> None:
        self._ground = ground
        self._clerk = clerk
        self._deliver = deliver
        self._refused: dict[str, tuple[int, int]] = {}
        self._beginning: Counter[tuple[str, str]] = Counter()

    async def identify(
        self, home: Home, authorization: str | None, raw: bytes | None, source: str
    ) -> Caller:
        """(3) Who speaks."""
        return await home.identify.caller(authorization, audience=home.did, body=raw, source=source)

    async def hear(self, home: Home, talk: Talk, pid: str, heard: Heard) -> Reply:
        """A message to a process that exists: (5) to (12)."""
        error: Exception = PeerMustWait("the process keeps changing")
        async with self._ground.turns.take(pid):
            for _ in range(self._ground.limits.conflict_retries_max):
                record = talk.find(home, pid)
                if record is None or record.peer != heard.caller.did:
                    raise NotFound("no such process")
                self._check_pids(record, heard.message)
                step = talk.step_of(heard.message)
                if self._repeated(home, talk, record, heard, step):  # (6)
                    return self._reply(talk, record, 200, None)
                try:
                    draft = self._draft(home, talk, record, heard, step)
                except (RemoteProtocolError, CannotHonour) as refusal:
                    await self._refuse(home, record, heard, refusal)
                    raise
                try:
                    await self._commit(draft, heard)  # (11)
                except Conflict as conflict:
                    error = conflict
                    continue
                return self._reply(talk, draft.record, 200, draft)  # (12)
        raise PeerMustWait("the process keeps changing") from error

    async def begin(
        self, home: Home, create: Callable[[Home, Heard], Awaitable[Reply]], heard: Heard
    ) -> Reply:
        """A message that may begin a process; a refusal of it is written down like any other."""
        place = home.slug, heard.caller.did
        self._beginning[place] += 1
        try:
            return await create(home, heard)
        except (RemoteProtocolError, CannotHonour) as refusal:
            await self._refuse(home, None, heard, refusal)
            raise
        finally:
            self._beginning[place] -= 1
            if not self._beginning[place]:
                del self._beginning[place]

    def beginning(self, home: Home, peer: str) -> int:
        """How many processes this peer is beginning at this moment; no store knows them yet."""
        return self._beginning[home.slug, peer]

    async def create(self, draft: Draft, heard: Heard, step: str) -> Reply:
        """A message that begins a process; its checks are the talk's own (11), (12)."""
        talk = draft.talk
        draft.become(talk.machine.hear(process_of(draft.record), step).process)
        self._note(draft, heard, status=201)
        talk.enter(draft, speak=True)
        try:
            await self._commit(draft, heard)
        except Conflict as conflict:
            raise PeerMustWait("this process is being created") from conflict
        return self._reply(talk, draft.record, 201, draft)

    def again(self, talk: Talk, record: Record) -> Reply:
        """A creation that was heard before: the process as it is now."""
        return self._reply(talk, record, 201, None)

    async def seen(self, home: Home, caller: Caller) -> None:
        """Record the token of a request that changes nothing (a GET); raises Unauthenticated."""
        if not caller.jti:
            return
        try:
            await self._ground.store.run(Unit((self._token(home, caller),)))
        except Conflict as conflict:
            raise Unauthenticated("this token was used before") from conflict

    def _check_pids(self, record: Record, message: Message) -> None:
        """(5) The body's pids are the process's; an unknown one of the peer is learned here."""
        ours, theirs = record.pid, record.peer_pid
        consumer = getattr(message, "consumer_pid", None)
        provider = getattr(message, "provider_pid", None)
        if record.role == Role.PROVIDER:
            consumer, provider = provider, consumer
        # None stands in the first form of a request or an offer, which names no process at all.
        if consumer != ours or (theirs and provider != theirs):
            raise RemoteProtocolError("the pids are not those of this process", code="pid-mismatch")

    def _repeated(self, home: Home, talk: Talk, record: Record, heard: Heard, step: str) -> bool:
        """(6) Heard before: the same again is harmless."""
        inbox = self._ground.store.of(home.slug).inbox
        machine = talk.machine
        kind = type(heard.message).__name__
        if heard.message.id_ is not None:
            same = [row for row in inbox.seen(record.pid, heard.message.id_) if row.type == kind]
            return any(row.sha256 == heard.digest for row in same) or (
                bool(same) and not self._legal(machine, record, step)
            )
        if self._legal(machine, record, step):
            return False
        known = inbox.seen_digest(record.pid, heard.digest)
        return known is not None and known.type == kind

    def _legal(self, machine: Machine, record: Record, step: str) -> bool:
        try:
            machine.hear(process_of(record), step, after_resume=_after_resume(record))
        except PeerMustWait:
            return True
        except RemoteProtocolError:
            return False
        return True

    def _draft(self, home: Home, talk: Talk, record: Record, heard: Heard, step: str) -> Draft:
        """(8) to (10): is it legal, is it right, and what follows."""
        most = self._ground.limits.negotiation_messages_max
        if talk.kind == "negotiation" and record.messages >= most and step != END:
            raise RemoteProtocolError("too many messages in this process", code="too-many-rounds")
        draft = Draft(self._ground, self._clerk, talk, home, record)
        self._learn_pid(draft, heard.message)
        outcome = talk.machine.hear(process_of(record), step, after_resume=_after_resume(record))
        if outcome.acknowledged is not None:
            draft.drop_pending(acknowledged=True)
            draft.become(talk.machine.acked(process_of(record)))
            if draft.record.state != outcome.process.state:  # one wish of both is entered once
                talk.enter(draft, speak=False)
        elif outcome.superseded is not None or outcome.yielded is not None:
            draft.drop_pending(acknowledged=False)
        draft.become(outcome.process)
        talk.weigh(draft, heard.message)  # (9) (10)
        self._note(draft, heard)
        talk.enter(draft, speak=True)
        return draft

    def _learn_pid(self, draft: Draft, message: Message) -> None:
        if draft.record.peer_pid:
            return
        mine = draft.record.role == Role.CONSUMER
        theirs = getattr(message, "provider_pid" if mine else "consumer_pid", None)
        if theirs and is_taken(self._ground, draft.home, draft.record, theirs):
            raise RemoteProtocolError("this pid is another process's", code="pid-reused")
        if theirs:
            draft.set(peer_pid=theirs)

    def _note(self, draft: Draft, heard: Heard, *, status: int = 200) -> None:
        """The inbox row, the used token, and the entry of what was heard."""
        home, record = draft.home, draft.record
        store = self._ground.store.of(home.slug)
        kind = type(heard.message).__name__
        now = micros(self._ground.now())
        draft.writes.append(
            store.inbox.insert(
                HeardRow(
                    participant=home.slug,
                    process=record.pid,
                    message_id=heard.message.id_,
                    sha256=heard.digest,
                    type=kind,
                    answer=None,
                    at=now,
                )
            )
        )
        if heard.caller.jti:
            draft.writes.append(self._token(home, heard.caller))
        draft.set(messages=record.messages + 1)
        payloads = {"body": heard.raw}
        if heard.caller.bound:
            payloads["token"] = heard.caller.raw.encode()
        draft.leaf(
            "message.received",
            peer=record.peer,
            protocol="dsp",
            path=heard.path,
            message=kind,
            status=status,
            key=heard.caller.kid,
            payloads=payloads,
        )
        self._note_identity(draft, heard.caller)

    def _note_identity(self, draft: Draft, caller: Caller) -> None:
        """The document that a peer's tokens are verified by, each time it is another one."""
        if not caller.document:
            return
        meta = self._ground.store.node.meta
        name = f"identity|{draft.home.slug}|{caller.did}"
        digest = hashlib.sha256(caller.document).hexdigest()
        if meta.get(name) == digest:
            return
        draft.writes.append(meta.put(name, digest))
        draft.leaf(
            "identity.seen",
            process=None,
            agreement=None,
            did=caller.did,
            digest=digest,
            payloads={"document": caller.document},
        )

    def _token(self, home: Home, caller: Caller) -> Write:
        return self._ground.store.of(home.slug).tokens.insert(
            SeenToken(
                participant=home.slug,
                issuer=caller.did,
                jti=caller.jti,
                expires=micros(caller.expires),
            )
        )

    async def _commit(self, draft: Draft, heard: Heard) -> None:
        try:
            await self._ground.store.run(draft.unit())
        except Conflict as conflict:
            if conflict.write.statement.name.startswith("seen_token"):
                raise Unauthenticated("this token was used before") from conflict
            raise
        self._deliver.heard_from(heard.caller.did, draft.record.pid)
        if draft.dropped is not None:
            self._deliver.forget(draft.dropped)
        draft.committed()

    async def _refuse(
        self, home: Home, record: Record | None, heard: Heard, refusal: Exception
    ) -> None:
        """A refusal is evidence too, and burns the token; of one peer's, so many a minute."""
        code = getattr(refusal, "code", "malformed")
        leaf = self._clerk.leaf(
            home,
            "message.received",
            process=None if record is None else record.pid,
            agreement=record.agreement_id if isinstance(record, Transfer) else None,
            peer=heard.caller.did,
            protocol="dsp",
            path=heard.path,
            message=type(heard.message).__name__,
            status=400,
            code=code,
            payloads={"body": heard.raw},
        )
        writes = (self._token(home, heard.caller),) if heard.caller.jti else ()
        leaves = (leaf,) if self._worth_noting(heard.caller.did) else ()
        if not writes and not leaves:
            return
        try:
            await self._ground.store.run(Unit(writes, leaves))
        except Conflict as conflict:
            raise Unauthenticated("this token was used before") from conflict

    def _worth_noting(self, peer: str) -> bool:
        """A peer that is refused without end does not fill our ledger."""
        minute = int(self._ground.world.clock.monotonic() // 60)
        known, count = self._refused.get(peer, (minute, 0))
        count = count + 1 if known == minute else 1
        self._refused[peer] = minute, count
        if len(self._refused) > REFUSED_KEPT_MAX:
            self._refused.pop(next(iter(self._refused)))
        return count <= self._ground.limits.refusals_noted_per_peer_per_minute

    def _reply(self, talk: Talk, record: Record, status: int, draft: Draft | None) -> Reply:
        body = talk.answer(record, talk.machine.shown(process_of(record)))
        said = draft.said if draft is not None else None
        release = self._deliver.after_answer(said) if said is not None else _nothing
        return Reply(status=status, body=body, release=release)


def _after_resume(record: Record) -> bool:
    return bool(getattr(record, "resume_asked", 0))


def _nothing() -> None:
    """There is nothing to send after this answer."""
