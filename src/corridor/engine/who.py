# SPDX-License-Identifier: Apache-2.0
"""Who calls, and in whose name we call: the driver of token.verify, and the minting of tokens.

Documents are remembered in memory (node.md e): 5 minutes, failures 10 s, and past the memory at
most one fetch a DID in 10 s, so that bad tokens cannot make us hammer somebody's server. One
fetch serves all who wait for it. What an unverified token makes us fetch is bounded a source.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from math import inf
from typing import Final

import structlog

from corridor.errors import CorridorError, FetchFailed, Invalid, PeerMustWait, Unauthenticated
from corridor.identity.did import Document, to_url
from corridor.identity.token import Caller, Resolve, join, unsigned, verify
from corridor.limits import Limits
from corridor.telemetry import IDENTITY_UNSAFE
from corridor.world import Chance, Clock, Keys, Net, Request

_MINUTE_S: Final = 60.0
_LOOPBACK_NAME: Final = "localhost"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Known:
    """A document, or why there is none; times are monotonic.

    `again_at`: when it was last asked for past the memory.
    """

    asked_at: float
    document: Document | None
    error: CorridorError | None = None
    again_at: float = -inf

    @property
    def cause(self) -> str:
        """Why there is none, for the operator."""
        return (self.error.cause or self.error.what) if self.error else ""


@dataclass(slots=True)
class _Source:
    """What one address made us fetch."""

    under_way: int = 0
    times: deque[float] = field(default_factory=deque)


class Who:
    """Verifies callers and mints tokens."""

    def __init__(
        self,
        *,
        net: Net,
        clock: Clock,
        chance: Chance,
        keys: Keys,
        limits: Limits,
        http_hosts: frozenset[str] = frozenset(),
    ) -> None:
        """`http_hosts`: host:port whose DID documents are fetched over plain http."""
        self._net = net
        self._clock = clock
        self._chance = chance
        self._keys = keys
        self._limits = limits
        self._http_hosts = http_hosts
        self._own: dict[str, Document] = {}
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._failed: OrderedDict[str, _Known] = OrderedDict()
        self._flights: dict[str, asyncio.Task[_Known]] = {}
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    def register(self, did: str, document: bytes) -> None:
        """Answer for a participant of ours without a fetch. Again at each change of its keys."""
        self._own[did] = Document.parse(document, limits=self._limits)

    def unregister(self, did: str) -> None:
        """Forget a participant of ours."""
        self._own.pop(did, None)

    async def close(self) -> None:
        """Stop fetches under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def caller(
        self, authorization: str | None, *, audience: str, body: bytes | None, source: str = ""
    ) -> Caller:
        """Who sent this request: Unauthenticated, or PeerMustWait where `source` asks too much.

        `audience`: the DID of ours that it was sent to; `source`: the caller's address. That the
        token is new (step 8) is written down with what the message does.
        """
        began = self._clock.monotonic()
        steps = verify(
            authorization,
            audience=audience,
            body=body,
            now=self._clock.now(),
            limits=self._limits,
        )
        return await self._drive(steps, began, source)

    async def _drive(
        self, steps: Generator[Resolve, Document, Caller], began: float, source: str
    ) -> Caller:
        try:
            asked = next(steps)
            while True:
                document = await self._resolve(asked.did, source, asked.fresh, began)
                asked = steps.send(document)
        except StopIteration as done:
            caller: Caller = done.value
            return caller
        finally:
            steps.close()

    async def document(self, did: str, *, fresh: bool = False) -> Document:
        """The document of a partner that we want to call ourselves; raises FetchFailed.

        `fresh` asks past the memory, as far as the pace allows.
        """
        known = await self._ask(did, "", fresh=fresh, began=self._clock.monotonic())
        if known.document is None:
            code = known.error.code if isinstance(known.error, FetchFailed) else "unreachable"
            what = "the partner's DID document cannot be had"
            raise FetchFailed(what, code=code, cause=known.cause)
        return known.document

    async def token(self, *, did: str, kid: str, audience: str, body: bytes | None) -> str:
        """The value of `Authorization` for one request; a new one for each attempt.

        With `body` the token is bound to these bytes; None leaves that out (for a partner that
        does not bear it). The access token that DCP wants is random here, and means nothing.
        """
        signing_input = unsigned(
            did=did,
            kid=kid,
            audience=audience,
            now=self._clock.now(),
            life_s=self._limits.token_life_s,
            jti=self._chance.uuid7(),
            body=body,
            token=self._chance.bytes(16).hex(),
        )
        return "Bearer " + join(signing_input, self._keys.sign(kid, signing_input))

    async def _resolve(self, did: str, source: str, fresh: bool, began: float) -> Document:  # noqa: FBT001 - the field of Resolve
        known = await self._ask(did, source, fresh=fresh, began=began)
        if known.document is None:
            raise Unauthenticated(
                "the DID document of the token's issuer cannot be had",
                cause=known.cause,
            )
        return known.document

    async def _ask(self, did: str, source: str, *, fresh: bool, began: float) -> _Known:
        """From memory where it may come from there, else one fetch for all who ask now."""
        own = self._own.get(did)
        if own is not None:
            return _Known(began, own)
        known = self._remembered(did, fresh=fresh, began=began)
        if known is not None:
            return known
        flight = self._flights.get(did)
        if flight is None:
            self._charge(source)
            flight = asyncio.create_task(self._fly(did, source))
            self._flights[did] = flight
        # One who goes away does not take the answer from the others.
        return await asyncio.shield(flight)

    def _remembered(self, did: str, *, fresh: bool, began: float) -> _Known | None:
        """What memory answers with; None: it is time to fetch.

        `fresh` is heeded where the memory is older than this request (`began`) and nobody asked
        past it within 10 s.
        """
        now, limits = self._clock.monotonic(), self._limits
        known = self._known.get(did)
        failed = self._failed.get(did)
        if failed is not None and now - failed.asked_at >= limits.did_failure_cache_s:
            failed = None
        if known is None or now - known.asked_at >= limits.did_cache_s:
            return failed
        rested = failed is None and now - known.again_at >= limits.did_failure_cache_s
        if fresh and known.asked_at < began and rested:
            return None
        self._known.move_to_end(did)
        return known

    async def _fly(self, did: str, source: str) -> _Known:
        """Fetch; the failure is a value, so that nobody needs to be there to take it."""
        asked_at = self._clock.monotonic()
        again_at = asked_at if did in self._known else -inf
        try:
            known = _Known(asked_at, await self._fetch(did), again_at=again_at)
            self._failed.pop(did, None)
            _keep(self._known, did, known, self._limits.did_cache_entries_max)
        except CorridorError as error:
            known = _Known(asked_at, None, error)
            _keep(self._failed, did, known, self._limits.did_cache_entries_max)
        finally:
            del self._flights[did]
            self._discharge(source)
        return known

    async def _fetch(self, did: str) -> Document:
        answer = await self._net.fetch(
            Request(
                purpose="did",
                method="GET",
                url=to_url(did, http_hosts=self._http_hosts),
                headers={"accept": "application/did+json, application/json"},
                answer_bytes_max=self._limits.did_document_bytes_max,
                timeout_s=self._limits.fetch_total_s,
            )
        )
        if answer.status != 200:
            raise FetchFailed("no DID document there", cause=f"status {answer.status}")
        document = Document.parse(answer.body, limits=self._limits)
        if document.id != did:
            raise FetchFailed("the DID document belongs to somebody else", cause="id")
        return document

    def _charge(self, source: str) -> None:
        """Two at once and 30 a minute for each source; our own calls have none."""
        if not source:
            return
        now, limits = self._clock.monotonic(), self._limits
        found = self._sources.setdefault(source, _Source())
        self._sources.move_to_end(source)
        while found.times and now - found.times[0] >= _MINUTE_S:
            found.times.popleft()
        if (
            found.under_way >= limits.fetch_per_source_max
            or len(found.times) >= limits.fetch_per_source_per_minute
        ):
            raise PeerMustWait("too many unknown callers from one address", retry_after_s=2.0)
        found.under_way += 1
        found.times.append(now)
        while len(self._sources) > limits.fetch_sources_max:
            self._sources.popitem(last=False)

    def _discharge(self, source: str) -> None:
        found = self._sources.get(source)
        if found is not None and found.under_way:
            found.under_way -= 1


