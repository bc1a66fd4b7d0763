# SPDX-License-Identifier: Apache-2.0
"""The catalogue as one caller may see it: paged by keyset, each offer judged (node.md c; dsp.md 3).

A dataset is an asset with those of its published offers that the caller may see. Its bytes are
made once and kept while asset and offers stay what they are.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec

from corridor.engine.ground import Ground, Home
from corridor.engine.keyring import Keyring
from corridor.engine.library import Library, Offered
from corridor.errors import NotFound, RemoteProtocolError
from corridor.store.offers import Asset
from corridor.wire import catalog as wire

CACHE_MAX = 4096
MAC_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the catalogue; tokens of its neighbours, empty where there is none.

    `looked`: how many offers were judged for it, which is what it cost.
    """

    body: bytes
    following: str
    previous: str
    looked: int = 1


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins: behind a row, or (`back`) before it, read backwards."""

    row: int = 0
    back: bool = False

    @property
    def told(self) -> str:
        """As a token says it."""
        return f"{'b' if self.back else 'a'}{self.row}"


class Catalog:
    """What is offered by the participants of this node."""

    def __init__(self, ground: Ground, library: Library, keyring: Keyring) -> None:
        self._ground = ground
        self._library = library
        self._keyring = keyring
        self._written: OrderedDict[tuple[str, ...], bytes] = OrderedDict()

    def page(self, home: Home, peer: str, message: wire.CatalogRequestMessage, token: str) -> Page:
        """The page behind `token` (the first one where it is empty), as `peer` may see it."""
        wanted = wire.filter_of(message)
        digest = hashlib.sha256(msgspec.json.encode(message.filter or [])).hexdigest()[:16]
        place = self._read(home, peer, digest, token) if token else _Place()
        limits = self._ground.limits
        most = min(wanted.limit or limits.catalog_page_offers_max, limits.catalog_page_offers_max)
        if not token and wanted.ids:
            found = [it for it in self._named(home, peer, wanted.ids) if it is not None]
            return Page(body=self._body(home, found), following="", previous="")
        skip = wanted.offset if not token else 0
        datasets, last, more, looked = self._collect(home, peer, place, most, skip)
        if place.back:
            after, before = place.row - 1, last if more else 0
            datasets.reverse()
        else:
            after, before = last if more else 0, place.row + 1 if place.row else 0
        return Page(
            body=self._body(home, datasets),
            following=self._token(home, peer, digest, _Place(after)) if after else "",
            previous=self._token(home, peer, digest, _Place(before, back=True)) if before else "",
            looked=looked,
        )

    def dataset(self, home: Home, peer: str, dataset_id: str) -> bytes:
        """One dataset; raises NotFound also where the peer may not see it."""
        written = self._of_asset(home, peer, dataset_id)
        if written is None:
            raise NotFound("no such dataset")
        return wire.dataset_answer(written)

    def _named(self, home: Home, peer: str, ids: tuple[str, ...]) -> list[bytes | None]:
        """Each condition must hold, so two different ids give nothing."""
        return [self._of_asset(home, peer, ids[0])] if len(set(ids)) == 1 else []

    def _collect(
        self, home: Home, peer: str, place: _Place, most: int, skip: int
    ) -> tuple[list[bytes], int, bool, int]:
        """Datasets from `place` on: (their bytes, the last row, is there more, rows looked at)."""
        offers = self._ground.store.of(home.slug).offers
        datasets: list[bytes] = []
        page = offers.page_published_back if place.back else offers.page_published
        size, looked, last = 0, 0, place.row
        limits = self._ground.limits
        while looked < limits.catalog_rows_looked_at_max:
            rows = page(last, most + 1)
            for offer in rows:
                if len(datasets) >= most or size >= limits.catalog_page_bytes_max:
                    return datasets, last, True, looked
                last = offer.pk or last
                looked += 1
                written = self._first_of_asset(home, peer, offer.asset, offer.offer_id)
                if written is None:
                    continue
                if skip > 0:
                    skip -= 1
                    continue
                datasets.append(written)
                size += len(written)
            if len(rows) <= most:
                return datasets, last, False, looked
        return datasets, last, True, looked

    def _first_of_asset(self, home: Home, peer: str, asset_id: str, offer_id: str) -> bytes | None:
        """A dataset stands where the first of its published offers stands, and only there."""
        published = self._published(home, asset_id)
        if not published or published[0].offer.offer_id != offer_id:
            return None
        return self._write(home, peer, published)

    def _of_asset(self, home: Home, peer: str, asset_id: str) -> bytes | None:
        published = self._published(home, asset_id)
        return self._write(home, peer, published) if published else None

    def _published(self, home: Home, asset_id: str) -> list[Offered]:
        offers = self._ground.store.of(home.slug).offers.by_asset(asset_id)
        found = [self._library.describe(home, it) for it in offers if it.state == "published"]
        return [each for each in found if each is not None]

    def _write(self, home: Home, peer: str, published: list[Offered]) -> bytes | None:
        shown = [each for each in published if self._library.visible(home, each, peer)]
        if not shown:
            return None
        asset = shown[0].asset
        key = (home.slug, asset.asset_id, str(asset.ver), *(it.offer.offer_id for it in shown))
        written = self._written.get(key)
        if written is None:
            written = self._written[key] = self._dataset(home, asset, shown)
            if len(self._written) > CACHE_MAX:
                self._written.popitem(last=False)
        return written

    def _dataset(self, home: Home, asset: Asset, shown: list[Offered]) -> bytes:
        service = self._ground.services[asset.service]
        described: dict[str, Any] = msgspec.json.decode(shown[0].offer.detail)
        detail = {"service": asset.service, **msgspec.json.decode(asset.detail)}
        formats = msgspec.json.decode(shown[0].offer.formats, type=list[str])
        return wire.dataset_bytes(
            dataset_id=asset.asset_id,
            offers=[it.policy for it in shown],
            formats=formats or [*service.pull_formats, *service.push_formats],
            service=self._connector(home),
            title=described.get("title"),
            description=described.get("description"),
            detail=detail,
        )

    def _connector(self, home: Home) -> wire.DataService:
        return wire.DataService(id_=f"{home.did}#dsp", endpoint_url=home.dsp_url)

    def _body(self, home: Home, datasets: list[bytes]) -> bytes:
        return wire.catalog_bytes(home.did, f"{home.did}#catalog", self._connector(home), datasets)

    # continuation tokens: a place, and a mac over it and the asker

    def _token(self, home: Home, peer: str, digest: str, place: _Place) -> str:
        mac = self._mac(home, peer, digest, place.told)
        return base64.urlsafe_b64encode(f"{place.told}.{mac}".encode()).decode().rstrip("=")

    def _mac(self, home: Home, peer: str, digest: str, told: str) -> str:
        key = self._keyring.active(home.slug, "session")
        text = f"catalog|{home.slug}|{peer}|{digest}|{told}"
        return self._ground.world.keys.hmac(key, text.encode())[:MAC_BYTES].hex()

    def _read(self, home: Home, peer: str, digest: str, token: str) -> _Place:
        try:
            told, mac = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).split(b".")
        except ValueError as error:
            raise RemoteProtocolError("no continuation token of ours", code="filter") from error
        expected = self._mac(home, peer, digest, told.decode("latin-1"))
        if not hmac.compare_digest(mac, expected.encode()):
            raise RemoteProtocolError("no continuation token of ours", code="filter")
        return _Place(int(told[1:]), back=told[:1] == b"b")
