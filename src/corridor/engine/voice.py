# SPDX-License-Identifier: Apache-2.0
"""What we say, and what becomes of it: wishes of people and timers, and the peer's answers.

node.md c, "Say" and "Deliver". The state moves when the peer acknowledges; a refusal is believed
only after the peer's own state was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog

from corridor import telemetry
from corridor.engine.clerk import Clerk
from corridor.engine.decide import Speak
from corridor.engine.deliver import Deliver
from corridor.engine.draft import Draft, Record, Talk, because, is_taken, process_of
from corridor.engine.ground import Ground, Home, micros
from corridor.errors import (
    Changed,
    FetchFailed,
    LocalProtocolError,
    MalformedMessage,
    NotFound,
    PeerMustWait,
    StoreUnavailable,
)
from corridor.protocol.machine import Process, Role
from corridor.store.boxes import Queued
from corridor.store.events import Event
from corridor.store.transfers import Transfer
from corridor.store.unit import Conflict, Unit
from corridor.wire import negotiation as wire_negotiation
from corridor.wire import transfer as wire_transfer
from corridor.wire import version
from corridor.world import Request, Response

END = "TERMINATE"
LEADS_TO = {
    "FINALIZED": "ContractNegotiationEventMessage",
    "COMPLETED": "TransferCompletionMessage",
}
UNHEARD = frozenset({408, 425, 429})
WISHES = frozenset({"TERMINATE", "COMPLETE", "SUSPEND"})
log = structlog.get_logger()


class Voice:
    """Says, and hears the answers to what was said (`deliver.Outcomes`)."""

    def __init__(
        self, ground: Ground, clerk: Clerk, deliver: Deliver, talks: Mapping[str, Talk]
    ) -> None:
        self._ground = ground
        self._clerk = clerk
        self._deliver = deliver
        self._talks = talks
        deliver.bind(self)

    # wishes

    async def begin(self, draft: Draft, speech: Speak) -> Record:
        """Say the first message of a process of ours."""
        draft.say(speech)
        await self._ground.store.run(draft.unit())
        self._sent(draft)
        return draft.record

    async def wish(
        self, home: Home, talk: Talk, pid: str, speech: Speak, *, after_resume: bool = False
    ) -> Record:
        """Say a step in a process, now or as soon as our word under way is settled.

        Raises:
            NotFound: there is no such process.
            Changed: it is final, or the step is not legal where the process stands.
        """
        error: Exception = PeerMustWait("the process keeps changing")
        async with self._ground.turns.take(pid):
            for _ in range(self._ground.limits.conflict_retries_max):
                draft = self._wish(home, talk, pid, speech, after_resume=after_resume)
                try:
                    await self._ground.store.run(draft.unit())
                except (Conflict, StoreUnavailable) as failure:
                    self._unheld(draft)
                    if isinstance(failure, StoreUnavailable):
                        raise
                    error = failure
                    continue
                self._sent(draft)
                return draft.record
        raise error

    def _wish(
        self, home: Home, talk: Talk, pid: str, speech: Speak, *, after_resume: bool
    ) -> Draft:
        record = talk.find(home, pid)
        if record is None:
            raise NotFound(f"no {talk.kind} with this id")
        draft = Draft(self._ground, self._clerk, talk, home, record)
        if record.pending is not None and speech.step in WISHES:
            row = next(iter(self._ground.store.of(home.slug).outbox.of_process(pid)), None)
            if row is not None and self._deliver.hold(row.message_id):
                draft.drop_pending(acknowledged=False)
                draft.become(talk.machine.lost(process_of(record)))
        cause = f"the {talk.kind} is {record.state or 'just beginning'}"
        if record.state in talk.machine.final:
            raise Changed(f"{speech.step.lower()} is not possible: it is over", cause=cause)
        if draft.record.state in talk.machine.final:  # its first word never left
            draft.set(reason=because(speech) or None)
            talk.enter(draft, speak=False)
            return draft
        try:
            draft.say(speech, after_resume=after_resume)
        except LocalProtocolError as illegal:
            self._unheld(draft)
            what = f"{speech.step.lower()} is not possible: {illegal.what}"
            raise Changed(what, cause=cause) from illegal
        except Changed:
            self._unheld(draft)
            raise
        return draft

    def _unheld(self, draft: Draft) -> None:
        """What was to be superseded is not: it leaves after all."""
        if draft.dropped is not None:
            self._deliver.release(draft.dropped)

    def _sent(self, draft: Draft) -> None:
        if draft.dropped is not None:
            self._deliver.forget(draft.dropped)
        draft.committed()
        if draft.said is not None:
            self._deliver.put(draft.said)

    async def imply(self, home: Home, talk: Talk, pid: str, step: str) -> None:
        """The peer's words elsewhere show that it heard this step of ours: acknowledged."""
        record = talk.find(home, pid)
        rows = self._ground.store.of(home.slug).outbox.of_process(pid)
        if record is not None and record.pending == step and rows:
            self._deliver.forget(rows[0].message_id)
            await self._settle(home, rows[0], None, None)

    # answers

    async def acknowledged(self, home: Home, row: Queued, answer: Response) -> None:
        """The peer took our word: the state moves, and what follows is said."""
        await self._settle(home, row, answer, None)

    async def refused(self, home: Home, row: Queued, answer: Response) -> bool:
        """The peer answered no: believe its own state, or end.

        False where it cannot be asked for its state now: something between us may have refused,
        and ending here alone would leave the peer with what we said.
        """
        code, reasons = version.decode_error(answer.body)
        why = ": ".join(part for part in (code, "; ".join(reasons)) if part)[:1000]
        talk, record = self._find(home, row)
        if record is None:
            return True
        target = talk.machine.shown(talk.machine.acked(process_of(record)))
        theirs = await self._peer_state(home, talk, record)
        if theirs is None:
            return False
        if theirs == target:
            await self._settle(home, row, None, None)
        elif theirs in talk.machine.final:
            heard = theirs if self._said(home, record, theirs) else talk.machine.end
            await self._settle(home, row, None, f"peer-{theirs.lower()}", end=heard)
        elif record.state == talk.machine.shown(talk.machine.lost(process_of(record))) == target:
            await self._settle(home, row, None, None)  # the address after a resume: it has one
        elif record.state is None:
            await self._settle(home, row, None, why or f"refused: status {answer.status}")
        elif record.pending == END:
            await self._settle(home, row, None, why or "peer-refused")
        else:
            await self._drop_and_end(home, talk, row, "peer-refused", why)
        return True

    async def unreachable(self, home: Home, row: Queued) -> None:
        """A dead letter: the process keeps its state; a person retries or abandons it."""
        store = self._ground.store.of(home.slug)
        _, record = self._find(home, row)
        if record is None:
            return
        leaf = self._clerk.leaf(
            home,
            "decision",
            process=record.pid,
            agreement=record.agreement_id if isinstance(record, Transfer) else None,
            subject=row.message_id,
            outcome="unreachable",
            peer=row.peer,
        )
        told = Event(
            participant=home.slug,
            kind="peer.unreachable",
            subject=record.pid,
            data=msgspec.json.encode({"message": row.message_id, "peer": row.peer}, order="sorted"),
            at=micros(self._ground.now()),
        )
        writes = (store.outbox.bury(row, error="unreachable"), store.events.insert(told))
        await self._ground.store.run(Unit(writes, (leaf,)))
        self._ground.bells.ring("events")
        log.warning(telemetry.DSP_DEAD, participant=home.slug, process=row.process)
        self._ground.bells.ring(record.pid)

    async def abandon(self, home: Home, row: Queued) -> None:
        """A person gives up a word of ours that waits: the process ends, on our side alone."""
        self._deliver.forget(row.message_id)
        await self._settle(home, row, None, "abandoned")

    def _said(self, home: Home, record: Record, theirs: str) -> bool:
        """Whether a word of ours leads where the peer is: then it did hear what we gave up."""
        kind = LEADS_TO.get(theirs)
        thread = self._ground.store.of(home.slug).ledger.thread(record.pid)
        return any(
            entry.type == "message.sent" and msgspec.json.decode(entry.body)["message"] == kind
            for entry in thread
        )

    def _find(self, home: Home, row: Queued) -> tuple[Talk, Record | None]:
        talk = self._talk_of(row)
        return talk, talk.find(home, row.process)

    def _talk_of(self, row: Queued) -> Talk:
        return self._talks["transfer" if row.type.startswith("Transfer") else "negotiation"]

    async def _settle(
        self,
        home: Home,
        row: Queued,
        answer: Response | None,
        lone_end: str | None,
        *,
        end: str | None = None,
    ) -> None:
        """Our pending word is answered: acknowledged, or (`lone_end`) the process ends with it."""
        talk = self._talk_of(row)
        async with self._ground.turns.take(row.process):
            for _ in range(self._ground.limits.conflict_retries_max):
                record = talk.find(home, row.process)
                if record is None or record.pending is None or record.pending_sha != row.message_id:
                    await self._forget(home, row)
                    return
                draft = self._answered(home, talk, record, row, answer, lone_end, end)
                try:
                    await self._ground.store.run(draft.unit())
                except Conflict:
                    continue
                self._sent(draft)
                return
        raise PeerMustWait("the process keeps changing")

    def _answered(
        self,
        home: Home,
        talk: Talk,
        record: Record,
        row: Queued,
        answer: Response | None,
        lone_end: str | None,
        end: str | None,
    ) -> Draft:
        draft = Draft(self._ground, self._clerk, talk, home, record)
        outbox = self._ground.store.of(home.slug).outbox
        draft.writes.append(outbox.done(row))
        theirs = None
        if record.state is None and answer is not None and not record.peer_pid:
            theirs = _peer_pid(talk, record, answer.body)
        if theirs and is_taken(self._ground, home, record, theirs):
            lone_end = "pid-reused"
        if lone_end is not None:
            draft.set(reason=lone_end, pending_sha=None)
            draft.become(Process(Role(record.role), end or talk.machine.end))
            talk.enter(draft, speak=False)
            return draft
        if theirs:
            draft.set(peer_pid=theirs)
        draft.become(talk.machine.acked(process_of(record)))
        draft.set(pending_sha=None)
        if answer is None:  # seen in the peer's own state or words; it answered nothing to this
            draft.leaf("decision", subject=row.message_id, outcome="heard", rule="peer-state")
        else:
            draft.leaf(
                "message.acknowledged",
                sent=row.message_id,
                status=answer.status,
                payloads={"body": answer.body} if answer.body else None,
            )
        talk.enter(draft, speak=True)
        return draft

    async def _forget(self, home: Home, row: Queued) -> None:
        """The word was settled otherwise; its row may still stand."""
        outbox = self._ground.store.of(home.slug).outbox
        try:
            await self._ground.store.run(Unit((outbox.done(row),)))
        except Conflict:
            return

    async def _drop_and_end(self, home: Home, talk: Talk, row: Queued, code: str, why: str) -> None:
        """What we said is refused for good: end the process, and tell the peer once."""
        async with self._ground.turns.take(row.process):
            record = talk.find(home, row.process)
            if record is None or record.pending_sha != row.message_id:
                await self._forget(home, row)
                return
            draft = Draft(self._ground, self._clerk, talk, home, record)
            outbox = self._ground.store.of(home.slug).outbox
            draft.writes.append(outbox.done(row))
            draft.become(talk.machine.lost(process_of(record)))
            draft.set(intent=None)
            draft.say(Speak(step=END, code=code, reasons=(why,) if why else ()))
            await self._ground.store.run(draft.unit())
            self._sent(draft)

    async def _peer_state(self, home: Home, talk: Talk, record: Record) -> str | None:
        """What the peer shows of the process: empty where it knows none, None if nobody answers."""
        if not record.peer_pid:
            return ""
        base = (record.callback or "").rstrip("/")
        authorization = await home.identify.authorize(
            slug=home.slug, did=home.did, audience=record.peer, body=None
        )
        request = Request(
            purpose="dsp",
            method="GET",
            url=f"{base}/{talk.kind}s/{record.peer_pid}",
            headers={"authorization": authorization},
        )
        try:
            answer = await self._ground.world.net.fetch(request)
            if answer.status >= 500 or answer.status in UNHEARD:
                return None
            return _decode(talk, answer.body).state if answer.status == 200 else ""
        except FetchFailed:
            return None
        except MalformedMessage:
            return ""

    async def late(self, home: Home, talk: Talk, pid: str) -> None:
        """A wait is over: end with the code of the state."""
        record = talk.find(home, pid)
        if record is None or record.state in talk.machine.final:
            return
        code = talk.machine.wait_code(process_of(record))
        if code is not None:
            await self.wish(home, talk, pid, Speak(step=END, code=code))


def _decode(
    talk: Talk, body: bytes
) -> wire_negotiation.ContractNegotiation | wire_transfer.TransferProcess:
    if talk.kind == "negotiation":
        return wire_negotiation.decode_process(body)
    return wire_transfer.decode_process(body)


def _peer_pid(talk: Talk, record: Record, body: bytes) -> str | None:
    """The pid that the peer gave the process; None where its answer says nothing readable."""
    try:
        answer = _decode(talk, body)
    except MalformedMessage:
        return None
    theirs = answer.provider_pid if record.role == Role.CONSUMER else answer.consumer_pid
    return theirs or None
