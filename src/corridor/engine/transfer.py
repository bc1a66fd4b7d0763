# SPDX-License-Identifier: Apache-2.0
"""The transfer process, both roles: what each message must be, and what follows from it.

node.md c and d; dsp.md 5. A provider's START opens a session first; a suspension, a completion or
an end closes it, and cuts its streams, before the answer goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_never

import msgspec

from corridor.engine.decide import Decide, Speak
from corridor.engine.draft import Composed, Draft, Record, kept_wish, pids_of
from corridor.engine.ground import Ground, Home, micros
from corridor.engine.sessions import Sessions
from corridor.errors import RemoteProtocolError
from corridor.protocol import transfer as t
from corridor.protocol.machine import Machine, Role
from corridor.protocol.transfer import State, Step
from corridor.store.agreements import Agreement
from corridor.store.transfers import Transfer
from corridor.store.unit import Write
from corridor.wire import transfer as wire
from corridor.wire.codec import Message, encode
from corridor.wire.transfer import DataAddress

PATHS: Mapping[str, str] = {
    Step.START: "start",
    Step.SUSPEND: "suspension",
    Step.COMPLETE: "completion",
    Step.TERMINATE: "termination",
}
WITHDRAWN = "agreement-withdrawn"
RETURNED = "agreement-returned"


class Transfers:
    """Transfers as a kind of conversation (`draft.Talk`)."""

    kind = "transfer"
    machine: Machine = t.MACHINE

    def __init__(self, ground: Ground, sessions: Sessions, decide: Decide) -> None:
        self._ground = ground
        self._sessions = sessions
        self._decide = decide
        self.pushing: Callable[[Home, str], None] | None = None

    def find(self, home: Home, pid: str) -> Transfer | None:
        """The transfer with this pid of ours."""
        return self._ground.store.of(home.slug).transfers.get(pid)

    def put(self, home: Home, record: Record, changes: Mapping[str, Any] | None) -> Write:
        """Insert it, or change it."""
        assert isinstance(record, Transfer)
        store = self._ground.store.of(home.slug).transfers
        return store.insert(record) if changes is None else store.update(record, **changes)

    def decode(self, raw: bytes) -> wire.AnyTransferMessage:
        """Read a message; raises MalformedMessage."""
        return wire.decode(raw, limits=self._ground.limits)

    def step_of(self, message: Message) -> str:
        """Which step a message is."""
        return t.step_of(message)  # type: ignore[arg-type]  # decode gave it

    def answer(self, record: Record, machine_state: str) -> bytes:
        """The transfer as a peer sees it."""
        consumer, provider = pids_of(record)
        return encode(
            wire.TransferProcess(
                consumer_pid=consumer,
                provider_pid=provider,
                state=machine_state,  # type: ignore[arg-type]  # a state of the machine
            )
        )

    def sink(
        self, home: Home, agreement: Agreement, message: wire.TransferRequestMessage
    ) -> bytes | None:
        """Where a PUSH goes, sealed; None for a PULL. Raises `format`, `callback`."""
        service = self._ground.services.get(agreement.service)
        pull = service.pull_formats if service else ()
        push = service.push_formats if service else ()
        if message.format in pull:
            return None
        if message.format not in push:
            raise RemoteProtocolError("this format is not offered", code="format")
        address = message.data_address
        if address is None or not address.property("endpoint"):
            raise RemoteProtocolError("a push needs a dataAddress", code="callback")
        if (address.property("method") or "POST") not in ("POST", "PUT"):
            raise RemoteProtocolError("a push is a POST or a PUT", code="callback")
        return self.seal(home, address)

    def seal(self, home: Home, address: DataAddress) -> bytes:
        """An address as it is kept: it holds a token."""
        return self._ground.world.keys.seal(f"address|{home.slug}", msgspec.json.encode(address))

    def address(self, home: Home, sealed: bytes) -> DataAddress:
        """The inverse of sealing an address."""
        plain = self._ground.world.keys.open(f"address|{home.slug}", sealed)
        return msgspec.json.decode(plain, type=DataAddress)

    # what is heard

    def weigh(self, draft: Draft, message: Message) -> None:
        """Each message's own checks, and what it changes."""
        it = _it(draft)
        match message:
            case wire.TransferStartMessage():
                self._start(draft, it, message)
            case wire.TransferSuspensionMessage() | wire.TransferTerminationMessage():
                draft.set(reason=_reason(message.code, message.reason))
            case wire.TransferCompletionMessage():
                pass
            case wire.TransferRequestMessage():
                raise RemoteProtocolError("a transfer is asked for once")
            case _:
                assert_never(message)  # type: ignore[arg-type]  # decode gives no other

    def _start(self, draft: Draft, it: Transfer, message: wire.TransferStartMessage) -> None:
        if it.role == Role.PROVIDER:  # the consumer resumes
            denied = self._sessions.may_open(draft.home, it)
            if denied is not None:
                raise RemoteProtocolError(f"refused by {denied.rule}", code="refused")
            draft.set(resume_asked=1)
            return
        if it.sink is not None:
            return
        if message.data_address is None or not message.data_address.property("endpoint"):
            if it.resume_asked:  # the address comes with the provider's own START
                return
            raise RemoteProtocolError("a pull starts with a dataAddress", code="malformed")
        draft.set(data_address=self.seal(draft.home, message.data_address), resume_asked=0)

    # what follows

    def enter(self, draft: Draft, *, speak: bool) -> None:
        """Side effects of the state that was entered, and the next step of ours."""
        it = _it(draft)
        if it.role == Role.PROVIDER:
            self._serve(draft, it)
        if it.state == State.TERMINATED:
            self._over(draft, it)
        it = _it(draft)
        if not speak or it.pending is not None or it.state in self.machine.final:
            return
        if it.intent is not None:
            intent = it.intent
            draft.set(intent=None)
            draft.say(kept_wish(intent, it.reason))
            return
        speech = self._decide.transfer(draft.home, it)
        if not isinstance(speech, Speak):
            return
        if speech.step == Step.START and it.state == State.REQUESTED:
            self._sessions.prepare(draft, it)
        else:
            draft.say(speech, after_resume=bool(it.resume_asked))

    def _serve(self, draft: Draft, it: Transfer) -> None:
        """Keep the session of a transfer in step with its state."""
        if it.state == State.SUSPENDED:
            self._sessions.pause(draft, it)
        elif it.state in (State.COMPLETED, State.TERMINATED):
            self._sessions.end(draft, it, "completed" if it.state == State.COMPLETED else "ended")
        elif it.state == State.STARTED:
            if it.intent != Step.SUSPEND:  # that already bit, and is said next
                self._sessions.resume(draft, it)
            home, pid, pushing = draft.home, it.pid, self.pushing
            if it.sink is not None and pushing is not None:
                draft.after.append(lambda: pushing(home, pid))

    def _over(self, draft: Draft, it: Transfer) -> None:
        """The partner ended the agreement itself: ours ends too, and our ledger says so."""
        code = WITHDRAWN if it.role == Role.CONSUMER else RETURNED
        if not (it.reason or "").startswith(code):
            return
        store = self._ground.store.of(draft.home.slug).agreements
        record = store.get(it.agreement_id, it.role)
        if record is None or record.state != "live":
            return
        now = micros(self._ground.now())
        state = "withdrawn" if code == WITHDRAWN else "returned"
        draft.writes.append(store.update(record, state=state, reason=it.reason, changed=now))
        draft.leaf(
            f"agreement.{state}",
            agreement=record.agreement_id,
            process=None,
            code=code,
            payloads={"reason": (it.reason or "").encode()},
        )

    # what is said

    def wished(self, draft: Draft, step: str) -> None:
        """The provider's own word bites at once: a partner that is away keeps no access by it.

        A resumed session answers from now on too, since the partner may use the new address
        before we have its acknowledgement.
        """
        it = _it(draft)
        if it.role != Role.PROVIDER:
            return
        if step == Step.SUSPEND:
            self._sessions.pause(draft, it)
        elif step in (Step.COMPLETE, Step.TERMINATE):
            self._sessions.end(draft, it, "completed" if step == Step.COMPLETE else "ended")
        elif it.state == State.SUSPENDED:
            self._sessions.resume(draft, it)

    def compose(self, draft: Draft, speech: Speak, message_id: str) -> Composed:
        """Put a step into a message, and under its path."""
        it = _it(draft)
        consumer, provider = pids_of(it)
        if speech.step == Step.REQUEST:
            return self._compose_request(draft, it, message_id)
        path = f"/transfers/{it.peer_pid}/{PATHS[speech.step]}"
        message: Message
        if speech.step == Step.START:
            message = wire.TransferStartMessage(
                id_=message_id,
                consumer_pid=consumer,
                provider_pid=provider,
                data_address=self._address_to_tell(draft, it),
            )
        elif speech.step == Step.COMPLETE:
            message = wire.TransferCompletionMessage(
                id_=message_id, consumer_pid=consumer, provider_pid=provider
            )
        else:
            kind = (
                wire.TransferSuspensionMessage
                if speech.step == Step.SUSPEND
                else wire.TransferTerminationMessage
            )
            message = kind(
                id_=message_id,
                consumer_pid=consumer,
                provider_pid=provider,
                code=speech.code or None,
                reason=speech.reasons,
            )
        return Composed(message=message, path=path)

    def _address_to_tell(self, draft: Draft, it: Transfer) -> DataAddress | None:
        """A provider's START of a pull says where to read; a consumer's asks to go on."""
        if it.role == Role.CONSUMER:
            draft.set(resume_asked=1)
            return None
        draft.set(resume_asked=0)
        return None if it.sink else self._sessions.address(draft.home, it)

    def _compose_request(self, draft: Draft, it: Transfer, message_id: str) -> Composed:
        sink = None if it.sink is None else self.address(draft.home, it.sink)
        return Composed(
            message=wire.TransferRequestMessage(
                id_=message_id,
                consumer_pid=it.pid,
                agreement_id=it.agreement_id,
                format=it.format,
                data_address=sink,
                callback_address=draft.home.dsp_url,
            ),
            path="/transfers/request",
        )


def _it(draft: Draft) -> Transfer:
    record = draft.record
    assert isinstance(record, Transfer)
    return record


def _reason(code: str | None, reasons: tuple[str, ...]) -> str:
    return ": ".join(part for part in (code or "", "; ".join(reasons)) if part)[:1000]
