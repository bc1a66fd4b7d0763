# SPDX-License-Identifier: Apache-2.0
"""One transition being written: the process as it will be, and all that goes with it.

node.md b: the new state, the messages and timers born of it, and the ledger's entries are one
unit. A draft collects them; `unit()` is what the store runs, `committed()` what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from corridor.engine.clerk import Clerk
from corridor.engine.decide import Speak
from corridor.engine.ground import Ground, Home, micros, stamp
from corridor.errors import LocalProtocolError
from corridor.protocol.machine import Machine, Process, Role
from corridor.store.boxes import Queued
from corridor.store.events import Event
from corridor.store.negotiations import Negotiation
from corridor.store.peers import Quirks
from corridor.store.transfers import Transfer
from corridor.store.unit import Leaf, Unit, Write
from corridor.wire.codec import Message, encode

Record = Negotiation | Transfer
END = "TERMINATE"  # the step of both machines that ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A message of ours before it has an address: its path below the peer's base."""

    message: Message
    path: str


class Talk(Protocol):
    """A kind of conversation: what negotiations and transfers do each in their own way."""

    kind: str
    machine: Machine

    def find(self, home: Home, pid: str) -> Record | None:
        """The process with this pid of ours."""
        ...

    def put(self, home: Home, record: Record, changes: Mapping[str, Any] | None) -> Write:
        """The write that inserts it (`changes` None), or changes it (guarded by its version)."""
        ...

    def decode(self, raw: bytes) -> Message:
        """Read a message; raises MalformedMessage."""
        ...

    def step_of(self, message: Message) -> str:
        """Which step of the machine a message is."""
        ...

    def weigh(self, draft: Draft, message: Message) -> None:
        """The message's own checks, and what it changes; raises RemoteProtocolError."""
        ...

    def enter(self, draft: Draft, *, speak: bool) -> None:
        """What follows from entering `draft.record.state`; `speak`: ask the seam what to say."""
        ...

    def wished(self, draft: Draft, step: str) -> None:
        """A step of ours bites at home, before the peer knows of it (node.md d)."""
        ...

    def compose(self, draft: Draft, speech: Speak, message_id: str) -> Composed:
        """Put a step into a message."""
        ...

    def answer(self, record: Record, machine_state: str) -> bytes:
        """The process as a peer sees it."""
        ...


def process_of(record: Record) -> Process:
    """The machine's view of a stored process."""
    return Process(Role(record.role), record.state, record.pending, record.intent)


def pids_of(record: Record) -> tuple[str, str]:
    """(consumer's pid, provider's pid); the peer's is empty until it is known."""
    ours, theirs = record.pid, record.peer_pid or ""
    return (ours, theirs) if record.role == Role.CONSUMER else (theirs, ours)


def is_taken(ground: Ground, home: Home, record: Record, peer_pid: str) -> bool:
    """Whether the peer gave this pid to another process already: then it names neither."""
    store = ground.store.of(home.slug)
    known: Record | None
    if isinstance(record, Negotiation):
        known = store.negotiations.by_peer_pid(record.role, record.peer, peer_pid)
    else:
        known = store.transfers.by_peer_pid(record.role, record.peer, peer_pid)
    return known is not None and known.pid != record.pid


def because(speech: Speak) -> str:
    """Why we say a step, as the record keeps it: `code: reasons`, at most 1,000 characters."""
    told = (speech.code, "; ".join(speech.reasons))
    return ": ".join(part for part in told if part)[:1000]


def kept_wish(step: str, reason: str | None) -> Speak:
    """The wish that was kept while another word was under way; the inverse of `because`."""
    code, _, reasons = (reason or "").partition(": ")
    return Speak(step=step, code=code, reasons=(reasons,) if reasons else ())


