# SPDX-License-Identifier: Apache-2.0
"""The contract negotiation, both roles: what each message must be, and what follows from it.

node.md c, the table "message, who sends"; terms.md 4.3. Legality is the machine's, delivery and
duplicates are `hear` and `deliver`; here is what the words mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

import msgspec

from corridor.engine.agreements import Agreements
from corridor.engine.decide import Decide, Speak
from corridor.engine.draft import Composed, Draft, Record, kept_wish, pids_of
from corridor.engine.ground import Ground, Home
from corridor.engine.library import Library
from corridor.errors import CannotHonour, RemoteProtocolError
from corridor.policy import odrl
from corridor.protocol import negotiation as n
from corridor.protocol.machine import Machine, Role
from corridor.protocol.negotiation import State, Step
from corridor.store.negotiations import Negotiation
from corridor.store.unit import Write
from corridor.wire import negotiation as wire
from corridor.wire.codec import Message, encode

PATHS: Mapping[str, str] = {
    Step.REQUEST: "request",
    Step.OFFER: "offers",
    Step.ACCEPT: "events",
    Step.AGREE: "agreement",
    Step.VERIFY: "agreement/verification",
    Step.FINALIZE: "events",
    Step.TERMINATE: "termination",
}

OUTCOMES: Mapping[str, str] = {
    Step.AGREE: "allowed",
    Step.ACCEPT: "allowed",
    Step.OFFER: "countered",
    Step.TERMINATE: "denied",
}


class Negotiations:
    """Negotiations as a kind of conversation (`draft.Talk`)."""

    kind = "negotiation"
    machine: Machine = n.MACHINE

    def __init__(
        self, ground: Ground, library: Library, agreements: Agreements, decide: Decide
    ) -> None:
        self._ground = ground
        self._library = library
        self._agreements = agreements
        self._decide = decide

    def find(self, home: Home, pid: str) -> Negotiation | None:
        """The negotiation with this pid of ours."""
        return self._ground.store.of(home.slug).negotiations.get(pid)

    def put(self, home: Home, record: Record, changes: Mapping[str, Any] | None) -> Write:
        """Insert it, or change it."""
        assert isinstance(record, Negotiation)
        store = self._ground.store.of(home.slug).negotiations
        return store.insert(record) if changes is None else store.update(record, **changes)

    def decode(self, raw: bytes) -> wire.AnyNegotiationMessage:
        """Read a message; raises MalformedMessage."""
        return wire.decode(raw, limits=self._ground.limits)

    def step_of(self, message: Message) -> str:
        """Which step a message is."""
        return n.step_of(message)  # type: ignore[arg-type]  # decode gave it

    def answer(self, record: Record, machine_state: str) -> bytes:
        """The negotiation as a peer sees it."""
        consumer, provider = pids_of(record)
        return encode(
            wire.ContractNegotiation(
                consumer_pid=consumer,
                provider_pid=provider,
                state=machine_state,  # type: ignore[arg-type]  # a state of the machine
            )
        )

    # what is heard

    def weigh(self, draft: Draft, message: Message) -> None:
        """Each message's own checks, and what it changes."""
        match message:
            case wire.ContractRequestMessage():
                self._counter(draft, message)
            case wire.ContractOfferMessage():
                self._offer(draft, message.offer)
            case wire.ContractNegotiationEventMessage():
                if message.event_type == "ACCEPTED" and _it(draft).offer_from != Role.PROVIDER:
                    raise RemoteProtocolError("the offer is your own", code="not-your-offer")
            case wire.ContractAgreementMessage():
                self._agreement(draft, message.agreement)
            case wire.ContractNegotiationTerminationMessage():
                draft.set(reason=_reason(message.code, message.reason))
            case wire.ContractAgreementVerificationMessage():
                pass
            case _:
                assert_never(message)  # type: ignore[arg-type]  # decode gives no other

    def _counter(self, draft: Draft, message: wire.ContractRequestMessage) -> None:
        it = _it(draft)
        if it.rounds >= self._ground.limits.counter_offers_max:
            raise RemoteProtocolError("too many counter-offers", code="too-many-rounds")
        if message.offer.get("target") != it.asset:
            raise RemoteProtocolError("the offer is about another asset", code="unknown-offer")
        self.table(draft, message.offer, by=Role.CONSUMER)

    def table(self, draft: Draft, offer: Mapping[str, Any], *, by: Role) -> None:
        """Put an offer on the table: as provider, a stub stands for what we published.

        Raises CannotHonour for terms that nobody here can enforce, as the provider.
        """
        it = _it(draft)
        terms: str | None
        if it.role == Role.PROVIDER:
            published = self._library.offered(draft.home, it.offer_id or "")
            if odrl.is_stub(offer) and published is not None:
                offer, terms = {**published.policy, "target": it.asset}, published.terms_hash
            else:
                model = odrl.read(offer, limits=self._ground.limits)
                self._library.check(model, it.service or "")
                terms = model.terms_hash
        else:
            terms = self._terms_of(offer)
        draft.set(
            offer_raw=msgspec.json.encode(offer),
            offer_from=str(by),
            terms_sha=terms,
            rounds=it.rounds + 1,
        )

    def _terms_of(self, offer: Mapping[str, Any]) -> str | None:
        """The terms hash of a provider's offer; None where it holds what we do not know."""
        try:
            return odrl.read(offer, limits=self._ground.limits).terms_hash
        except CannotHonour:
            return None

    def _offer(self, draft: Draft, offer: Mapping[str, Any]) -> None:
        it = _it(draft)
        if it.asset is not None and offer.get("target") != it.asset:
            raise RemoteProtocolError("the offer is about another asset", code="unknown-offer")
        self.table(draft, offer, by=Role.PROVIDER)
        draft.set(offer_id=str(offer["@id"]))

    def _agreement(self, draft: Draft, agreement: Mapping[str, Any]) -> None:
        it = _it(draft)
        draft.writes.append(self._agreements.take(draft.home, it, agreement))
        draft.set(agreement_id=str(agreement["@id"]))

    # what follows

    def enter(self, draft: Draft, *, speak: bool) -> None:
        """Side effects of the state that was entered, and the next step of ours."""
        it = _it(draft)
        if it.state == State.FINALIZED:
            self._agreements.conclude(draft, it)
        elif it.state == State.TERMINATED and it.agreement_id is not None:
            self._agreements.void(draft, it)
        if not speak or it.pending is not None or it.state in self.machine.final:
            return
        if it.intent is not None:
            intent = it.intent
            draft.set(intent=None)
            draft.say(kept_wish(intent, it.reason))
            return
        speech = self._decide.negotiation(draft.home, it)
        if isinstance(speech, Speak):
            self._note(draft, speech)
            draft.say(speech)

    def _note(self, draft: Draft, speech: Speak) -> None:
        """What was decided on the terms that lie on the table (evidence.md 2.2)."""
        outcome = OUTCOMES.get(speech.step)
        if outcome is None:
            return
        because = "; ".join(speech.reasons) or speech.code
        draft.leaf(
            "decision",
            subject=draft.record.pid,
            outcome=outcome,
            rule=speech.code,
            terms=_it(draft).terms_sha,
            payloads={"because": because.encode()} if because else None,
        )

    # what is said

    def wished(self, draft: Draft, step: str) -> None:
        """Nothing is served in a negotiation."""

    def compose(self, draft: Draft, speech: Speak, message_id: str) -> Composed:
        """Put a step into a message, and under its path."""
        it = _it(draft)
        consumer, provider = pids_of(it)
        pids = {"id_": message_id, "consumer_pid": consumer, "provider_pid": provider}
        path = self._path(it, speech.step)
        if speech.step == Step.TERMINATE:
            return Composed(
                message=wire.ContractNegotiationTerminationMessage(
                    **pids, code=speech.code or None, reason=speech.reasons
                ),
                path=path,
            )
        if speech.step == Step.VERIFY:
            return Composed(message=wire.ContractAgreementVerificationMessage(**pids), path=path)
        if speech.step in (Step.ACCEPT, Step.FINALIZE):
            event = "ACCEPTED" if speech.step == Step.ACCEPT else "FINALIZED"
            return Composed(
                message=wire.ContractNegotiationEventMessage(**pids, event_type=event),  # type: ignore[arg-type]  # one of its two words
                path=path,
            )
        if speech.step == Step.AGREE:
            agreement = self._agreements.make(draft, it)
            return Composed(
                message=wire.ContractAgreementMessage(**pids, agreement=agreement), path=path
            )
        return self._compose_offer(draft, speech, message_id, path)

    def _compose_offer(self, draft: Draft, speech: Speak, message_id: str, path: str) -> Composed:
        """A REQUEST or an OFFER, first or counter; a fresh `@id` for each offer of ours."""
        it = _it(draft)
        consumer, provider = pids_of(it)
        offer: dict[str, Any] = {**speech.offer, "@type": "Offer", "target": it.asset}
        first = it.state is None
        if speech.step == Step.OFFER:
            offer["@id"] = speech.offer["@id"] if first else self._fresh_id()
            self.table(draft, offer, by=Role.PROVIDER)
            return Composed(
                message=wire.ContractOfferMessage(
                    id_=message_id,
                    provider_pid=provider,
                    consumer_pid=None if first else consumer,
                    callback_address=draft.home.dsp_url if first else None,
                    offer=offer,
                ),
                path=path,
            )
        self.table(draft, offer, by=Role.CONSUMER)
        return Composed(
            message=wire.ContractRequestMessage(
                id_=message_id,
                consumer_pid=consumer,
                provider_pid=None if first else provider,
                callback_address=draft.home.dsp_url if first else None,
                offer=offer,
            ),
            path=path,
        )

    def _fresh_id(self) -> str:
        return f"urn:uuid:{self._ground.world.chance.uuid7()}"

    def _path(self, it: Negotiation, step: str) -> str:
        if it.state is None and it.peer_pid is None and step in (Step.REQUEST, Step.OFFER):
            return f"/negotiations/{PATHS[step]}"
        return f"/negotiations/{it.peer_pid}/{PATHS[step]}"


def _it(draft: Draft) -> Negotiation:
    record = draft.record
    assert isinstance(record, Negotiation)
    return record


def _reason(code: str | None, reasons: tuple[str, ...]) -> str:
    return ": ".join(part for part in (code or "", "; ".join(reasons)) if part)[:1000]
