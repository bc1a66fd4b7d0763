# SPDX-License-Identifier: Apache-2.0
"""Why something was or would be decided, what the ledger holds, and whether it is whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from corridor.engine.desk import paging
from corridor.engine.desk.deals import Deals
from corridor.engine.desk.means import Means, when
from corridor.engine.desk.story import Story
from corridor.engine.ground import Home, micros
from corridor.errors import CorridorError, EvidenceBroken, Invalid, NotFound
from corridor.evidence import note, tree
from corridor.policy import judge as j
from corridor.policy.permit import Permit
from corridor.policy.windows import window_start
from corridor.protocol.machine import Role
from corridor.store.agreements import Agreement
from corridor.store.ledger import Checkpoint, Entry
from corridor.wire.home import Check, EntryView, ExplainAsk, Explained, LedgerCheck, Page

LOOKED_AT_MAX = 2000
NEWEST = "newest"
Fits = Callable[[Entry, Mapping[str, Any]], bool]


class Evidence:
    """The ledger of a participant, and decisions."""

    def __init__(self, means: Means, deals: Deals, story: Story) -> None:
        self._means = means
        self._deals = deals
        self._story = story

    # decisions

    def explain(self, home: Home, ask: ExplainAsk) -> Explained:
        """What the judge would say. As consumer: of what we know; the provider counts quotas."""
        it = self._deals.agreement(home, ask.deal)
        permit = self._means.engine.library.permit(home, it)
        facts = j.Facts(
            action=ask.action,
            purpose=self._means.purpose_iri(home, ask.purpose) if ask.purpose else None,
            columns=None
            if ask.columns is None
            else {name: frozenset(uses) for name, uses in ask.columns.items()},
            rows=ask.rows,
            bytes=ask.bytes,
            path=ask.path,
        )
        verdict = j.judge(
            j.Point.REQUEST,
            permit,
            facts,
            who=self._who(home, it),
            counters=self._counters(home, it, permit),
            standing=j.Standing(state=it.state, permit_hash=permit.permit_hash),
            now=self._means.ground.now(),
        )
        if isinstance(verdict, j.Allowed):
            return Explained(
                outcome="allowed",
                rule=verdict.rule,
                because="a rule of the agreement allows it",
                deal=it.agreement_id,
                obligations=list(verdict.obligations),
            )
        resets = None if verdict.resets_at is None else when(micros(verdict.resets_at))
        return Explained(
            outcome="denied",
            rule=verdict.rule,
            because=verdict.because,
            bound=verdict.bound,
            deal=it.agreement_id,
            resets_at=resets,
        )

    def _who(self, home: Home, it: Agreement) -> j.Who:
        """The consumer as its provider knows it; ourselves where we are the consumer."""
        if it.role == Role.PROVIDER:
            return self._means.engine.library.people.who(it.peer)
        return j.Who(did=home.did, country=home.country)

    def _counters(self, home: Home, it: Agreement, permit: Permit) -> j.Counters:
        store, now = self._means.store(home).counters, self._means.ground.now()
        found: dict[tuple[str, str], Decimal] = {}
        for rule in permit.rules:
            for quota in rule.quotas:
                start = micros(window_start(quota.window, now))
                counter = store.get(f"{it.agreement_id}|{rule.key}", quota.name, start)
                if counter is not None:
                    found[rule.key, quota.name] = counter.spent
        return found

    def reference(self, home: Home, reference: str) -> Explained:
        """A decision that fell, by the reference that somebody was given."""
        entry = self._means.store(home).ledger.by_id(reference)
        if entry is None:
            raise NotFound(
                "no decision of this node has this reference",
                cause="a partner's decision stands in the partner's ledger",
                mend="corridor explain --deal ID, or ask the partner",
            )
        body: dict[str, Any] = msgspec.json.decode(entry.body)
        return Explained(
            outcome=str(body.get("outcome", "")),
            rule=str(body.get("rule", "")),
            because=self._story.payload(home, entry, "because") or str(body.get("code", "")),
            deal=str(body.get("agreement", "")),
            reference=reference,
            at=str(body.get("time", "")),
            entry=self._story.view(entry),
        )

    # the ledger

    def entries(
        self,
        home: Home,
        *,
        after: str,
        limit: int,
        since: str = "",
        kind: str = "",
        deal: str = "",
        partner: str = "",
        order: str = "",
    ) -> Page[EntryView]:
        """Placed entries; a filter looks at so many of them a page, then says where to go on."""
        if order not in ("", "oldest", NEWEST):
            raise Invalid("order is oldest or newest")
        did = partner
        if partner and not partner.startswith("did:"):
            known = self._means.store(home).peers.by_handle(partner)
            did = known.did if known is not None else partner

        def fits(entry: Entry, body: Mapping[str, Any]) -> bool:
            parties = (body.get("peer"), body.get("provider"), body.get("consumer"))
            told = (
                not since or str(body.get("time", "")) >= since,
                not kind or entry.type == kind or entry.type.startswith(f"{kind}."),
                not did or did in parties,
            )
            return all(told)

        if deal:
            return self._of_deal(home, deal, fits, after=after, limit=limit)
        return self._placed(home, fits, after=after, limit=limit, newest=order == NEWEST)

    def _of_deal(
        self, home: Home, deal: str, fits: Any, *, after: str, limit: int
    ) -> Page[EntryView]:
        view = self._deals.view(home, self._deals.find(home, deal))
        threads = [it for it in (view.negotiation, view.agreement) if it]
        rows = sorted(
            (entry for thread in threads for entry in self._story.thread(home, thread)),
            key=lambda entry: entry.index or 0,
        )
        behind = paging.position(after)
        found = [
            self._story.view(entry)
            for entry in rows
            if (entry.index or 0) >= behind and fits(entry, msgspec.json.decode(entry.body))
        ]
        more = len(found) > limit
        return Page(items=found[:limit], next=str(found[limit].index) if more else None)

    def _placed(
        self, home: Home, fits: Fits, *, after: str, limit: int, newest: bool
    ) -> Page[EntryView]:
        """By index. A position is the index to go on from, in either direction."""
        ledger = self._means.store(home).ledger
        size, _ = ledger.size_root()
        at = paging.position(after) if after else (size - 1 if newest else 0)
        found: list[EntryView] = []
        for _ in range(LOOKED_AT_MAX // paging.PAGE):
            start = max(0, at - paging.PAGE + 1) if newest else at
            if not 0 <= at < size:
                return Page(items=found)
            count = at - start + 1 if newest else paging.PAGE
            rows = ledger.entries(start, count)
            for entry in reversed(rows) if newest else rows:
                if len(found) == limit:
                    return Page(items=found, next=str(entry.index))
                if fits(entry, msgspec.json.decode(entry.body)):
                    found.append(self._story.view(entry))
            at = start - 1 if newest else start + len(rows)
        return Page(items=found, next=str(at) if 0 <= at < size else None)

    def entry(self, home: Home, name: str) -> EntryView:
        """By its id, or by its index."""
        ledger = self._means.store(home).ledger
        found = ledger.entry(int(name)) if name.isdecimal() and len(name) < 16 else None
        found = found or ledger.by_id(name)
        if found is None:
            raise NotFound("no such entry")
        return self._story.view(found)

    async def verify(self, home: Home) -> LedgerCheck:
        """Compute the whole ledger again, and compare it with its newest signed checkpoint."""
        store = self._means.store(home)
        head = store.ledger.head()
        if head is None:
            raise NotFound("this participant has no ledger")
        steps: list[Check] = []
        signed = await self._means.engine.notary.checkpoint(home)
        try:
            checked = 0
            async for done, _ in store.ledger.verify():
                checked = done
            steps.append(_good("entries, chains and hashes", f"{checked} entries"))
        except EvidenceBroken as broken:
            steps.append(_bad("entries, chains and hashes", broken))
        steps.append(self._signature(home, head.origin, signed))
        size, root = store.ledger.size_root()
        return LedgerCheck(
            ok=all(step.state == "ok" for step in steps),
            size=size,
            root=root.hex(),
            checkpoint_size=signed.size if signed else 0,
            checkpoint_at=when(signed.at) if signed else None,
            origin=head.origin,
            steps=steps,
        )

    def _signature(self, home: Home, origin: str, signed: Checkpoint | None) -> Check:
        """The checkpoint's signatures, and that our tree of its size has its root."""
        name = "signed checkpoint"
        if signed is None:
            return Check(name=name, state="failed", value="there is none", mend="wait a second")
        vkeys = [
            note.vkey(origin, alg, public)
            for _, alg, public in self._means.engine.keyring.vkeys(home)
        ]
        try:
            read = note.Note.parse(bytes(signed.note), limits=self._means.ground.limits)
            size, root = note.verify(read, vkeys, origin=origin)
            ours = tree.root(self._means.store(home).ledger.tile, size)
        except CorridorError as error:
            return _bad(name, error)
        if root != ours:
            return Check(
                name=name,
                state="failed",
                value=f"it signs {root.hex()}, the entries give {ours.hex()}",
                mend="keep a copy of the data folder, and compare it with a backup",
            )
        return _good(name, f"covers {size} entries")


def _good(name: str, value: str) -> Check:
    return Check(name=name, state="ok", value=value)


def _bad(name: str, error: CorridorError) -> Check:
    mend = "keep a copy of the data folder, and compare it with a backup"
    return Check(name=name, state="failed", value=error.what, mend=mend)
