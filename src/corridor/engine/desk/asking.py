# SPDX-License-Identifier: Apache-2.0
"""Asking for agreements, and deciding in negotiations.

A request is repeatable: the live agreement about the same asset, purpose and terms is the answer
to it, and so is a negotiation under way (experience.md 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from corridor.engine.decide import Speak
from corridor.engine.desk import paging, terms, words
from corridor.engine.desk.deals import Deal, Deals
from corridor.engine.desk.find import Find, Offering, Understood
from corridor.engine.desk.means import Actor, Means, when
from corridor.engine.desk.partners import Partners
from corridor.engine.desk.story import Story
from corridor.engine.ground import Home
from corridor.engine.voice import END
from corridor.errors import CannotHonour, Changed, Invalid, NotFound, Problem, Refused
from corridor.policy import narrower, odrl, permit
from corridor.policy import terms as grammar
from corridor.policy.model import Policy
from corridor.policy.plain import plain
from corridor.policy.terms import Shape
from corridor.protocol.machine import Role
from corridor.protocol.negotiation import State, Step
from corridor.store.negotiations import Negotiation
from corridor.store.peers import Peer
from corridor.store.unit import Unit
from corridor.wire.home import DealView, NegotiationView, Page, RequestAsk

NOTE_CHARS_MAX = 2000
ENDED_BY_HAND = "ended-by-person"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What we mean to sign: the offer as it is sent, and the hash of its meaning."""

    offer: Mapping[str, Any]
    terms_sha: str
    purpose: str | None


