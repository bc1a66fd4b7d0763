# SPDX-License-Identifier: Apache-2.0
"""The SDK without an event loop: `connect()` gives a `Home`, everything else comes from it.

experience.md 4. `async_home` has the same names; a test compares the signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from corridor.client import files, flows, offering, result
from corridor.client.blocking import Blocking
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


def connect(
    url: str | None = None,
    *,
    token: str | None = None,
    profile: str | None = None,
    participant: str | None = None,
    timeout_s: float = 30.0,
    language: str = "en",
) -> Home:
    """Your own node: by address, CORRIDOR_URL and CORRIDOR_TOKEN, or profile. Sends nothing yet."""
    place = find_place(url=url, token=token, profile=profile, participant=participant)
    return Home(place, timeout_s=timeout_s, language=language)


class Home:
    """Your own node. One connection: not for several threads at once."""

    def __init__(self, place: Place, *, timeout_s: float = 30.0, language: str = "en") -> None:
        self._driver = Blocking(place, timeout_s=timeout_s, language=language)
        self.line = flows.Line(place.participant)
        self.language = language
        self.place = place
        self.offers = Offers(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection."""
        self._driver.close()

    def run(self, flow: Flow[T]) -> T:
        """Drive one call."""
        return self._driver.run(flow)

    def call(
        self, operation: str, /, *, body: Any = None, query: Mapping[str, str] | None = None,
        **names: str,
    ) -> Any:  # fmt: skip
        """One operation of `wire.home.OPERATIONS`, for what has no method of its own here."""
        return self.run(flows.operate(self.line, operation, names, body=body, query=query))

    def pages(
        self, operation: str, /, *, query: Mapping[str, str] | None = None, **names: str
    ) -> Pages[Any]:
        """A listing operation, page after page."""
        asked = query or {}
        return Pages(
            self, lambda after: flows.page(self.line, operation, asked, after, **names), _same
        )

    def node(self) -> NodeInfo:
        """The node itself."""
        told: NodeInfo = self.call("node")
        return told

    def me(self) -> Me:
        """Who this token is, and in which roles."""
        told: Me = self.call("me")
        return told

    def partners(self) -> Pages[Partner]:
        """Whom we know."""
        return Pages(
            self,
            lambda after: flows.page(self.line, "partners", {}, after),
            lambda it: Partner(self, it),
        )

    def partner(self, did_or_handle: str) -> Partner:
        """One of them; NotFound."""
        return Partner(self, self.call("partner", id=did_or_handle))

    def find(
        self,
        text: str = "",
        *,
        partner: str | None = None,
        service: str | None = None,
        action: str | None = None,
        fresh: bool = False,
    ) -> Pages[Asset]:
        """What partners offer to us. `.silent` of it: who did not answer.

        The node keeps catalogues for a minute; `fresh` asks the partners now.
        """
        asked = FindAsk(text=text, partner=partner, service=service, action=action, fresh=fresh)
        return Pages(
            self,
            lambda after: flows.find_page(self.line, asked, after),
            lambda it: Asset(self, it),
        )

    def deals(self, *, state: str | None = None) -> Pages[Deal]:
        """Agreements, and negotiations on their way to one."""
        query = {"on_its_way": "true"} if state is None else {"state": state}
        return Pages(
            self,
            lambda after: flows.page(self.line, "deals", query, after),
            lambda it: Deal(self, it),
        )

    def deal(self, id: str) -> Deal:  # noqa: A002 - the SDK's own word
        """By id of agreement or negotiation, its first 8 characters, or the asset; NotFound."""
        return Deal(self, self.call("deal", id=id))

    def watch(
        self, *, since: str | None = None, kinds: Collection[str] = ()
    ) -> Iterator[EventView]:
        """Events as they come, without end; a dropped line resumes by itself without loss."""
        return self._driver.each(flows.watch(self.line, since, kinds))

    def explain(self, reference: str) -> Explained:
        """Why a decision fell."""
        told: Explained = self.call("explain.reference", id=reference)
        return told

    def __repr__(self) -> str:
        return f"<Home {self.place.url} {self.line.participant}>"


class Pages(Generic[T]):
    """A list that is read as far as one goes, a page at a time. It has no length."""

    def __init__(
        self, home: Home, page: Callable[[str | None], Flow[Any]], make: Callable[[Any], T]
    ) -> None:
        self._home = home
        self._page = page
        self._make = make
        self.silent: list[Silent] = []

    def __iter__(self) -> Iterator[T]:
        after: str | None = None
        self.silent = []
        while True:
            page = self._home.run(self._page(after))
            self.silent += getattr(page, "silent", [])
            yield from map(self._make, page.items)
            after = page.next
            if after is None:
                return

    def first(self, n: int) -> list[T]:
        """The first n of them."""
        return list(islice(self, n))


class Partner(PartnerFace):
    """A partner: somebody we may ask."""

    def __init__(self, home: Home, view: PartnerView) -> None:
        super().__init__(view)
        self._home = home

    def asset(self, id: str) -> Asset:  # noqa: A002 - the SDK's own word
        """What it offers by this id; NotFound."""
        flow: Flow[FoundAsset] = flows.asset_of(self._home.line, self.did, id)
        return Asset(self._home, self._home.run(flow))

    def assets(self) -> Pages[Asset]:
        """All that it offers to us."""
        return self._home.find(partner=self.did)


class Asset(AssetFace):
    """Something that a partner offers to us."""

    def __init__(self, home: Home, view: FoundAsset) -> None:
        super().__init__(view, home.language)
        self._home = home

    def request(
        self,
        purpose: str,
        *,
        terms: Terms | None = None,
        note: str = "",
        wait_s: float = 30.0,
        reuse: bool = True,
    ) -> Deal:
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
        return Deal(self._home, self._home.run(flows.request(self._home.line, asked)))


