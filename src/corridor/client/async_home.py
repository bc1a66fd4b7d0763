# SPDX-License-Identifier: Apache-2.0
"""The SDK for programs with an event loop: `aconnect()` gives an `AsyncHome`.

The same names as in `home`, to be awaited; a test compares the signatures.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from corridor.client import files, flows, offering, result
from corridor.client.aio import Waiting
from corridor.client.exchange import Flow
from corridor.client.faces import AssetFace, DealFace, OfferFace, PartnerFace, Terms
from corridor.client.files import Fetched, Progress, RemoteFile
from corridor.client.places import Place, find_place
from corridor.client.receipts import Promised, Receipt
from corridor.client.result import Answer, Rows
from corridor.wire.home import (
    Consequences,
    DealView,
    EventView,
    Explained,
    FindAsk,
    FoundAsset,
    Me,
    NodeInfo,
    OfferView,
    PartnerView,
    ReasonAsk,
    RequestAsk,
    SeenReceipt,
    Silent,
    TermsChecked,
)

T = TypeVar("T")


def aconnect(
    url: str | None = None,
    *,
    token: str | None = None,
    profile: str | None = None,
    participant: str | None = None,
    timeout_s: float = 30.0,
    language: str = "en",
) -> AsyncHome:
    """Your own node: by address, CORRIDOR_URL and CORRIDOR_TOKEN, or profile. Sends nothing yet."""
    place = find_place(url=url, token=token, profile=profile, participant=participant)
    return AsyncHome(place, timeout_s=timeout_s, language=language)


class AsyncHome:
    """Your own node. Calls may run beside each other, in one event loop."""

    def __init__(self, place: Place, *, timeout_s: float = 30.0, language: str = "en") -> None:
        self._driver = Waiting(place, timeout_s=timeout_s, language=language)
        self.line = flows.Line(place.participant)
        self.language = language
        self.place = place
        self.offers = AsyncOffers(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop all connections."""
        await self._driver.close()

    async def run(self, flow: Flow[T]) -> T:
        """Drive one call."""
        return await self._driver.run(flow)

    async def call(
        self, operation: str, /, *, body: Any = None, query: Mapping[str, str] | None = None,
        **names: str,
    ) -> Any:  # fmt: skip
        """One operation of `wire.home.OPERATIONS`, for what has no method of its own here."""
        return await self.run(flows.operate(self.line, operation, names, body=body, query=query))

    def pages(
        self, operation: str, /, *, query: Mapping[str, str] | None = None, **names: str
    ) -> AsyncPages[Any]:
        """A listing operation, page after page."""
        asked = query or {}
        return AsyncPages(
            self, lambda after: flows.page(self.line, operation, asked, after, **names), _same
        )

    async def node(self) -> NodeInfo:
        """The node itself."""
        told: NodeInfo = await self.call("node")
        return told

    async def me(self) -> Me:
        """Who this token is, and in which roles."""
        told: Me = await self.call("me")
        return told

    def partners(self) -> AsyncPages[AsyncPartner]:
        """Whom we know."""
        return AsyncPages(
            self,
            lambda after: flows.page(self.line, "partners", {}, after),
            lambda it: AsyncPartner(self, it),
        )

    async def partner(self, did_or_handle: str) -> AsyncPartner:
        """One of them; NotFound."""
        return AsyncPartner(self, await self.call("partner", id=did_or_handle))

    def find(
        self,
        text: str = "",
        *,
        partner: str | None = None,
        service: str | None = None,
        action: str | None = None,
        fresh: bool = False,
    ) -> AsyncPages[AsyncAsset]:
        """What partners offer to us. `.silent` of it: who did not answer.

        The node keeps catalogues for a minute; `fresh` asks the partners now.
        """
        asked = FindAsk(text=text, partner=partner, service=service, action=action, fresh=fresh)
        return AsyncPages(
            self,
            lambda after: flows.find_page(self.line, asked, after),
            lambda it: AsyncAsset(self, it),
        )

    def deals(self, *, state: str | None = None) -> AsyncPages[AsyncDeal]:
        """Agreements, and negotiations on their way to one."""
        query = {"on_its_way": "true"} if state is None else {"state": state}
        return AsyncPages(
            self,
            lambda after: flows.page(self.line, "deals", query, after),
            lambda it: AsyncDeal(self, it),
        )

    async def deal(self, id: str) -> AsyncDeal:  # noqa: A002 - the SDK's own word
        """By id of agreement or negotiation, its first 8 characters, or the asset; NotFound."""
        return AsyncDeal(self, await self.call("deal", id=id))

    def watch(
        self, *, since: str | None = None, kinds: Collection[str] = ()
    ) -> AsyncIterator[EventView]:
        """Events as they come, without end; a dropped line resumes by itself without loss."""
        return self._driver.each(flows.watch(self.line, since, kinds))

    async def explain(self, reference: str) -> Explained:
        """Why a decision fell."""
        told: Explained = await self.call("explain.reference", id=reference)
        return told

    def __repr__(self) -> str:
        return f"<AsyncHome {self.place.url} {self.line.participant}>"