class Asking:
    """Requests and negotiations of a participant."""

    def __init__(
        self, means: Means, partners: Partners, find: Find, deals: Deals, story: Story
    ) -> None:
        self._means = means
        self._partners = partners
        self._find = find
        self._deals = deals
        self._story = story

    # asking

    async def request(self, home: Home, actor: Actor, ask: RequestAsk) -> DealView:
        """Ask for an agreement and wait a while for it; a deal on its way is `pending`.

        Raises Invalid (purpose-missing names the purposes), Refused where the offer cannot be
        honoured or the partner says no, NotReachable where its catalogue cannot be read.
        """
        if len(ask.note) > NOTE_CHARS_MAX:
            raise Invalid(f"a note has at most {NOTE_CHARS_MAX} characters")
        peer = self._partners.find(home, ask.partner)
        offering = await self._find.asset(home, peer, ask.asset)
        offer = _chosen(offering, ask, self._purposes(home, ask))
        wish = self._wish(home, offering, offer, ask)
        async with self._means.ground.turns.take(f"request|{home.slug}|{peer.did}|{ask.asset}"):
            deal = self._known(home, peer, ask.asset, wish) if ask.reuse else None
            if deal is None:
                deal = await self._begin(home, actor, peer, offering, wish, ask.note)
        if not isinstance(deal, Negotiation):
            return self._deals.view(home, deal)
        return await self._outcome(home, peer, deal.pid, ask.wait_s)

    def _purposes(self, home: Home, ask: RequestAsk) -> str | None:
        return self._means.purpose_iri(home, ask.purpose) if ask.purpose else None

    def _wish(self, home: Home, offering: Offering, offer: Understood, ask: RequestAsk) -> _Wish:
        purpose = self._purposes(home, ask)
        model = offer.model
        assert model is not None
        sent = dict(offer.policy)
        if ask.terms is not None:
            model = self._narrower(home, offering, offer, ask.terms)
            sent = odrl.write(model, id=str(offer.policy["@id"]), kind="Offer")
        return _Wish(offer=sent, terms_sha=model.terms_hash, purpose=purpose)

    def _narrower(self, home: Home, offering: Offering, offer: Understood, text: str) -> Policy:
        """Terms of our own, which must ask for no more than was offered."""
        view = offering.view
        own = self._own_terms(home, text, view.id, view.service)
        assert offer.model is not None
        relation, beyond = narrower.compare(own, offer.model, service=view.service)
        if relation in (narrower.Relation.EQUAL, narrower.Relation.NARROWER):
            return own
        problems = [Problem(name, "goes beyond what is offered", "terms-wider") for name in beyond]
        raise Invalid(
            "these terms ask for more than is offered",
            problems=problems,
            code="terms-wider",
            cause=f"more than the offer in: {', '.join(beyond)}",
        )

    def _own_terms(self, home: Home, text: str, asset: str, service: str) -> Policy:
        return grammar.read(
            text.encode(),
            source="terms",
            shape=Shape(asset=asset, service=service, columns=None),
            now=self._means.ground.now(),
            floors={},
            purposes=self._means.purposes.get(home.slug, {}),
            enforced={it.name: it.operands for it in self._means.ground.services.values()},
            limits=self._means.ground.limits,
        ).policy

    def _known(self, home: Home, peer: Peer, asset: str, wish: _Wish) -> Deal | None:
        """The live agreement, or the negotiation under way, about the same."""
        store = self._means.store(home)
        for agreement in reversed(store.agreements.live_of_asset(asset, peer.did, Role.CONSUMER)):
            same = agreement.terms_sha == wish.terms_sha and agreement.purpose == wish.purpose
            if same and self._deals.leaving(home, agreement) is None:
                return agreement
        after = 0
        while some := store.negotiations.open(after):
            for it in some:
                ours = it.role == Role.CONSUMER and it.peer == peer.did and it.asset == asset
                if ours and it.wish_sha == wish.terms_sha and it.purpose == wish.purpose:
                    return it
            after = some[-1].pk or after
        return None

    async def _begin(
        self,
        home: Home,
        actor: Actor,
        peer: Peer,
        offering: Offering,
        wish: _Wish,
        note: str,
    ) -> Negotiation:
        view = offering.view
        return await self._means.engine.reception.request(
            home,
            peer=peer.did,
            base=peer.address,
            asset=view.id,
            offer=wish.offer,
            wish_sha=wish.terms_sha,
            service=view.service,
            detail={**view.detail, "title": view.title},
            purpose=wish.purpose,
            note=note,
            actor=actor.user,
        )

    async def _outcome(self, home: Home, peer: Peer, pid: str, wait_s: float) -> DealView:
        store = self._means.store(home).negotiations

        def look() -> Negotiation | None:
            it = store.get(pid)
            resting = it is not None and it.state == State.OFFERED and it.pending is None
            over = it is not None and it.state in (State.FINALIZED, State.TERMINATED)
            return it if over or resting else None

        most = self._means.ground.limits.request_wait_s_max
        it = await self._means.ground.bells.until(pid, look, min(max(wait_s, 0.0), most))
        if it is not None and it.state == State.TERMINATED:
            self._find.forget(home, peer.did)
            code, _, why = (it.reason or "").partition(": ")
            raise Refused(
                f"{peer.handle} did not agree",
                code="peer-refused",
                rule=code,
                cause=why or code,
                mend=f"corridor deal show {pid}",
            )
        return self._deals.view(home, self._deals.find(home, pid))

    # negotiations

    def page(self, home: Home, *, after: str, limit: int, state: str = "") -> Page[NegotiationView]:
        """All of them, oldest first."""
        wanted = state.upper() or None
        store = self._means.store(home).negotiations
        return paging.page(
            lambda at, most: store.page(at, most, wanted),
            lambda it: self.view(home, it),
            after=after,
            limit=limit,
        )

    def show(self, home: Home, pid: str) -> NegotiationView:
        """One, with what lies on the table."""
        return self.view(home, self._get(home, pid), whole=True)

    def _get(self, home: Home, pid: str) -> Negotiation:
        found = self._means.store(home).negotiations.get(pid)
        if found is None:
            raise NotFound("no such negotiation", mend="corridor deal list")
        return found

    async def accept(self, home: Home, actor: Actor, pid: str) -> NegotiationView:
        """Take the provider's offer; raises Refused where this node cannot honour it."""
        it = self._get(home, pid)
        if it.role != Role.CONSUMER or it.state != State.OFFERED:
            raise Changed("there is no offer of theirs to accept", cause=_stands(it))
        serving = self._means.ground.services.get(it.service or "files")
        operands = serving.operands if serving is not None else frozenset()
        try:
            policy = msgspec.json.decode(it.offer_raw or b"{}")
            model = odrl.read(policy, limits=self._means.ground.limits)
            permit.draft(model, service=it.service or "files", operands=operands)
        except CannotHonour as error:
            raise Refused(
                "this node cannot honour these terms", rule=error.term, cause=error.what
            ) from error
        return await self._say(home, actor, pid, Speak(step=Step.ACCEPT))

    async def counter(self, home: Home, actor: Actor, pid: str, text: str) -> NegotiationView:
        """Ask for less than the offer that lies on the table."""
        it = self._get(home, pid)
        if it.role != Role.CONSUMER or it.state != State.OFFERED:
            raise Changed("there is no offer of theirs to answer", cause=_stands(it))
        own = self._own_terms(home, text, it.asset or "", it.service or "files")
        fresh = f"urn:uuid:{self._means.ground.world.chance.uuid7()}"
        offer = odrl.write(own, id=fresh, kind="Offer")
        return await self._say(home, actor, pid, Speak(step=Step.REQUEST, offer=offer))

    async def terminate(self, home: Home, actor: Actor, pid: str, reason: str) -> NegotiationView:
        """End it; the partner reads why."""
        self._get(home, pid)
        reasons = (reason[:NOTE_CHARS_MAX],) if reason else ()
        speech = Speak(step=END, code=ENDED_BY_HAND, reasons=reasons)
        return await self._say(home, actor, pid, speech)

    async def _say(self, home: Home, actor: Actor, pid: str, speech: Speak) -> NegotiationView:
        engine = self._means.engine
        await engine.voice.wish(home, engine.negotiations, pid, speech)
        leaf = self._means.acted(
            home, actor, f"negotiation.{speech.step.lower()}", pid, process=pid
        )
        await self._means.ground.store.run(Unit((), (leaf,)))
        return self.show(home, pid)

    def view(self, home: Home, it: Negotiation, *, whole: bool = False) -> NegotiationView:
        """A negotiation as the protocol has it."""
        partner = self._means.handle(home, it.peer)
        turn = words.of_negotiation(it, partner, dead=self._story.dead(home, it.pid))
        offer = msgspec.json.decode(it.offer_raw) if it.offer_raw and whole else None
        return NegotiationView(
            pid=it.pid,
            peer_pid=it.peer_pid or "",
            role=it.role,
            partner=partner,
            partner_did=it.peer,
            state=it.state or "",
            pending=it.pending or "",
            asset=it.asset or "",
            agreement=it.agreement_id or "",
            reason=it.reason or "",
            waiting_for=turn.whom,
            created=when(it.created),
            changed=when(it.changed),
            may=self._may(it),
            offer=offer,
            plain=self._plain(offer),
        )

    def _may(self, it: Negotiation) -> list[str]:
        """What a person can do now, by the names of the verbs."""
        found = []
        if it.role == Role.CONSUMER and it.state == State.OFFERED and it.pending is None:
            found += ["accept", "counter"]
        machine = self._means.engine.negotiations.machine
        if it.state not in machine.final and machine.may_say(self._story.process(it), END):
            found.append("terminate")
        return found

    def _plain(self, offer: Mapping[str, Any] | None) -> list[str]:
        if offer is None:
            return []
        try:
            return plain(odrl.read(offer, limits=self._means.ground.limits))
        except CannotHonour as error:
            return [f"Cannot be honoured here: {error.term or error.what}"]


