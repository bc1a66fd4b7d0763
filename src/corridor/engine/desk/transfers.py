# SPDX-License-Identifier: Apache-2.0
"""Transfers by hand: begun, paused, resumed, ended, and their addresses for native clients."""

from __future__ import annotations

import msgspec

from corridor.engine.decide import Speak
from corridor.engine.desk import paging, words
from corridor.engine.desk.deals import Deals
from corridor.engine.desk.means import Actor, Means, when, when_or_none
from corridor.engine.desk.story import Story
from corridor.engine.ground import Home
from corridor.engine.voice import END
from corridor.errors import Changed, Ended, Invalid, NotAllowed, NotFound
from corridor.protocol.machine import Role
from corridor.protocol.transfer import State, Step
from corridor.store.transfers import Transfer
from corridor.store.unit import Unit
from corridor.wire.home import AddressView, Page, SinkAsk, TransferAsk, TransferView
from corridor.wire.transfer import HTTP_ENDPOINT, DataAddress

REASON_CHARS_MAX = 2000
OURS = {Role.PROVIDER: "steward", Role.CONSUMER: "analyst"}
VERBS = {
    "suspend": Step.SUSPEND,
    "resume": Step.START,
    "complete": Step.COMPLETE,
    "terminate": END,
}
CODES = {"suspend": "suspended-by-person", "terminate": "ended-by-person"}


