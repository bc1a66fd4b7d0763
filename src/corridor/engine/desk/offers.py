# SPDX-License-Identifier: Apache-2.0
"""What we offer: data looked at, terms proposed and checked, offers published and hidden."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from corridor.engine.desk import paging, patterns, terms, uploads
from corridor.engine.desk.means import Actor, Means, when
from corridor.engine.ground import Home, micros
from corridor.errors import Changed, Invalid, NotFound
from corridor.policy import odrl
from corridor.policy import terms as grammar
from corridor.policy.plain import plain
from corridor.policy.terms import Shape, Terms
from corridor.services import Look
from corridor.store.events import Event
from corridor.store.offers import Asset, Offer, TermsText
from corridor.store.unit import Conflict, Unit, Write
from corridor.wire.home import (
    AssetView,
    Fault,
    LookAsk,
    Looked,
    OfferAsk,
    OfferView,
    Page,
    TermsAsk,
    TermsChecked,
    Uploaded,
)

TABULAR = (".csv", ".parquet", ".duckdb", ".sqlite", ".sqlite3", ".db")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """Terms that can be published, with the data they are for. `source` None: as it was."""

    terms: Terms
    service: str
    source: Mapping[str, Any] | None
    look: Look


class Offers:
    """Assets, terms and offers of a participant."""

    def __init__(self, means: Means) -> None:
        self._means = means

    # data

    async def upload(
        self, home: Home, actor: Actor, asset: str, name: str, blocks: AsyncIterator[bytes]
    ) -> Uploaded:
        """Put content into the node's data folder; it is offered by its path afterwards."""
        found = await uploads.put(self._means.ground, home, asset, name, blocks)
        leaf = self._means.acted(home, actor, "asset.upload", asset, digest=found.sha256)
        await self._means.ground.store.run(Unit((), (leaf,)))
        return found

    async def look(self, home: Home, ask: LookAsk) -> Looked:
        """Look at data and propose terms; nothing is kept."""
        uploads.asset_id(ask.asset)
        service = ask.service or _service_of(ask.source)
        source = await uploads.source(self._means.ground, home, ask.source)
        look = await self._look(service, source)
        return Looked(
            service=service,
            columns=None if look.columns is None else list(look.columns),
            detail=dict(look.detail),
            terms=patterns.propose(
                ask.pattern,
                asset=ask.asset,
                service=service,
                columns=look.columns,
                title=ask.title,
                now=self._means.ground.now(),
            ),
        )

    async def _look(self, service: str, source: Mapping[str, Any]) -> Look:
        serving = self._means.ground.services.get(service)
        if serving is None:
            known = ", ".join(sorted(self._means.ground.services))
            raise Invalid(f"this node has no service {service}", cause=f"it has: {known}")
        return await serving.look(source)

    # terms

    async def check(self, home: Home, ask: TermsAsk) -> TermsChecked:
        """All faults of terms, or their meaning. Only what is no fault of the terms is raised."""
        try:
            checked = await self._check(home, ask.terms, ask.source, ask.service, ask.name)
        except Invalid as invalid:
            if not invalid.problems:
                raise
            return TermsChecked(
                asset=terms.glance(self._means, ask.terms).asset,
                service=ask.service,
                title={},
                description={},
                odrl=None,
                plain=[],
                terms_sha="",
                permit_sha="",
                problems=terms.faults(invalid.problems),
            )
        serving = self._means.ground.services[checked.service]
        return terms.told(checked.terms, service=checked.service, operands=serving.operands)

    async def _check(
        self, home: Home, text: str, source: Mapping[str, Any] | None, service: str, name: str
    ) -> _Checked:
        known = terms.glance(self._means, text)
        asset = self._means.store(home).assets.get(known.asset) if known.asset else None
        if source is not None:
            service = service or (asset.service if asset else "")
            service = service or ("tables" if known.tabular else _service_of(source))
            found = await uploads.source(self._means.ground, home, source)
        elif asset is not None:
            service, found = asset.service, None
        else:
            service, found = service or ("tables" if known.tabular else "files"), None
        if asset is not None and asset.service != service:
            raise Invalid(
                f"the asset {asset.asset_id} belongs to the service {asset.service}",
                mend="choose another id for this data",
            )
        if found is None and asset is None:
            # What can be said without the data is said first.
            terms.check(self._means, home, text, name=name, service=service, shape=None)
            raise Invalid(
                f"there is no asset {known.asset} yet", mend="say where its data lies: --data"
            )
        look = await self._look(service, found if found is not None else self._stored(home, asset))
        shape = Shape(asset=known.asset, service=service, columns=look.columns)
        sound = terms.check(
            self._means,
            home,
            text,
            name=name,
            service=service,
            shape=shape if shape.asset else None,
        )
        uploads.asset_id(sound.asset)
        return _Checked(terms=sound, service=service, source=found, look=look)

    def _stored(self, home: Home, asset: Asset | None) -> dict[str, Any]:
        assert asset is not None
        sealed = self._means.ground.world.keys.open(f"source|{home.slug}", asset.source)
        return msgspec.json.decode(sealed, type=dict[str, Any])

    # offers

    async def add(self, home: Home, actor: Actor, ask: OfferAsk) -> OfferView:
        """Publish terms over data. The same terms again are the offer that there is."""
        checked = await self._check(home, ask.terms, ask.source, ask.service, ask.name)
        store = self._means.store(home)
        for _ in range(self._means.ground.limits.conflict_retries_max):
            asset = store.assets.get(checked.terms.asset)
            same = self._same(home, checked.terms)
            writes = self._asset(home, asset, checked, ask)
            offer = same or self._offer(home, checked.terms, writes)
            state = "published" if ask.publish else offer.state
            if same is None:
                offer = msgspec.structs.replace(offer, state=state)
                writes.append(store.offers.insert(offer))
            elif same.state != state:
                writes.append(store.offers.update(same, state=state, changed=self._now()))
            try:
                await self._commit(home, actor, f"offer.{state}", offer, writes)
            except Conflict:
                continue
            return self._view(home, self._get(home, offer.offer_id), whole=True)
        raise Changed("the asset keeps changing")

    def _same(self, home: Home, sound: Terms) -> Offer | None:
        """An offer of the same meaning, audience and words, so that publishing twice is once."""
        audience = _json(terms.audience(sound))
        detail = _json({"title": sound.title, "description": sound.description})
        for offer in self._means.store(home).offers.by_asset(sound.asset):
            alike = offer.terms_sha == sound.policy.terms_hash and offer.audience == audience
            if alike and offer.detail == detail:
                return offer
        return None

    def _asset(
        self, home: Home, asset: Asset | None, checked: _Checked, ask: OfferAsk
    ) -> list[Write]:
        """The asset made, or its source and description replaced."""
        store, now = self._means.store(home), self._now()
        detail: dict[str, Any] = dict(checked.look.detail)
        if ask.synthetic:
            detail["synthetic"] = True
        if ask.licence:
            detail["licence"] = ask.licence
        sound = checked.terms
        told: dict[str, Any] = {
            "title": next(iter(sound.title.values())),
            "description": next(iter(sound.description.values()), ""),
            "detail": _json(detail),
        }
        if asset is None:
            assert checked.source is not None
            if store.assets.count() >= self._means.ground.limits.assets_per_participant_max:
                raise Invalid("this participant has as many assets as it may have")
            record = Asset(
                participant=home.slug,
                asset_id=sound.asset,
                service=checked.service,
                source=self._seal(home, checked.source),
                created=now,
                changed=now,
                **told,
            )
            return [store.assets.insert(record)]
        if checked.source is None:
            return []
        told["source"] = self._seal(home, checked.source)
        return [store.assets.update(asset, changed=now, **told)]

    def _seal(self, home: Home, source: Mapping[str, Any]) -> bytes:
        return self._means.ground.world.keys.seal(f"source|{home.slug}", _json(source))

    def _offer(self, home: Home, sound: Terms, writes: list[Write]) -> Offer:
        """A new offer; its terms are written once for each text."""
        store, now = self._means.store(home), self._now()
        if store.offers.count() >= self._means.ground.limits.offers_per_participant_max:
            raise Invalid("this participant has as many offers as it may have")
        chance = self._means.ground.world.chance
        text = grammar.write(sound)  # comments and sugar are gone, the meaning is not
        digest = sha256(text.encode()).hexdigest()
        kept = store.terms.by_sha256(digest)
        if kept is None:
            kept = TermsText(
                participant=home.slug,
                terms_id=chance.uuid7(),
                yaml=text,
                odrl=_json(odrl.write(sound.policy, id="", kind="Offer")),
                sha256=digest,
                created=now,
            )
            writes.append(store.terms.insert(kept))
        return Offer(
            participant=home.slug,
            offer_id=f"urn:uuid:{chance.uuid7()}",
            asset=sound.asset,
            terms=kept.terms_id,
            terms_sha=sound.policy.terms_hash,
            audience=_json(terms.audience(sound)),
            detail=_json({"title": sound.title, "description": sound.description}),
            created=now,
            changed=now,
        )

    async def publish(self, home: Home, actor: Actor, offer_id: str) -> OfferView:
        """Into the catalogue; the terms are checked again, since time has passed."""
        offer = self._get(home, offer_id)
        text = self._means.store(home).terms.get(offer.terms)
        assert text is not None
        await self._check(home, text.yaml, None, "", offer.asset)
        return await self._turn(home, actor, offer, "published")

    async def hide(self, home: Home, actor: Actor, offer_id: str) -> OfferView:
        """Out of the catalogue; agreements stay."""
        return await self._turn(home, actor, self._get(home, offer_id), "hidden")

    async def _turn(self, home: Home, actor: Actor, offer: Offer, state: str) -> OfferView:
        if offer.state != state:
            write = self._means.store(home).offers.update(offer, state=state, changed=self._now())
            await self._commit(home, actor, f"offer.{state}", offer, [write])
        return self._view(home, self._get(home, offer.offer_id), whole=True)

    async def _commit(
        self, home: Home, actor: Actor, action: str, offer: Offer, writes: list[Write]
    ) -> None:
        leaf = self._means.acted(home, actor, action, offer.offer_id, asset=offer.asset)
        event = Event(
            participant=home.slug,
            kind=action,
            subject=offer.offer_id,
            data=_json({"asset": offer.asset}),
            at=self._now(),
        )
        writes.append(self._means.store(home).events.insert(event))
        await self._means.ground.store.run(Unit(tuple(writes), (leaf,)))
        self._means.ground.bells.ring("events")

    def _now(self) -> int:
        return micros(self._means.ground.now())

    # looking

    def page(
        self, home: Home, *, after: str, limit: int, asset: str = "", state: str = ""
    ) -> Page[OfferView]:
        """Our offers, oldest first."""

        def shown(offer: Offer) -> OfferView | None:
            fits = (not asset or offer.asset == asset) and (not state or offer.state == state)
            return self._view(home, offer) if fits else None

        return paging.page(self._means.store(home).offers.page, shown, after=after, limit=limit)

    def show(self, home: Home, offer_id: str) -> OfferView:
        """One of them, with its terms."""
        return self._view(home, self._get(home, offer_id), whole=True)

    def _get(self, home: Home, offer_id: str) -> Offer:
        """By its id, with or without `urn:uuid:`, or the only offer of an asset."""
        store = self._means.store(home).offers
        offer = store.get(offer_id) or store.get(f"urn:uuid:{offer_id}")
        if offer is not None:
            return offer
        of_asset = store.by_asset(offer_id)
        published = [it for it in of_asset if it.state == "published"] or of_asset
        if len(published) > 1:
            ids = ", ".join(it.offer_id for it in published[:10])
            raise Invalid(f"{offer_id} has {len(published)} offers", cause=ids)
        if not published:
            raise NotFound("no such offer", code="unknown-offer")
        return published[0]

    def _view(self, home: Home, offer: Offer, *, whole: bool = False) -> OfferView:
        store = self._means.store(home)
        asset, text = store.assets.get(offer.asset), store.terms.get(offer.terms)
        assert asset is not None
        assert text is not None
        detail: dict[str, Any] = msgspec.json.decode(offer.detail)
        policy = {**msgspec.json.decode(text.odrl), "@id": offer.offer_id, "@type": "Offer"}
        return OfferView(
            id=offer.offer_id,
            asset=offer.asset,
            service=asset.service,
            state=offer.state,
            title=detail.get("title", {}),
            description=detail.get("description", {}),
            plain=plain(odrl.read(policy, limits=self._means.ground.limits)),
            terms_sha=offer.terms_sha,
            created=when(offer.created),
            changed=when(offer.changed),
            terms=text.yaml if whole else "",
            odrl=policy if whole else None,
            warnings=self._others(home, offer) if whole else [],
        )

    def _others(self, home: Home, offer: Offer) -> list[Fault]:
        """What a person should know who has just published other terms for the same asset."""
        if offer.state != "published":
            return []
        return [
            Fault(
                path="asset",
                message=f"{other.offer_id} offers the same asset under other terms",
                code="offer-beside",
                mend=f"if these replace it: corridor offer hide {other.offer_id}",
            )
            for other in self._means.store(home).offers.by_asset(offer.asset)
            if other.state == "published" and other.offer_id != offer.offer_id
        ]

    def assets(self, home: Home, *, after: str, limit: int) -> Page[AssetView]:
        """Our assets, oldest first."""
        return paging.page(
            self._means.store(home).assets.page,
            lambda it: self._asset_view(home, it),
            after=after,
            limit=limit,
        )

    def asset(self, home: Home, asset_id: str) -> AssetView:
        """One of them."""
        found = self._means.store(home).assets.get(asset_id)
        if found is None:
            raise NotFound("no such asset")
        return self._asset_view(home, found)

    def _asset_view(self, home: Home, asset: Asset) -> AssetView:
        offers = self._means.store(home).offers.by_asset(asset.asset_id)
        return AssetView(
            id=asset.asset_id,
            service=asset.service,
            title=asset.title,
            description=asset.description,
            detail=msgspec.json.decode(asset.detail),
            state=asset.state,
            offers=[it.offer_id for it in offers],
            created=when(asset.created),
            changed=when(asset.changed),
        )


def _service_of(source: Mapping[str, Any]) -> str:
    """The service that a source most likely is for: tables by its ending, else files."""
    path = source.get("path")
    named = "table" in source or "format" in source
    tabular = isinstance(path, str) and path.lower().endswith(TABULAR)
    return "tables" if named or tabular else "files"


def _json(value: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(value, order="sorted")