def _keep(memory: OrderedDict[str, _Known], did: str, known: _Known, most: int) -> None:
    memory[did] = known
    memory.move_to_end(did)
    while len(memory) > most:
        memory.popitem(last=False)


@dataclass(frozen=True, slots=True)
class SelfIssued:
    """The caller proves its DID with a self-issued token; facts about it are local.

    `kid`: the key that signs for a participant (its slug) now.
    """

    who: Who
    kid: Callable[[str], str]

    async def authorize(self, *, slug: str, did: str, audience: str, body: bytes | None) -> str:
        """A token of our own, for one request."""
        kid = self.kid(slug)
        return await self.who.token(did=did, kid=kid, audience=audience, body=body)

    async def caller(
        self, authorization: str | None, *, audience: str, body: bytes | None, source: str
    ) -> Caller:
        """Verify the token."""
        return await self.who.caller(authorization, audience=audience, body=body, source=source)


class UnsafeOpen:
    """Whoever calls is the one configured peer. For conformance kits, on loopback alone."""

    def __init__(
        self,
        *,
        peer: str,
        listeners: Sequence[str],
        clock: Clock,
        chance: Chance,
        limits: Limits,
    ) -> None:
        """`listeners`: the hosts that this node listens on; Invalid where one is not loopback."""
        if not listeners or not all(_is_loopback(host) for host in listeners):
            raise Invalid("identity mode UnsafeOpen needs listeners on loopback alone")
        self._peer = peer
        self._clock = clock
        self._chance = chance
        self._life = timedelta(seconds=limits.token_life_s)
        self._loud_at = -inf

    async def authorize(self, *, slug: str, did: str, audience: str, body: bytes | None) -> str:
        """Nothing is proven in this mode."""
        del slug, did, audience, body
        return "unsafe-open"

    async def caller(
        self, authorization: str | None, *, audience: str, body: bytes | None, source: str
    ) -> Caller:
        """The configured peer, if the call comes from this machine."""
        del authorization, body
        if not _is_loopback(source):
            raise Unauthenticated("identity mode UnsafeOpen takes callers of this machine alone")
        now = self._clock.monotonic()
        if now >= self._loud_at:  # loud, but not once a request
            self._loud_at = now + _MINUTE_S
            _log.warning(IDENTITY_UNSAFE, peer=self._peer, participant=audience)
        return Caller(
            did=self._peer,
            kid="",
            jti="",
            expires=self._clock.now() + self._life,
            raw="",
            bound=False,
        )


def _is_loopback(host: str) -> bool:
    if host == _LOOPBACK_NAME:
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