@dataclass(slots=True)
class Draft:
    """Collects one transition. `fresh`: the record is not in the store yet."""

    ground: Ground
    clerk: Clerk
    talk: Talk
    home: Home
    record: Record
    fresh: bool = False
    writes: list[Write] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    after: list[Callable[[], None]] = field(default_factory=list)
    said: Queued | None = None
    dropped: str | None = None
    _changes: dict[str, Any] = field(default_factory=dict)
    _before: Record | None = None

    def __post_init__(self) -> None:
        self._before = self.record

    def set(self, **changes: Any) -> None:
        """Change fields of the record."""
        self._changes.update(changes)
        self.record = msgspec.structs.replace(self.record, **changes)

    def become(self, process: Process) -> None:
        """Take over what the machine made of the process."""
        self.set(state=process.state, pending=process.pending, intent=process.intent)

    def leaf(self, kind: str, **told: Any) -> None:
        """Add an entry: in the negotiation's thread, or under the agreement that is used."""
        told.setdefault("process", self.record.pid)
        if isinstance(self.record, Transfer):
            told.setdefault("agreement", self.record.agreement_id)
        self.leaves.append(self.clerk.leaf(self.home, kind, **told))

    def drop_pending(self, *, acknowledged: bool) -> None:
        """Our word under way is done: heard by the peer, or superseded."""
        outbox = self.ground.store.of(self.home.slug).outbox
        for row in outbox.of_process(self.record.pid):
            self.writes.append(outbox.done(row) if acknowledged else outbox.supersede(row))
            self.dropped = row.message_id
        self.set(pending_sha=None)

    def say(self, speech: Speak, *, after_resume: bool = False) -> None:
        """Say a step: pending now, or kept as the intent while another word is under way."""
        machine = self.talk.machine
        spoken = machine.say(process_of(self.record), speech.step, after_resume=after_resume)
        self.talk.wished(self, speech.step)
        if spoken.pending != speech.step or self.record.pending is not None:
            self.become(spoken)
            self.set(reason=because(speech) or self.record.reason)
            return
        if self.record.state is not None and not self.record.peer_pid:
            self._say_to_nobody(speech)
            return
        message_id = self.ground.world.chance.uuid7()
        self.become(spoken)
        self.set(reason=because(speech) or self.record.reason)
        composed = self.talk.compose(self, speech, message_id)
        self.set(pending_sha=message_id, messages=self.record.messages + 1)
        body = encode(composed.message)
        now = self.ground.now()
        due = now + timedelta(milliseconds=self._settle_ms())
        kind = type(composed.message).__name__
        ending = kind.endswith(("TerminationMessage", "SuspensionMessage"))
        limits = self.ground.limits
        life = limits.deliver_withdrawal_dead_after_s if ending else limits.deliver_dead_after_s
        self.said = Queued(
            participant=self.home.slug,
            process=self.record.pid,
            peer=self.record.peer,
            message_id=message_id,
            type=kind,
            url=(self.record.callback or "").rstrip("/") + composed.path,
            body=body,
            sha256=sha256(body).hexdigest(),
            state="queued",
            attempts=0,
            next_at=micros(due),
            give_up_at=micros(now + timedelta(seconds=life)),
            created=micros(now),
        )
        self.leaf(
            "message.sent",
            id_=message_id,  # an acknowledgement names this entry by it
            peer=self.record.peer,
            protocol="dsp",
            path=composed.path,
            message=kind,
            payloads={"body": body},
        )

    def _settle_ms(self) -> int:
        """How long this peer needs before it can take a word that follows its own."""
        peer = self.ground.store.of(self.home.slug).peers.get(self.record.peer)
        return 0 if peer is None else msgspec.json.decode(peer.quirks, type=Quirks).settle_ms

    def _say_to_nobody(self, speech: Speak) -> None:
        """The peer took our first message without telling its pid: we may end, but not tell it."""
        if speech.step != END:
            raise LocalProtocolError("the partner has not told its id of this process")
        ended = Process(Role(self.record.role), self.talk.machine.end)
        self.become(ended)
        self.set(reason=because(speech) or self.record.reason)
        self.talk.enter(self, speak=False)

    def unit(self) -> Unit:
        """Everything, as one transaction; the guard stands first."""
        now = micros(self.ground.now())
        self.set(changed=now)
        store = self.ground.store.of(self.home.slug)
        put = self.talk.put(
            self.home,
            self.record if self.fresh else (self._before or self.record),
            None if self.fresh else self._changes,
        )
        writes = [put, *self.writes]
        if self.said is not None:
            writes.append(store.outbox.insert(self.said))
        process = process_of(self.record)
        wait = self.talk.machine.wait_s(process, self.ground.limits)
        if wait is not None:
            at = now + int(wait * 1e6)
            writes.append(store.wakes.put(self.talk.kind, self.record.pid, at))
            self.after.append(lambda: self.ground.bells.ring("wake"))
        elif not self.fresh:
            writes.append(store.wakes.delete(self.talk.kind, self.record.pid, expect=None))
        state = self.record.state or self.talk.machine.shown(process)
        event = Event(
            participant=self.home.slug,
            kind=f"{self.talk.kind}.{state.lower()}",
            subject=self.record.pid,
            data=msgspec.json.encode(
                {"state": state, "peer": self.record.peer, "at": stamp(self.ground.now())},
                order="sorted",
            ),
            at=now,
        )
        writes.append(store.events.insert(event))
        return Unit(tuple(writes), tuple(self.leaves))

    def committed(self) -> None:
        """After the commit: wake who waits, and let follow what had to wait for durability."""
        for effect in self.after:
            effect()
        self.ground.bells.ring(self.record.pid)
        self.ground.bells.ring("events")
