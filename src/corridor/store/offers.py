# SPDX-License-Identifier: Apache-2.0
"""Assets, terms and offers (node.md b)."""

from __future__ import annotations

from corridor.store.rows import PAGE, Bound, Changing, Record, Rows


class Asset(Record, frozen=True, kw_only=True):
    """A thing on offer. `source` (sealed where secret) never leaves; `detail` is public JSON."""

    participant: str = ""
    asset_id: str
    service: str
    title: str
    description: str = ""
    source: bytes
    detail: bytes = b"{}"
    state: str = "ready"
    created: int
    changed: int
    ver: int = 1


class Assets(Changing[Asset]):
    """A participant's assets."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "asset", Asset)

    def get(self, asset_id: str) -> Asset | None:
        """By its id."""
        return self._one("get", asset_id=asset_id)

    def page(self, after: int = 0, limit: int = PAGE) -> list[Asset]:
        """Oldest first, behind row `after`."""
        return self._list("page", after=after, limit=limit)

    def count(self) -> int:
        """How many there are."""
        return self._count("count")


class TermsText(Record, frozen=True, kw_only=True):
    """Terms as written (`yaml`) and as said (`odrl`, canonical JSON). They never change."""

    participant: str = ""
    terms_id: str
    yaml: str
    odrl: bytes
    sha256: str
    created: int


class TermsTexts(Rows[TermsText]):
    """A participant's terms."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "terms", TermsText)

    def get(self, terms_id: str) -> TermsText | None:
        """By their id."""
        return self._one("get", terms_id=terms_id)

    def by_sha256(self, sha256: str) -> TermsText | None:
        """By the digest of their text: the same terms are kept once."""
        return self._one("by-sha256", sha256=sha256)


class Offer(Record, frozen=True, kw_only=True):
    """An asset under terms. States: draft, published, hidden. `formats` and `audience` are JSON."""

    participant: str = ""
    offer_id: str
    asset: str
    terms: str
    terms_sha: str
    formats: bytes = b"[]"
    audience: bytes = b"[]"
    detail: bytes = b"{}"
    state: str = "draft"
    valid_from: int | None = None
    valid_until: int | None = None
    created: int
    changed: int
    ver: int = 1


class Offers(Changing[Offer]):
    """A participant's offers."""

    def __init__(self, bound: Bound) -> None:
        super().__init__(bound, "offer", Offer)

    def get(self, offer_id: str) -> Offer | None:
        """By its id."""
        return self._one("get", offer_id=offer_id)

    def page(self, after: int = 0, limit: int = PAGE) -> list[Offer]:
        """Oldest first, behind row `after`."""
        return self._list("page", after=after, limit=limit)

    def page_published(self, after_pk: int = 0, limit: int = PAGE) -> list[Offer]:
        """Published ones behind row `after_pk`, oldest first: the catalogue's order."""
        return self._list("published", after=after_pk, limit=limit)

    def page_published_back(self, before_pk: int, limit: int = PAGE) -> list[Offer]:
        """Published ones before row `before_pk`, newest first: the catalogue read backwards."""
        return self._list("published-back", before=before_pk, limit=limit)

    def by_asset(self, asset: str) -> list[Offer]:
        """All of an asset, oldest first."""
        return self._list("by-asset", asset=asset)

    def count(self) -> int:
        """How many there are."""
        return self._count("count")