class AsyncPages(Generic[T]):
    """A list that is read as far as one goes, a page at a time. It has no length."""

    def __init__(
        self, home: AsyncHome, page: Callable[[str | None], Flow[Any]], make: Callable[[Any], T]
    ) -> None:
        self._home = home
        self._page = page
        self._make = make
        self.silent: list[Silent] = []

    async def __aiter__(self) -> AsyncIterator[T]:
        after: str | None = None
        self.silent = []
        while True:
            page = await self._home.run(self._page(after))
            self.silent += getattr(page, "silent", [])
            for it in page.items:
                yield self._make(it)
            after = page.next
            if after is None:
                return

    async def first(self, n: int) -> list[T]:
        """The first n of them."""
        found: list[T] = []
        if n > 0:
            async for it in self:
                found.append(it)
                if len(found) == n:
                    break
        return found


class AsyncPartner(PartnerFace):
    """A partner: somebody we may ask."""

    def __init__(self, home: AsyncHome, view: PartnerView) -> None:
        super().__init__(view)
        self._home = home

    async def asset(self, id: str) -> AsyncAsset:  # noqa: A002 - the SDK's own word
        """What it offers by this id; NotFound."""
        flow: Flow[FoundAsset] = flows.asset_of(self._home.line, self.did, id)
        return AsyncAsset(self._home, await self._home.run(flow))

    def assets(self) -> AsyncPages[AsyncAsset]:
        """All that it offers to us."""
        return self._home.find(partner=self.did)


class AsyncAsset(AssetFace):
    """Something that a partner offers to us."""

    def __init__(self, home: AsyncHome, view: FoundAsset) -> None:
        super().__init__(view, home.language)
        self._home = home

    async def request(
        self,
        purpose: str,
        *,
        terms: Terms | None = None,
        note: str = "",
        wait_s: float = 30.0,
        reuse: bool = True,
    ) -> AsyncDeal:
        """Ask for an agreement. After `wait_s` it comes back with `pending`, and goes on alone.

        `reuse`: the live agreement about the same is the answer, so that a cell can run twice.
        """
        asked = RequestAsk(
            partner=self.view.partner_did,
            asset=self.id,
            purpose=purpose or None,
            terms=terms.text if terms is not None else None,
            note=note,
            wait_s=wait_s,
            reuse=reuse,
        )
        return AsyncDeal(self._home, await self._home.run(flows.request(self._home.line, asked)))