class Flows:
    """The transfers of a participant."""

    def __init__(self, means: Means, deals: Deals, story: Story) -> None:
        self._means = means
        self._deals = deals
        self._story = story

    async def start(self, home: Home, actor: Actor, ask: TransferAsk) -> TransferView:
        """Ask for the data of a deal: a PULL, or with a sink a PUSH."""
        it = self._deals.agreement(home, ask.deal, Role.CONSUMER)
        if it.state != "live":
            raise Ended(f"the agreement is {it.state}", why=it.reason or "")
        service = self._means.ground.services.get(it.service)
        formats = (service.push_formats if ask.sink else service.pull_formats) if service else ()
        if ask.format and ask.format not in formats:
            kind = "pushed" if ask.sink else "pulled"
            raise Invalid(f"{it.service} is not {kind} as {ask.format}", code="format")
        if not ask.format and not formats:
            raise Invalid("this service has no such format", code="format")
        begun = self._means.store(home).negotiations.get(it.negotiation or "")
        if begun is None or not begun.callback:
            raise NotFound("nobody knows where this partner is")
        purpose = self._means.purpose_iri(home, ask.purpose) if ask.purpose else it.purpose
        transfer = await self._means.engine.reception.transfer(
            home,
            agreement_id=it.agreement_id,
            peer=it.peer,
            base=begun.callback,
            format_=ask.format or formats[0],
            sink=self._sink(home, ask.sink),
            purpose=purpose,
            actor=actor.user,
        )
        return await self._settled(home, transfer.pid, ask.wait_s)

    def _sink(self, home: Home, sink: SinkAsk | None) -> bytes | None:
        if sink is None:
            return None
        told = dict(sink.properties)
        if sink.authorization:
            told |= {"authorization": sink.authorization, "authType": "bearer"}
        address = DataAddress.build(HTTP_ENDPOINT, sink.endpoint, told)
        encoded = msgspec.json.encode(address)
        return self._means.ground.world.keys.seal(f"address|{home.slug}", encoded)

    async def _settled(self, home: Home, pid: str, wait_s: float) -> TransferView:
        store = self._means.store(home).transfers
        final = self._means.engine.transfers.machine.final

        def look() -> Transfer | None:
            it = store.get(pid)
            over = it is not None and it.state in (State.STARTED, *final)
            return it if over else None

        most = self._means.ground.limits.request_wait_s_max
        await self._means.ground.bells.until(pid, look, min(max(wait_s, 0.0), most))
        return self.show(home, pid)

    def page(
        self, home: Home, *, after: str, limit: int, state: str = "", deal: str = ""
    ) -> Page[TransferView]:
        """All of them, oldest first."""
        of = self._deals.agreement(home, deal).agreement_id if deal else ""
        store = self._means.store(home).transfers
        return paging.page(
            lambda at, most: store.page(at, most, state.upper() or None),
            lambda it: self.view(home, it) if of in ("", it.agreement_id) else None,
            after=after,
            limit=limit,
        )

    def show(self, home: Home, pid: str) -> TransferView:
        """One of them."""
        return self.view(home, self._get(home, pid))

    def _get(self, home: Home, pid: str) -> Transfer:
        found = self._means.store(home).transfers.get(pid)
        if found is None:
            raise NotFound("no such transfer", mend="corridor deal show ID")
        return found

    async def act(
        self, home: Home, actor: Actor, pid: str, verb: str, reason: str = ""
    ) -> TransferView:
        """Suspend, resume, complete or terminate it; raises Changed where that is not possible.

        The provider's side is the steward's, the consumer's the analyst's.
        """
        it = self._get(home, pid)
        role = OURS[Role(it.role)]
        if not {role, "steward"} & actor.roles:
            raise NotAllowed(f"this needs the role {role}")
        reasons = (reason[:REASON_CHARS_MAX],) if reason else ()
        speech = Speak(step=VERBS[verb], code=CODES.get(verb, ""), reasons=reasons)
        if verb == "resume" and it.state != State.SUSPENDED:
            raise Changed("it is not paused", cause=f"the transfer is {it.state}")
        engine = self._means.engine
        await engine.voice.wish(home, engine.transfers, pid, speech)
        leaf = self._means.acted(home, actor, f"transfer.{verb}", pid, process=pid)
        await self._means.ground.store.run(Unit((), (leaf,)))
        return self.show(home, pid)

    async def address(self, home: Home, actor: Actor, pid: str) -> AddressView:
        """Where a native client fetches, and its secret; who looked is written down."""
        it = self._get(home, pid)
        if it.role != Role.CONSUMER or it.data_address is None:
            raise NotFound("this transfer has no address for you")
        if it.state != State.STARTED:
            raise Changed("data does not flow", cause=f"the transfer is {it.state}")
        leaf = self._means.acted(home, actor, "address.shown", pid, process=pid)
        await self._means.ground.store.run(Unit((), (leaf,)))
        engine = self._means.engine
        address = await engine.renewal.address(
            home, it.peer, it, engine.transfers.address(home, it.data_address)
        )
        known = ("endpoint", "authorization", "endpointType")
        return AddressView(
            transfer=pid,
            endpoint_type=address.endpoint_type,
            endpoint=address.property("endpoint") or "",
            authorization=address.property("authorization") or "",
            properties={
                each.name: each.value
                for each in address.endpoint_properties
                if ":" not in each.name and each.name not in known
            },
        )

    def view(self, home: Home, it: Transfer) -> TransferView:
        """A transfer as people see it."""
        partner = self._means.handle(home, it.peer)
        turn = words.of_transfer(it, partner, dead=self._story.dead(home, it.pid))
        session = self._means.store(home).sessions.by_transfer(it.pid)
        return TransferView(
            pid=it.pid,
            peer_pid=it.peer_pid or "",
            role=it.role,
            partner=partner,
            partner_did=it.peer,
            agreement=it.agreement_id,
            format=it.format,
            state=it.state or "",
            pending=it.pending or "",
            reason=it.reason or "",
            waiting_for=turn.whom,
            created=when(it.created),
            changed=when(it.changed),
            may=self._may(it),
            push=it.sink is not None,
            session=session.sid if session else "",
            session_state=session.state if session else "",
            expires=when_or_none(session.expires) if session else None,
        )

    def _may(self, it: Transfer) -> list[str]:
        machine = self._means.engine.transfers.machine
        if it.state in machine.final:
            return []
        process = self._story.process(it)
        verbs = [verb for verb, step in VERBS.items() if machine.may_say(process, step)]
        paused = it.state == State.SUSPENDED
        return [verb for verb in verbs if verb != "resume" or paused]