def _stands(it: Negotiation) -> str:
    return f"the negotiation is {it.state or 'just beginning'}, you are its {it.role}"


def _chosen(offering: Offering, ask: RequestAsk, purpose: str | None) -> Understood:
    """The offer to ask for: the one that was named, else the first that takes the purpose."""
    named = [it for it in offering.offers if ask.offer in (None, it.view.id)]
    if not named:
        raise NotFound(f"{offering.view.id} has no such offer", code="unknown-offer")
    able = [it for it in named if it.view.requestable and it.model is not None]
    if not able:
        unknown = ", ".join(named[0].view.cannot_be_honoured)
        raise Refused(
            "this offer cannot be honoured here",
            code="refused",
            rule="terms-unknown",
            cause=f"it holds {unknown}",
            mend="ask the provider for terms that this node knows",
        )
    fitting = [it for it in able if _takes(it, purpose)]
    if fitting:
        return fitting[0]
    allowed = list(dict.fromkeys(word for it in able for word in it.view.purposes))
    what = "this offer needs a purpose" if purpose is None else "this offer is not for that purpose"
    raise Invalid(
        what,
        code="purpose-missing",
        cause=f"it allows: {', '.join(allowed)}",
        mend=f"--purpose {allowed[0]}",
    )


def _takes(it: Understood, purpose: str | None) -> bool:
    """Whether a purpose is none of its business, or one of its own. Every rule is looked at."""
    allowed = terms.purposes_of(it.model)
    return not allowed or purpose in allowed
