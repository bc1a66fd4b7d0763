# SPDX-License-Identifier: Apache-2.0
"""Deals as people see them: found by whatever name they know, listed, shown with their story.

A deal is an agreement, or a negotiation on its way to one; one id may stand for both.
"""

from __future__ import annotations

from typing import Any

import msgspec

from corridor.engine.desk import paging, terms, words
from corridor.engine.desk.means import Means, when, when_or_none
from corridor.engine.desk.story import Story
from corridor.engine.ground import Home, micros
from corridor.errors import CannotHonour, Invalid, NotFound, Pending
from corridor.policy import odrl
from corridor.policy.model import Policy
from corridor.policy.plain import plain
from corridor.policy.windows import window_end, window_start
from corridor.protocol.machine import Role
from corridor.protocol.negotiation import State
from corridor.store.agreements import Agreement
from corridor.store.counters import Counter, amount
from corridor.store.negotiations import Negotiation
from corridor.wire.home import DealView, Page, Usage

PREFIX_CHARS_MIN = 8
URN = "urn:uuid:"
UNBORN = frozenset({"draft", "void"})
Deal = Agreement | Negotiation


class Deals:
    """The deals of a participant."""

    def __init__(self, means: Means, story: Story) -> None:
        self._means = means
        self._story = story

    # finding one

    def find(self, home: Home, name: str) -> Deal:
        """By agreement, negotiation, the beginning of either id, or the asset.

        Raises NotFound, or Invalid where several fit.
        """
        store = self._means.store(home)
        found = store.agreements.get(name) or store.agreements.get(f"{URN}{name}")
        if found is not None and found.state != "draft":
            return found
        negotiation = store.negotiations.get(name)
        if negotiation is None and found is not None:
            negotiation = store.negotiations.get(found.negotiation or "")
        if negotiation is not None:
            return self._agreed(home, negotiation) or negotiation
        several = self._of_asset(home, name) or self._beginning(home, name)
        if not several:
            raise NotFound(f"no deal {name[:100]}", mend="corridor deal list")
        if len(several) > 1:
            ids = ", ".join(_id(it) for it in several[:5])
            raise Invalid(f"{len(several)} deals are called {name[:100]}", cause=ids)
        return several[0]

    def agreement(self, home: Home, name: str, role: Role | None = None) -> Agreement:
        """An agreement that was concluded, whatever became of it; raises Pending before that."""
        found = self.find(home, name)
        if isinstance(found, Negotiation):
            partner = self._means.handle(home, found.peer)
            if found.state == State.TERMINATED:
                raise NotFound(
                    "this negotiation ended without an agreement", cause=found.reason or ""
                )
            turn = words.of_negotiation(found, partner, dead=self._story.dead(home, found.pid))
            raise Pending(
                "there is no agreement yet", waiting_for=turn.whom, since=when(found.changed)
            )
        if role is not None and found.role != role:
            other = "provide" if role == Role.CONSUMER else "use"
            raise Invalid(f"you {other} under this agreement; this is for its {role}")
        return found

    def _agreed(self, home: Home, it: Negotiation) -> Agreement | None:
        if not it.agreement_id:
            return None
        found = self._means.store(home).agreements.get(it.agreement_id, it.role)
        return found if found is not None and found.state not in UNBORN else None

    def _of_asset(self, home: Home, asset: str) -> list[Deal]:
        """The live ones about an asset: ours to use, else to serve; of a partner the newest."""
        found: dict[tuple[str, str], Agreement] = {}
        for it in self._all(home, "live"):
            if it.asset == asset:
                found[it.role, it.peer] = it
        using = [it for it in found.values() if it.role == Role.CONSUMER]
        return list(using or found.values())

    def _beginning(self, home: Home, begin: str) -> list[Deal]:
        plain_begin = begin.removeprefix(URN)
        if len(plain_begin) < PREFIX_CHARS_MIN:
            return []
        found: dict[str, Deal] = {}
        for it in self._all(home, None):
            if it.agreement_id.removeprefix(URN).startswith(plain_begin) and it.state != "draft":
                found[it.agreement_id] = it
        after = 0
        while some := self._means.store(home).negotiations.page(after):
            for negotiation in some:
                if negotiation.pid.startswith(plain_begin):
                    deal = self._agreed(home, negotiation) or negotiation
                    found[_id(deal)] = deal
            after = some[-1].pk or after
        return list(found.values())

    def _all(self, home: Home, state: str | None) -> list[Agreement]:
        found: list[Agreement] = []
        after = 0
        while some := self._means.store(home).agreements.page(after, state=state):
            found += some
            after = some[-1].pk or after
        return found

    # listing

    def page(
        self,
        home: Home,
        *,
        after: str,
        limit: int,
        role: str = "",
        state: str = "",
        partner: str = "",
        asset: str = "",
        on_its_way: bool = False,
    ) -> Page[DealView]:
        """Agreements, oldest first; before them, where wished, what is on its way."""
        store = self._means.store(home)
        did = self._did(home, partner)

        def fits(it: Deal) -> bool:
            told = (role in ("", it.role), asset in ("", it.asset), did in ("", it.peer))
            return all(told) and state.lower() in ("", (it.state or "").lower())

        items: list[DealView] = []
        kind, _, place = after.partition(".")
        if on_its_way and kind in ("", "n"):
            some, following = paging.sifted(
                store.negotiations.open,
                lambda it: self.view(home, it) if fits(it) else None,
                after=paging.position(place),
                limit=limit,
            )
            items += some
            if following is not None:
                return Page(items=items, next=f"n.{following}")
            place = ""
        more, following = paging.sifted(
            store.agreements.page,
            lambda it: (
                self.view(home, it) if it.state not in ("draft", "void") and fits(it) else None
            ),
            after=paging.position(place),
            limit=limit - len(items),
        )
        return Page(items=items + more, next=None if following is None else f"a.{following}")

    def _did(self, home: Home, partner: str) -> str:
        """The DID of a handle; a name that nobody has fits no deal."""
        if not partner or partner.startswith("did:"):
            return partner
        known = self._means.store(home).peers.by_handle(partner)
        if known is None:
            raise NotFound(f"no partner {partner[:100]}", mend="corridor partner list")
        return known.did

    # showing

    def show(self, home: Home, name: str) -> DealView:
        """One deal, with its terms and what happened."""
        return self.view(home, self.find(home, name), whole=True)

    def view(self, home: Home, it: Deal, *, whole: bool = False) -> DealView:
        """A deal as people see it."""
        if isinstance(it, Negotiation):
            return self._negotiation(home, it, whole=whole)
        return self._agreement(home, it, whole=whole)

    def _negotiation(self, home: Home, it: Negotiation, *, whole: bool) -> DealView:
        partner = self._means.handle(home, it.peer)
        turn = words.of_negotiation(it, partner, dead=self._story.dead(home, it.pid))
        over = it.state == State.TERMINATED
        machine = self._means.engine.negotiations.machine
        process = self._story.process(it)
        raw = msgspec.json.decode(it.offer_raw) if it.offer_raw else None
        model = self._model(raw)
        detail: dict[str, Any] = msgspec.json.decode(it.detail or b"{}")
        return DealView(
            id=it.pid,
            role=it.role,
            partner=partner,
            partner_did=it.peer,
            asset=it.asset or "",
            service=it.service or "",
            state=machine.shown(process),
            pending=not over,
            waiting_for=turn.whom,
            since=when(it.changed),
            what_next=turn.next,
            purpose=self._means.purpose_word(home, it.purpose or ""),
            plain=[] if model is None else plain(model),
            negotiation=it.pid,
            title=_title(detail),
            terms_sha=it.terms_sha or "",
            reason=it.reason or "",
            note=it.note or "",
            columns=terms.columns_of(model),
            timeline=self._story.of(home, it.pid, None) if whole else [],
            terms=raw if whole else None,
        )

    def _agreement(self, home: Home, it: Agreement, *, whole: bool) -> DealView:
        partner = self._means.handle(home, it.peer)
        ends = when_or_none(it.ends_at)
        leaving = self.leaving(home, it)
        turn = words.of_agreement(it, ends=ends, leaving=leaving)
        raw: dict[str, Any] = msgspec.json.decode(it.raw)
        model = self._model(raw)
        detail: dict[str, Any] = msgspec.json.decode(it.detail)
        story = self._story.of(home, it.negotiation or "", it.agreement_id) if whole else []
        return DealView(
            id=it.agreement_id,
            role=it.role,
            partner=partner,
            partner_did=it.peer,
            asset=it.asset,
            service=it.service,
            state=it.state,
            pending=False,
            waiting_for=turn.whom,
            since=when(it.changed),
            what_next=turn.next,
            purpose=self._means.purpose_word(home, it.purpose or ""),
            plain=[] if model is None else plain(model),
            agreement=it.agreement_id,
            negotiation=it.negotiation or "",
            title=_title(detail) or self._own_title(home, it),
            terms_sha=it.terms_sha,
            permit_sha=it.permit_sha,
            signed_at=when(it.signed_at),
            ends=leaving or ends,
            reason=words.why(it.reason),
            note=self._note(home, it),
            columns=terms.columns_of(model),
            obligations=list(self._means.engine.library.permit(home, it).obligations),
            usage=self.usage(home, it),
            timeline=story,
            terms=raw if whole else None,
        )

    def leaving(self, home: Home, it: Agreement) -> str | None:
        """When a withdrawal that was given notice of takes effect."""
        wake = self._means.store(home).wakes.get("withdrawal", it.agreement_id)
        return when(wake.at) if wake is not None and it.state == "live" else None

    def _own_title(self, home: Home, it: Agreement) -> dict[str, str]:
        asset = self._means.store(home).assets.get(it.asset) if it.role == Role.PROVIDER else None
        return {} if asset is None else {"und": asset.title}

    def _note(self, home: Home, it: Agreement) -> str:
        begun = self._means.store(home).negotiations.get(it.negotiation or "")
        return (begun.note or "") if begun is not None else ""

    def _model(self, raw: dict[str, Any] | None) -> Policy | None:
        try:
            return None if raw is None else odrl.read(raw, limits=self._means.ground.limits)
        except CannotHonour:
            return None

    def usage(self, home: Home, it: Agreement) -> list[Usage]:
        """What is used of each quota now. Only the provider counts: a consumer has none here."""
        if it.role != Role.PROVIDER:
            return []
        now = self._means.ground.now()
        store = self._means.store(home).counters
        found: list[Usage] = []
        for rule in self._means.engine.library.permit(home, it).rules:
            for quota in rule.quotas:
                start = micros(window_start(quota.window, now))
                counter = store.get(f"{it.agreement_id}|{rule.key}", quota.name, start)
                resets = window_end(quota.window, now)
                found.append(
                    Usage(
                        quota=quota.name,
                        used=_amount(counter, held=False),
                        cap=f"{quota.cap:f}",
                        held=_amount(counter, held=True),
                        resets_at=None if resets is None else when(micros(resets)),
                    )
                )
        return found


def _amount(counter: Counter | None, *, held: bool) -> str:
    if counter is None:
        return "0"
    return f"{amount(counter.operand, counter.held if held else counter.used):f}"


def _title(detail: dict[str, Any]) -> dict[str, str]:
    found = detail.get("title")
    return found if isinstance(found, dict) else {}


def _id(it: Deal) -> str:
    return it.pid if isinstance(it, Negotiation) else it.agreement_id