class Deal(DealFace):
    """An agreement, or a negotiation on its way to one."""

    def __init__(self, home: Home, view: DealView) -> None:
        super().__init__(view)
        self.home = home
        self.line = home.line

    def look(self) -> Deal:
        """How it is now; the same object."""
        self.view = self.home.call("deal", id=self.id)
        return self

    def wait(self, timeout_s: float | None = None) -> Deal:
        """Until it is agreed or over; Pending after `timeout_s`. The same object."""
        self.view = self.home.run(flows.settle(self.line, self.view, timeout_s))
        return self

    def read(
        self,
        columns: Sequence[str] = (),
        *,
        where: Sequence[tuple[str, str, object]] = (),
        order: Sequence[str] = (),
        limit: int | None = None,
        purpose: str | None = None,
    ) -> Result:
        """Rows as they are (action read). In `order`, `-name` is descending."""
        flows.usable(self.view)
        asked = result.question(columns, where=where, order=order, limit=limit, purpose=purpose)
        return Result(self, self.home.run(result.ask_rows(self.line, self.id, asked)))

    def sql(
        self,
        query: str,
        *,
        parameters: Mapping[str, object] | None = None,
        purpose: str | None = None,
        epsilon: str | None = None,
    ) -> Result:
        """SQL. A partner of this version refuses it (code unsupported)."""
        flows.usable(self.view)
        asked = result.sql(query, parameters=parameters, purpose=purpose, epsilon=epsilon)
        return Result(self, self.home.run(result.ask_rows(self.line, self.id, asked)))

    def explain(
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
        return self.home.run(flows.explain_query(self.line, self.id, asked))

    def files(self) -> list[RemoteFile]:
        """The files that it gives."""
        flows.usable(self.view)
        return self.home.run(files.list_files(self.line, self.view))

    def fetch(
        self,
        path: str = "",
        *,
        to: Path | str = ".",
        resume: bool = True,
        progress: Progress | None = None,
    ) -> Path:
        """Download a file: goes on where it broke off, checks the digest, then gives the name."""
        return self.fetched(path, to=to, resume=resume, progress=progress).path

    def fetched(
        self,
        path: str = "",
        *,
        to: Path | str = ".",
        resume: bool = True,
        progress: Progress | None = None,
    ) -> Fetched:
        """As `fetch`, with all that is known about it."""
        flows.usable(self.view)
        return self.home.run(
            files.fetch(self.line, self.id, path, to=to, resume=resume, progress=progress)
        )

    @property
    def receipts(self) -> list[Receipt]:
        """A receipt for each use so far, oldest first, as our own node keeps them."""
        seen: list[SeenReceipt] = list(self.home.pages("receipts", id=self.id))
        return [self.receipt(it.id) for it in seen]

    def receipt(self, id: str) -> Receipt:  # noqa: A002 - the SDK's own word
        """One of them."""
        promised = Promised(id, None)
        return self.home.run(result.receipt_of(self.line, self.id, promised))

    def receipt_for(self, it: Fetched) -> Receipt:
        """The receipt of a download, with the digest that was computed here."""
        flow = result.receipt_of(self.line, self.id, it.promised, response=it.response)
        return self.home.run(flow)

    def give_back(self, reason: str, *, dry_run: bool = False) -> Consequences:
        """End it as the consumer. `dry_run` only counts what would follow."""
        body = ReasonAsk(reason=reason, dry_run=dry_run)
        told: Consequences = self.home.call("deal.give-back", id=self.id, body=body)
        return told

    def withdraw(self, reason: str, *, dry_run: bool = False) -> Consequences:
        """End it as the provider: nothing is answered any more. `dry_run` only counts."""
        body = ReasonAsk(reason=reason, dry_run=dry_run)
        told: Consequences = self.home.call("deal.withdraw", id=self.id, body=body)
        return told


class Result(Rows):
    """Rows of one answer."""

    def __init__(self, deal: Deal, answer: Answer) -> None:
        super().__init__(answer, deal=deal.id)
        self.home = deal.home
        self.line = deal.line

    @property
    def receipt(self) -> Receipt:
        """What the provider signed about it, with the digests that were computed here."""
        return self.home.run(result.receipt_for(self.line, self._deal, self._answer))


class Offers:
    """Our own offers."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def __iter__(self) -> Iterator[Offer]:
        return (Offer(self._home, it) for it in self._home.pages("offers"))

    def get(self, id: str) -> Offer:  # noqa: A002 - the SDK's own word
        """One of them, with its terms."""
        return Offer(self._home, self._home.call("offer", id=id))

    def check(self, terms: Path | str, data: Path | str | None = None) -> TermsChecked:
        """All faults of terms, or what they mean."""
        flow = offering.check(self._home.line, terms, data)
        told: TermsChecked = self._home.run(flow)
        return told

    def add(
        self,
        terms: Path | str,
        data: Path | str | None = None,
        *,
        publish: bool = False,
        service: str = "",
        licence: str = "",
        synthetic: bool = False,
    ) -> Offer:
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
        return Offer(self._home, self._home.run(flow))


class Offer(OfferFace):
    """An offer of ours."""

    def __init__(self, home: Home, view: OfferView) -> None:
        super().__init__(view)
        self._home = home

    def publish(self) -> Offer:
        """Into the catalogue; the same object."""
        self.view = self._home.call("offer.publish", id=self.id)
        return self

    def hide(self) -> Offer:
        """Out of the catalogue; agreements stay. The same object."""
        self.view = self._home.call("offer.hide", id=self.id)
        return self


def _same(it: T) -> T:
    return it
