# SPDX-License-Identifier: Apache-2.0
"""Terms and permits as the engine looks them up: compiled once, kept, judged.

Policies and permits are immutable, so a cache by id never goes stale; what changes (is the offer
still published, does the agreement still live) is read from the store each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from corridor.engine.ground import Ground, Home, micros, moment
from corridor.policy import judge as j
from corridor.policy import narrower, odrl
from corridor.policy import permit as permits
from corridor.policy.model import Policy
from corridor.policy.permit import Permit
from corridor.policy.permit import Who as Whom
from corridor.policy.windows import window_start
from corridor.store.agreements import Agreement
from corridor.store.negotiations import Negotiation
from corridor.store.offers import Asset, Offer

CACHE_MAX = 4096
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A published offer with what is needed to judge it. `policy` is the offer as it is shown."""

    offer: Offer
    asset: Asset
    policy: Mapping[str, Any]
    model: Policy

    @property
    def terms_hash(self) -> str:
        """The hash of its meaning."""
        return self.model.terms_hash


class People:
    """What is known of peers: facts that the operator wrote down (`peers.toml`), by DID."""

    def __init__(self, known: Mapping[str, j.Who]) -> None:
        self._known = known

    def who(self, did: str) -> j.Who:
        """The facts of a peer; nothing but its DID where nobody wrote any."""
        return self._known.get(did) or j.Who(did=did)


class Cache(OrderedDict[str, T]):
    """The most lately used few thousand."""

    def keep(self, key: str, make: Callable[[], T]) -> T:
        """The value of `key`, made where it is not there."""
        if key in self:
            self.move_to_end(key)
            return self[key]
        value = self[key] = make()
        if len(self) > CACHE_MAX:
            self.popitem(last=False)
        return value


class Library:
    """Looks terms up and asks the judge about them."""

    def __init__(self, ground: Ground, people: People) -> None:
        self._ground = ground
        self.people = people
        self._policies: Cache[tuple[dict[str, Any], Policy]] = Cache()
        self._permits: Cache[Permit] = Cache()

    def offered(self, home: Home, offer_id: str) -> Offered | None:
        """The offer with this id, while it is published."""
        store = self._ground.store.of(home.slug)
        offer = store.offers.get(offer_id)
        if offer is None or offer.state != "published":
            return None
        return self.describe(home, offer)

    def describe(self, home: Home, offer: Offer) -> Offered | None:
        """An offer with its asset and its terms."""
        store = self._ground.store.of(home.slug)
        asset = store.assets.get(offer.asset)
        if asset is None:
            return None
        policy, model = self._policies.keep(offer.offer_id, lambda: self._read(home, offer))
        return Offered(offer=offer, asset=asset, policy=policy, model=model)

    def _read(self, home: Home, offer: Offer) -> tuple[dict[str, Any], Policy]:
        terms = self._ground.store.of(home.slug).terms.get(offer.terms)
        assert terms is not None
        policy = {**msgspec.json.decode(terms.odrl), "@id": offer.offer_id, "@type": "Offer"}
        return policy, odrl.read(policy, limits=self._ground.limits)

    def visible(self, home: Home, offered: Offered, peer: str) -> bool:
        """Whether the catalogue shows this offer to this peer, now."""
        who = self.people.who(peer)
        audience = msgspec.json.decode(offered.offer.audience)
        if audience and not j.may_see(_whom(audience), who=who, now=self._ground.now()):
            return False
        return self._judge(home, j.Point.CATALOG, offered.model, who)

    def _judge(self, home: Home, point: j.Point, model: Policy, who: j.Who) -> bool:
        del home
        verdict = j.judge(
            point,
            model,
            j.Facts(),
            who=who,
            counters={},
            standing=j.Standing(),
            now=self._ground.now(),
        )
        return isinstance(verdict, j.Allowed)

    def may_agree(self, home: Home, it: Negotiation) -> j.Allowed | j.Denied:
        """Whether what lies on the table may be agreed with this peer."""
        del home
        model = odrl.read(msgspec.json.decode(it.offer_raw or b"{}"), limits=self._ground.limits)
        return j.judge(
            j.Point.NEGOTIATION,
            model,
            j.Facts(purpose=it.purpose),
            who=self.people.who(it.peer),
            counters={},
            standing=j.Standing(),
            now=self._ground.now(),
        )

    def wider(self, home: Home, it: Negotiation, offered: Offered) -> tuple[str, ...]:
        """Public names of what is asked beyond the offer; empty where it is no more."""
        del home
        if it.terms_sha == offered.terms_hash:
            return ()
        asked = odrl.read(msgspec.json.decode(it.offer_raw or b"{}"), limits=self._ground.limits)
        relation, names = narrower.compare(asked, offered.model, service=offered.asset.service)
        if relation in (narrower.Relation.EQUAL, narrower.Relation.NARROWER):
            return ()
        return names or ("terms",)

    def counters(
        self, home: Home, agreement_id: str, permit: Permit, now: datetime
    ) -> dict[tuple[str, str], Decimal]:
        """What is used of each quota of an agreement, in the windows that hold `now`."""
        store = self._ground.store.of(home.slug).counters
        found: dict[tuple[str, str], Decimal] = {}
        for rule in permit.rules:
            for quota in rule.quotas:
                start = micros(window_start(quota.window, now))
                counter = store.get(scope_of(agreement_id, rule.key), quota.name, start)
                if counter is not None:
                    found[rule.key, quota.name] = counter.spent
        return found

    def check(self, model: Policy, service: str) -> None:
        """That these terms could be compiled for an asset of `service`; raises CannotHonour."""
        serving = self._ground.services.get(service)
        operands = serving.operands if serving is not None else frozenset()
        permits.draft(model, service=service, operands=operands)

    def clock_floor(self, home: Home) -> datetime | None:
        """The time of the ledger's last entry: the clock may not lie before it."""
        head = self._ground.store.of(home.slug).ledger.head()
        return None if head is None or not head.last_time else moment(head.last_time)

    def compile(self, agreement: Mapping[str, Any], service: str) -> Permit:
        """The permit of an agreement; raises CannotHonour."""
        serving = self._ground.services.get(service)
        operands = serving.operands if serving is not None else frozenset()
        return permits.compile(agreement, service=service, operands=operands)

    def permit(self, home: Home, record: Agreement) -> Permit:
        """The permit of a stored agreement."""
        key = f"{home.slug}|{record.role}|{record.agreement_id}"
        return self._permits.keep(
            key, lambda: self.compile(msgspec.json.decode(record.raw), record.service)
        )


def scope_of(agreement_id: str, rule_key: str) -> str:
    """What a rule's counters belong to (terms.md 4.2)."""
    return f"{agreement_id}|{rule_key}"


def _whom(audience: Mapping[str, Any]) -> Whom:
    """The terms' `show_to`, which stays with the provider."""
    shown = audience.get("show_to") or {}
    return Whom(
        recipients=frozenset(shown["recipient"]) if shown.get("recipient") else None,
        countries=frozenset(shown["spatial"]) if shown.get("spatial") else None,
        credentials=frozenset(
            (kind, issuer or None)
            for kind, _, issuer in (each.partition("@") for each in shown.get("credentials", ()))
        ),
        claims=frozenset(
            (*name.split(".", 1), value) for name, value in shown.get("claims", {}).items()
        ),
    )
