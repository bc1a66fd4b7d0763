# SPDX-License-Identifier: Apache-2.0
"""What partners offer to us: their catalogues read, understood, kept for a minute, searched.

An offer that holds what this node does not know is listed all the same, with what it is, and
cannot be asked for (terms.md 6).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from corridor.engine.desk import terms
from corridor.engine.desk.connection import Connection, following
from corridor.engine.desk.means import Means
from corridor.engine.desk.partners import Partners
from corridor.engine.ground import Home
from corridor.errors import CannotHonour, CorridorError, NotFound, NotReachable
from corridor.policy import odrl, permit
from corridor.policy.model import Policy
from corridor.policy.plain import plain
from corridor.store.peers import Peer
from corridor.wire import catalog
from corridor.wire.home import FindAsk, Found, FoundAsset, FoundOffer, Silent

CACHES_MAX = 1000
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Understood:
    """An offer of a partner. `policy` is as it came, `model` None where it is not understood."""

    policy: Mapping[str, Any]
    model: Policy | None
    view: FoundOffer


@dataclass(frozen=True, slots=True)
class Offering:
    """An asset of a partner, and the offers for it."""

    view: FoundAsset
    offers: tuple[Understood, ...]
    words: str


@dataclass(frozen=True, slots=True)
class _Read:
    """A catalogue as it was read, or why it was not."""

    at: float
    assets: tuple[Offering, ...]
    error: CorridorError | None = None


class Find:
    """Searches catalogues."""

    def __init__(self, means: Means, partners: Partners, connection: Connection) -> None:
        self._means = means
        self._partners = partners
        self._connection = connection
        self._kept: OrderedDict[tuple[str, str], _Read] = OrderedDict()
        self._flights: dict[tuple[str, str], asyncio.Task[_Read]] = {}

    async def find(self, home: Home, ask: FindAsk, *, after: str, limit: int) -> Found:
        """Assets that fit, by partner and id; partners that did not answer are named."""
        peers = (
            [self._partners.find(home, ask.partner)]
            if ask.partner
            else self._means.store(home).peers.list()
        )
        turnstile = asyncio.Semaphore(AT_ONCE)

        async def ask_one(peer: Peer) -> tuple[Peer, _Read]:
            async with turnstile:
                return peer, await self._catalogue(home, peer, fresh=ask.fresh)

        answers = await asyncio.gather(*(ask_one(peer) for peer in peers))
        silent = [
            Silent(
                partner=peer.handle,
                partner_did=peer.did,
                code=read.error.code,
                why=read.error.what,
            )
            for peer, read in answers
            if read.error is not None
        ]
        if ask.partner and silent:
            raise NotReachable(f"{silent[0].partner} did not answer", cause=silent[0].why)
        fitting = sorted(
            (it.view for _, read in answers for it in read.assets if _fits(it, ask)),
            key=_key,
        )
        behind = [it for it in fitting if not after or _key(it) > after]
        more = len(behind) > limit
        return Found(
            items=behind[:limit],
            silent=silent,
            next=_key(behind[limit - 1]) if more else None,
        )

    async def asset(self, home: Home, peer: Peer, asset_id: str) -> Offering:
        """One asset of a partner; asked for anew where the kept catalogue does not have it."""
        for fresh in (False, True):
            read = await self._catalogue(home, peer, fresh=fresh)
            if read.error is not None:
                raise NotReachable(
                    f"{peer.handle} did not answer",
                    cause=read.error.what,
                    mend=f"corridor partner test {peer.handle}",
                )
            found = next((it for it in read.assets if it.view.id == asset_id), None)
            if found is not None:
                return found
        raise NotFound(f"{peer.handle} offers us no asset {asset_id[:100]}", mend="corridor find")

    def forget(self, home: Home, did: str) -> None:
        """The kept catalogue of a partner is not what it offers any more."""
        self._kept.pop((home.slug, did), None)

    async def _catalogue(self, home: Home, peer: Peer, *, fresh: bool) -> _Read:
        """From memory for a minute; one reading serves all who wait for it."""
        key = (home.slug, peer.did)
        now = self._means.ground.world.clock.monotonic()
        kept = self._kept.get(key)
        age = self._means.ground.limits.catalog_cache_s
        if kept is not None and not fresh and now - kept.at < age:
            return kept
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._read(home, peer))
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        read = await asyncio.shield(flight)
        if read.error is None:
            self._kept[key] = read
            self._kept.move_to_end(key)
            if len(self._kept) > CACHES_MAX:
                self._kept.popitem(last=False)
        return read

    async def _read(self, home: Home, peer: Peer) -> _Read:
        """The whole catalogue, page by page; a link is followed within the partner's place only."""
        limits = self._means.ground.limits
        began = self._means.ground.world.clock.monotonic()
        url = f"{peer.address}/catalog/request"
        place = urlsplit(url)
        found: list[Offering] = []
        size = 0
        try:
            for _ in range(limits.catalog_pages_followed_max):
                answer = await self._connection.ask_catalogue(home, peer.did, url)
                size += len(answer.body)
                if size > limits.catalog_read_bytes_max:
                    raise NotReachable("their catalogue is longer than we read")
                page = catalog.decode_catalog(answer.body, limits=limits)
                found += [self._offering(home, peer, it) for it in _datasets(page, peer.did)]
                following_url = following(answer)
                there = urlsplit(following_url)
                same = (there.scheme, there.netloc) == (place.scheme, place.netloc)
                if not following_url or len(found) >= limits.find_assets_per_partner_max:
                    break
                if not same:
                    raise NotReachable("their catalogue goes on at somebody else's place")
                url = following_url
        except CorridorError as error:
            return _Read(began, (), error)
        return _Read(began, tuple(found[: limits.find_assets_per_partner_max]))

    def _offering(self, home: Home, peer: Peer, dataset: catalog.Dataset) -> Offering:
        detail = _detail(dataset.detail)
        formats = list(dict.fromkeys(it.format for it in dataset.distribution))
        service = self._service(detail, formats)
        offers = tuple(self._understood(home, policy, service) for policy in dataset.policies())
        title, description = catalog.words(dataset.title), catalog.words(dataset.description)
        models = [it.model for it in offers if it.model is not None]
        view = FoundAsset(
            partner=peer.handle,
            partner_did=peer.did,
            id=dataset.id_,
            title=title,
            description=description,
            service=service,
            formats=formats,
            offers=[it.view for it in offers],
            synthetic=detail.get("synthetic") is True,
            licence=str(detail.get("licence", ""))[:500],
            columns=_columns(models),
            detail=detail,
        )
        words = " ".join([dataset.id_, *title.values(), *description.values()]).casefold()
        return Offering(view, offers, words)

    def _service(self, detail: Mapping[str, Any], formats: list[str]) -> str:
        """What the provider says, else the one service of ours that takes such a format."""
        told = detail.get("service")
        services = self._means.ground.services
        if isinstance(told, str) and told in services:
            return told
        for name, service in services.items():
            if not set(formats).isdisjoint(service.pull_formats):
                return name
        return told if isinstance(told, str) else ""

    def _understood(self, home: Home, policy: Mapping[str, Any], service: str) -> Understood:
        limits = self._means.ground.limits
        unknown = odrl.foreign(policy, limits=limits)
        model: Policy | None = None
        try:
            model = odrl.read(policy, limits=limits)
            serving = self._means.ground.services.get(service)
            operands = serving.operands if serving is not None else frozenset()
            permit.draft(model, service=service, operands=operands)
        except CannotHonour as error:
            unknown = unknown or [error.term or error.what]
        purposes = [self._means.purpose_word(home, it) for it in terms.purposes_of(model)]
        return Understood(
            policy,
            model,
            FoundOffer(
                id=str(policy.get("@id", "")),
                plain=[] if model is None else plain(model),
                actions=terms.actions_of(model),
                purposes=purposes,
                terms_sha="" if model is None else model.terms_hash,
                requestable=not unknown,
                cannot_be_honoured=unknown,
                odrl=dict(policy),
            ),
        )


def _datasets(page: catalog.Catalog, did: str) -> Iterator[catalog.Dataset]:
    """The partner's own datasets, those of catalogues inside too; another's are not its to sell."""
    waiting = [page]
    while waiting:
        it = waiting.pop()
        if it.participant_id in (None, did):
            yield from it.dataset
            waiting += it.catalog


def _detail(text: str | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text or "{}")
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _columns(models: list[Policy]) -> list[str] | None:
    named = [found for model in models if (found := terms.columns_of(model)) is not None]
    return list(dict.fromkeys(it for each in named for it in each)) if named else None


def _fits(it: Offering, ask: FindAsk) -> bool:
    wanted = all(word in it.words for word in ask.text.casefold().split())
    service = ask.service in (None, "", it.view.service)
    action = not ask.action or any(ask.action in offer.actions for offer in it.view.offers)
    return wanted and service and action


def _key(it: FoundAsset) -> str:
    return f"{it.partner}\n{it.id}"
