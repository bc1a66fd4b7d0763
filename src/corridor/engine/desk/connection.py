# SPDX-License-Identifier: Apache-2.0
"""Getting to know a partner, and the six checks of a connection (experience.md 1, partner).

A DID document names the partner's version document, which names the base of its endpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from corridor.engine.desk.means import Means
from corridor.engine.ground import Home
from corridor.errors import (
    CorridorError,
    FetchFailed,
    Invalid,
    MalformedMessage,
    NotReachable,
)
from corridor.identity.did import Document, to_url
from corridor.store.peers import Peer
from corridor.wire import catalog, version
from corridor.wire.codec import encode
from corridor.wire.home import Check
from corridor.world import Request, Response

WELL_KNOWN = "/.well-known/dspace-version"
CLOCK_S_MAX = 5.0
HTTPS = frozenset[str]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """Where a partner can be spoken to. `answer`: the one with its version document."""

    did: str
    base: str
    answer: Response


class Connection:
    """Looks at partners as anybody can."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def get(self, url: str, *, bytes_max: int = 1 << 18) -> Response:
        """A public document; raises FetchFailed, also for any answer but 200."""
        answer = await self._means.ground.world.net.fetch(
            Request(
                purpose="did",
                method="GET",
                url=url,
                headers={"accept": "application/json"},
                answer_bytes_max=bytes_max,
                timeout_s=self._means.ground.limits.fetch_total_s,
            )
        )
        if answer.status != 200:
            raise FetchFailed(f"{url} answered {answer.status}", cause=f"status {answer.status}")
        return answer

    async def did_at(self, url: str) -> str:
        """The DID whose document lies at this address, or below it as did.json."""
        place = url if url.endswith("/did.json") else f"{url.rstrip('/')}/did.json"
        try:
            answer = await self.get(place)
            return Document.parse(answer.body, limits=self._means.ground.limits).id
        except MalformedMessage as error:
            raise Invalid("there is no DID document at this address", cause=error.what) from error

    async def meet(self, did: str) -> Met:
        """Resolve a DID and read which versions are spoken there.

        Raises FetchFailed, or NotReachable where it has no endpoint of our version.
        """
        document = await self._means.who.document(did, fresh=True)
        endpoint = document.endpoint("DataService")
        if endpoint is None:
            raise NotReachable(
                "their DID document names no DataService",
                mend="ask them for the address of their connector",
            )
        root = endpoint.rstrip("/").removesuffix(WELL_KNOWN)
        answer = await self.get(root + WELL_KNOWN)
        return Met(did=did, base=self._spoken_at(root, answer), answer=answer)

    def _spoken_at(self, root: str, answer: Response) -> str:
        try:
            document = version.decode(answer.body, limits=self._means.ground.limits)
        except MalformedMessage as error:
            raise NotReachable("their version document cannot be read", cause=error.what) from error
        spoken = document.speaks()
        if not spoken:
            offered = ", ".join(each.version for each in document.protocol_versions)
            raise NotReachable(
                f"their node does not speak Dataspace Protocol {version.VERSION}",
                cause=f"it offers {offered}",
            )
        return root + spoken[0].path.rstrip("/")

    # the six checks

    async def checks(self, home: Home, peer: Peer) -> list[Check]:
        """address, did, version, clock, catalogue, ourselves; what cannot be tried is skipped."""
        found = [await self._address(peer), await self._did(peer)]
        met: Met | None = None
        if all(it.state == "ok" for it in found):
            try:
                met = await self.meet(peer.did)
                moved = met.base != peer.address
                found.append(
                    Check(
                        name="version",
                        state="warning" if moved else "ok",
                        value=f"{version.VERSION} at {met.base}",
                        mend=f"we have {peer.address}: add the partner again" if moved else "",
                    )
                )
            except CorridorError as error:
                found.append(_failed("version", error))
        else:
            found.append(_skipped("version"))
        found.append(self._clock(met.answer) if met else _skipped("clock"))
        found.append(await self._catalogue(home, peer) if met else _skipped("catalogue"))
        found.append(await self._ourselves(home))
        return found

    async def _address(self, peer: Peer) -> Check:
        net = self._means.ground.world.net
        try:
            await net.check(peer.address, "dsp")
        except FetchFailed as error:
            return _failed("address", error)
        return Check(name="address", state="ok", value=peer.address)

    async def _did(self, peer: Peer) -> Check:
        try:
            document = await self._means.who.document(peer.did, fresh=True)
        except CorridorError as error:
            return _failed("did", error)
        keys = sum(method.key is not None for method in document.methods)
        if not keys:
            return Check(
                name="did", state="failed", value="no key that we can use", mend="ask the partner"
            )
        return Check(name="did", state="ok", value=f"{peer.did}, {keys} key{'s' * (keys > 1)}")

    def _clock(self, answer: Response) -> Check:
        try:
            theirs = parsedate_to_datetime(answer.headers.get("date", ""))
        except (ValueError, OverflowError):
            return Check(name="clock", state="warning", value="their answer has no date")
        aware = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
        off = _seconds(aware, self._means.ground.now())
        if abs(off) <= CLOCK_S_MAX:
            return Check(name="clock", state="ok", value=f"{off:+.0f} s")
        return Check(
            name="clock",
            state="failed",
            value=f"theirs is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} ours",
            mend=f"tokens are refused over {CLOCK_S_MAX:.0f} s: set the clock that is wrong",
        )

    async def _catalogue(self, home: Home, peer: Peer) -> Check:
        try:
            answer = await self.ask_catalogue(home, peer.did, f"{peer.address}/catalog/request")
            page = catalog.decode_catalog(answer.body, limits=self._means.ground.limits)
        except CorridorError as error:
            return _failed("catalogue", error)
        count = len(page.dataset)
        more = " on the first page" if following(answer) else ""
        return Check(name="catalogue", state="ok", value=f"{count} assets shown to us{more}")

    async def ask_catalogue(self, home: Home, did: str, url: str) -> Response:
        """One page of a partner's catalogue, with our token; raises FetchFailed, NotReachable."""
        body = encode(catalog.CatalogRequestMessage())
        limits = self._means.ground.limits
        authorization = await home.identify.authorize(
            slug=home.slug, did=home.did, audience=did, body=body
        )
        answer = await self._means.ground.world.net.fetch(
            Request(
                purpose="dsp",
                method="POST",
                url=url,
                headers={"content-type": "application/json", "authorization": authorization},
                body=body,
                answer_bytes_max=limits.catalog_answer_bytes_max,
                timeout_s=limits.fetch_total_s,
            )
        )
        if answer.status == 200:
            return answer
        code, reasons = version.decode_error(answer.body)
        why = ": ".join(part for part in (code, "; ".join(reasons)) if part)
        mend = "ask them whether they know our DID" if answer.status in (401, 404) else ""
        raise NotReachable(
            f"their catalogue answered {answer.status}", cause=why, mend=mend or "try again later"
        )

    async def _ourselves(self, home: Home) -> Check:
        """Our own document as partners fetch it."""
        url = f"{home.base_url}/did.json"
        try:
            answer = await self.get(url)
            document = Document.parse(answer.body, limits=self._means.ground.limits)
        except CorridorError as error:
            return _failed("ourselves", error)
        if document.id != home.did:
            return Check(
                name="ourselves",
                state="failed",
                value=f"{url} belongs to {document.id}",
                mend="set node.public_url to the address that partners reach us at",
            )
        place = to_url(home.did, http_hosts=HTTPS).partition("://")[2]
        if place != url.partition("://")[2]:
            return Check(
                name="ourselves",
                state="warning",
                value=f"our DID is looked for at {place}",
                mend=f"the document served at {url} must be served there too",
            )
        return Check(name="ourselves", state="ok", value=url)


def following(answer: Response) -> str:
    """The address of the next page in a Link header; empty where there is none."""
    for part in answer.headers.get("link", "").split(","):
        target, _, parameters = part.strip().partition(";")
        if 'rel="next"' in parameters.replace("rel=next", 'rel="next"') and target[:1] == "<":
            return target.strip("<> ")
    return ""


def _seconds(theirs: datetime, ours: datetime) -> float:
    return (theirs - ours).total_seconds()


def _failed(name: str, error: CorridorError) -> Check:
    value = f"{error.what} ({error.cause})" if error.cause else error.what
    return Check(name=name, state="failed", value=value, mend=error.mend)


def _skipped(name: str) -> Check:
    return Check(name=name, state="skipped", value="not tried: an earlier check failed")