class AsyncDeal(DealFace):
    """An agreement, or a negotiation on its way to one."""

    def __init__(self, home: AsyncHome, view: DealView) -> None:
        super().__init__(view)
        self.home = home
        self.line = home.line

    async def look(self) -> AsyncDeal:
        """How it is now; the same object."""
        self.view = await self.home.call("deal", id=self.id)
        return self

    async def wait(self, timeout_s: float | None = None) -> AsyncDeal:
        """Until it is agreed or over; Pending after `timeout_s`. The same object."""
        self.view = await self.home.run(flows.settle(self.line, self.view, timeout_s))
        return self

    async def read(
        self,
        columns: Sequence[str] = (),
        *,
        where: Sequence[tuple[str, str, object]] = (),
        order: Sequence[str] = (),
        limit: int | None = None,
        purpose: str | None = None,
    ) -> AsyncResult:
        """Rows as they are (action read). In `order`, `-name` is descending."""
        flows.usable(self.view)
        asked = result.question(columns, where=where, order=order, limit=limit, purpose=purpose)
        return AsyncResult(self, await self.home.run(result.ask_rows(self.line, self.id, asked)))

    async def sql(
        self,
        query: str,
        *,
        parameters: Mapping[str, object] | None = None,
        purpose: str | None = None,
        epsilon: str | None = None,
    ) -> AsyncResult:
        """SQL. A partner of this version refuses it (code unsupported)."""
        flows.usable(self.view)
        asked = result.sql(query, parameters=parameters, purpose=purpose, epsilon=epsilon)
        return AsyncResult(self, await self.home.run(result.ask_rows(self.line, self.id, asked)))

    async def explain(
        self,
        columns: Sequence[str] = (),
        *,
        where: Sequence[tuple[str, str, object]] = (),
        order: Sequence[str] = (),
        limit: int | None = None,
        purpose: str | None = None,
    ) -> Mapping[str, Any]:
        """Whether `read` would be allowed, and by which rule not. Costs nothing."""
        flows.usable(self.view)
        asked = result.question(columns, where=where, order=order, limit=limit, purpose=purpose)
        return await self.home.run(flows.explain_query(self.line, self.id, asked))

    async def files(self) -> list[RemoteFile]:
        """The files that it gives."""
        flows.usable(self.view)
        return await self.home.run(files.list_files(self.line, self.view))

    async def fetch(
        self,
        path: str = "",
        *,
        to: Path | str = ".",
        resume: bool = True,
        progress: Progress | None = None,
    ) -> Path:
        """Download a file: goes on where it broke off, checks the digest, then gives the name."""
        fetched = await self.fetched(path, to=to, resume=resume, progress=progress)
        return fetched.path

    async def fetched(
        self,
        path: str = "",
        *,
        to: Path | str = ".",
        resume: bool = True,
        progress: Progress | None = None,
    ) -> Fetched:
        """As `fetch`, with all that is known about it."""
        flows.usable(self.view)
        return await self.home.run(
            files.fetch(self.line, self.id, path, to=to, resume=resume, progress=progress)
        )

    @property
    async def receipts(self) -> list[Receipt]:
        """A receipt for each use so far, oldest first, as our own node keeps them."""
        seen: list[SeenReceipt] = [it async for it in self.home.pages("receipts", id=self.id)]
        return [await self.receipt(it.id) for it in seen]

    async def receipt(self, id: str) -> Receipt:  # noqa: A002 - the SDK's own word
        """One of them."""
        promised = Promised(id, None)
        return await self.home.run(result.receipt_of(self.line, self.id, promised))

    async def receipt_for(self, it: Fetched) -> Receipt:
        """The receipt of a download, with the digest that was computed here."""
        flow = result.receipt_of(self.line, self.id, it.promised, response=it.response)
        return await self.home.run(flow)

    async def give_back(self, reason: str, *, dry_run: bool = False) -> Consequences:
        """End it as the consumer. `dry_run` only counts what would follow."""
        body = ReasonAsk(reason=reason, dry_run=dry_run)
        told: Consequences = await self.home.call("deal.give-back", id=self.id, body=body)
        return told

    async def withdraw(self, reason: str, *, dry_run: bool = False) -> Consequences:
        """End it as the provider: nothing is answered any more. `dry_run` only counts."""
        body = ReasonAsk(reason=reason, dry_run=dry_run)
        told: Consequences = await self.home.call("deal.withdraw", id=self.id, body=body)
        return told


class AsyncResult(Rows):
    """Rows of one answer."""

    def __init__(self, deal: AsyncDeal, answer: Answer) -> None:
        super().__init__(answer, deal=deal.id)
        self.home = deal.home
        self.line = deal.line

    @property
    async def receipt(self) -> Receipt:
        """What the provider signed about it, with the digests that were computed here."""
        return await self.home.run(result.receipt_for(self.line, self._deal, self._answer))


class AsyncOffers:
    """Our own offers."""

    def __init__(self, home: AsyncHome) -> None:
        self._home = home

    async def __aiter__(self) -> AsyncIterator[AsyncOffer]:
        async for it in self._home.pages("offers"):
            yield AsyncOffer(self._home, it)

    async def get(self, id: str) -> AsyncOffer:  # noqa: A002 - the SDK's own word
        """One of them, with its terms."""
        return AsyncOffer(self._home, await self._home.call("offer", id=id))

    async def check(self, terms: Path | str, data: Path | str | None = None) -> TermsChecked:
        """All faults of terms, or what they mean."""
        flow = offering.check(self._home.line, terms, data)
        told: TermsChecked = await self._home.run(flow)
        return told

    async def add(
        self,
        terms: Path | str,
        data: Path | str | None = None,
        *,
        publish: bool = False,
        service: str = "",
        licence: str = "",
        synthetic: bool = False,
    ) -> AsyncOffer:
        """Offer data. A local file is uploaded; `node:PATH` and addresses are read by the node.

        `service`: files or tables, where the data could be either.
        """
        flow = offering.add(
            self._home.line,
            terms,
            data,
            publish=publish,
            service=service,
            licence=licence,
            synthetic=synthetic,
        )
        return AsyncOffer(self._home, await self._home.run(flow))


class AsyncOffer(OfferFace):
    """An offer of ours."""

    def __init__(self, home: AsyncHome, view: OfferView) -> None:
        super().__init__(view)
        self._home = home

    async def publish(self) -> AsyncOffer:
        """Into the catalogue; the same object."""
        self.view = await self._home.call("offer.publish", id=self.id)
        return self

    async def hide(self) -> AsyncOffer:
        """Out of the catalogue; agreements stay. The same object."""
        self.view = await self._home.call("offer.hide", id=self.id)
        return self


def _same(it: T) -> T:
    return it
