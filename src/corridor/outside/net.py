# SPDX-License-Identifier: Apache-2.0
"""The guarded fetcher: the only way out of the node (node.md f; its rules stand in comments).

aiohttp carries the bytes. What may be called is decided in `address.py`: for the URL, for each
address that a name resolves to, and again on the socket address that is about to be connected.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from corridor.errors import FetchFailed
from corridor.limits import KiB, Limits, MiB
from corridor.outside.address import Rules, Target
from corridor.telemetry import FETCH_REFUSED
from corridor.world import Clock, Request, Response, Streamed

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Addresses of a host name, as text."""

# Ours close idle connections after 5 s: let go before, or a message meets a closed door.
_KEEP_ALIVE_S: Final = 4.0
_READ_AHEAD_BYTES: Final = 2 * MiB
_SMALL_READ_BYTES: Final = 256 * KiB
_NAMES_MAX: Final = 1000
# Called while a peer waits for our answer; apart, so that two nodes cannot wait for each other.
_NESTED: Final = frozenset({"did", "status", "schema", "presentation"})

_log = structlog.get_logger()
_calling: ContextVar[Target] = ContextVar("calling")


class GuardedNet:
    """HTTP to others. Raises FetchFailed; what a caller's own body raises comes as it is."""

    def __init__(
        self,
        *,
        limits: Limits,
        clock: Clock,
        http_hosts: frozenset[str] = frozenset(),
        allow_networks: tuple[str, ...] = (),
        allow_hosts: frozenset[str] = frozenset(),
        own_hosts: frozenset[str] = frozenset(),
        refused_hosts: frozenset[str] = frozenset(),
        roots: Path | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        """Hosts are `host:port`, networks CIDR; `roots` is a PEM file of further root CAs."""
        self._limits = limits
        self._rules = Rules(
            http_hosts=http_hosts,
            allow_networks=tuple(ip_network(text) for text in allow_networks),
            allow_hosts=allow_hosts,
            own_hosts=own_hosts,
            refused_hosts=refused_hosts,
        )
        self._names = _Names(self._rules, limits, clock, resolve or _ask_system)
        self._turnstile = _Turnstile(limits)
        self._roots = roots
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def fetch(self, request: Request) -> Response:
        """The whole answer. A body given as blocks has no total time, only a longest silence."""
        limit = asyncio.timeout(request.timeout_s)
        with _five_errors(request):
            async with limit, self._answer(request, limit, _SMALL_READ_BYTES, None) as answer:
                body = await _whole(answer, request.answer_bytes_max)
                return Response(status=answer.status, headers=_headers(answer), body=body)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Streamed]:
        """The answer as a stream of at most `answer_bytes_max` bytes."""
        limit = asyncio.timeout(request.timeout_s)
        async with AsyncExitStack() as held:
            # Only what happens in here is a failed fetch; the reader's own errors are its own.
            with _five_errors(request):
                async with limit:
                    answer = await held.enter_async_context(
                        self._answer(request, limit, _READ_AHEAD_BYTES, request.timeout_s)
                    )
            yield _Stream(answer, request, self._limits.stream_block_bytes)

    async def check(self, url: str, purpose: str) -> None:
        """Whether this address may be called: the URL, and all that its name resolves to."""
        with _five_errors(Request(purpose=purpose, method="HEAD", url=url)):
            target = self._rules.target(url)
            if target.literal is None:
                async with asyncio.timeout(self._limits.fetch_connect_s):
                    await self._names.addresses(target.host, target.port)

    async def close(self) -> None:
        """Close all connections; calls under way and later ones fail."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def _answer(
        self,
        request: Request,
        limit: asyncio.Timeout,
        read_ahead: int,
        silence_s: float | None,
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """Send, and give the answer with its head read; `limit` is running."""
        target = self._rules.target(request.url)  # rule 1
        body = _Outgoing(request, limit) if not isinstance(request.body, bytes) else None
        async with self._turnstile.place(request.purpose, target.place):  # rule 8
            try:
                answer = await self._send(request, target, body, read_ahead, silence_s)
            except Exception:
                if body is not None and body.fault is not None:
                    raise body.fault from None
                raise
            try:
                yield answer
            finally:
                # A connection whose answer was read to its end is used again, another is not.
                if answer.content.at_eof():
                    answer.release()
                else:
                    answer.close()

    async def _send(
        self,
        request: Request,
        target: Target,
        body: _Outgoing | None,
        read_ahead: int,
        silence_s: float | None,
    ) -> aiohttp.ClientResponse:
        if self._closed:
            raise FetchFailed("this node is stopping", cause="closed")
        if self._session is None:
            self._session = self._open()
        _calling.set(target)
        headers = {"Accept-Encoding": "identity"}  # rule 7
        headers.update((name.title(), value) for name, value in request.headers.items())
        return await self._session.request(
            request.method,
            URL(f"{target.scheme}://{target.place}{target.path}", encoded=True),
            data=request.body or None if body is None else body,
            headers=headers,
            allow_redirects=False,  # rule 6
            read_bufsize=read_ahead,
            timeout=self._timeouts(silence_s),
        )

    def _timeouts(self, silence_s: float | None) -> aiohttp.ClientTimeout:
        connect = self._limits.fetch_connect_s
        return aiohttp.ClientTimeout(
            total=None, connect=connect, sock_connect=connect, sock_read=silence_s
        )

    def _open(self) -> aiohttp.ClientSession:
        context = ssl.create_default_context()
        if self._roots is not None:
            context.load_verify_locations(self._roots)
        connector = aiohttp.TCPConnector(
            limit=0,  # the turnstile counts
            use_dns_cache=False,  # the resolver remembers
            resolver=self._names,
            happy_eyeballs_delay=None,  # one address at a time
            socket_factory=self._socket,
            keepalive_timeout=_KEEP_ALIVE_S,
            ssl=context,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),  # rule 6
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Content-Type"),
        )

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Rule 3: the deciding check, on what is about to be connected."""
        family, kind, protocol, _, place = info
        self._rules.address(_calling.get().place, ip_address(place[0]), place[1])
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


class _Names(AbstractResolver):
    """Rule 2: every address of a name must be allowed; remembered for a minute at most."""

    def __init__(self, rules: Rules, limits: Limits, clock: Clock, resolve: Resolve) -> None:
        self._rules = rules
        self._kept_s = limits.dns_cache_s
        self._clock = clock
        self._resolve = resolve
        self._known: dict[tuple[str, int], tuple[float, list[str]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """All addresses, IPv4 before IPv6; FetchFailed where one of them is refused."""
        now = self._clock.monotonic()
        known = self._known.get((host, port))
        if known is not None and now < known[0]:
            return known[1]
        found = [ip_address(text.partition("%")[0]) for text in await self._resolve(host, port)]
        if not found:
            raise FetchFailed("no connection", cause="the name has no address")
        for address in found:
            self._rules.address(f"{host}:{port}", address, port)
        found.sort(key=lambda address: address.version)
        texts = list(dict.fromkeys(str(address) for address in found))
        if len(self._known) >= _NAMES_MAX:
            self._known.clear()
        self._known[host, port] = (now + self._kept_s, texts)
        return texts

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """What aiohttp asks for."""
        del family
        return [
            ResolveResult(
                hostname=host,
                host=text,
                port=port,
                family=socket.AF_INET6 if ":" in text else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for text in await self.addresses(host, port)
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def _ask_system(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


class _Turnstile:
    """Rule 8: so many at once a host and purpose, and in all; some wait, the rest fail at once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._hosts: dict[tuple[str, str], int] = {}
        self._all: dict[bool, int] = {False: 0, True: 0}
        self._waiting: deque[tuple[tuple[str, str], asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def place(self, purpose: str, host: str) -> AsyncGenerator[None, None]:
        """Hold a place; FetchFailed(unreachable) where too many wait already."""
        key = (purpose, host)
        if self._is_free(key):
            self._take(key)
        else:
            await self._wait(key)
        try:
            yield
        finally:
            self._leave(key)

    async def _wait(self, key: tuple[str, str]) -> None:
        if len(self._waiting) >= self._limits.fetch_waiting_max:
            raise FetchFailed("no connection", cause="too many calls are under way")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((key, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(key)  # our turn came in the same moment
            else:
                self._waiting.remove((key, turn))
            raise

    def _is_free(self, key: tuple[str, str]) -> bool:
        return (
            self._hosts.get(key, 0) < self._limits.fetch_per_host_max
            and self._all[key[0] in _NESTED] < self._limits.fetch_per_node_max
        )

    def _take(self, key: tuple[str, str]) -> None:
        self._hosts[key] = self._hosts.get(key, 0) + 1
        self._all[key[0] in _NESTED] += 1

    def _leave(self, key: tuple[str, str]) -> None:
        self._hosts[key] -= 1
        if not self._hosts[key]:
            del self._hosts[key]
        self._all[key[0] in _NESTED] -= 1
        for waiting in self._waiting:
            if self._is_free(waiting[0]) and not waiting[1].done():
                self._waiting.remove(waiting)
                self._take(waiting[0])  # handed over, so nobody slips in between
                waiting[1].set_result(None)
                return


class _Outgoing:
    """A body sent block by block. Each block that leaves starts the silence anew."""

    def __init__(self, request: Request, limit: asyncio.Timeout) -> None:
        self._request = request
        self._limit = limit
        self.fault: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The blocks; what goes wrong in them is kept, since aiohttp wraps it."""
        loop = asyncio.get_running_loop()
        blocks = self._request.body
        if isinstance(blocks, bytes):
            raise TypeError("a body in one piece is not sent block by block")
        try:
            async for block in blocks:
                self._limit.reschedule(loop.time() + self._request.timeout_s)
                yield block
            self._limit.reschedule(loop.time() + self._request.timeout_s)
        except Exception as fault:
            self.fault = fault
            raise


class _Stream:
    """An answer that is read block by block."""

    def __init__(self, answer: aiohttp.ClientResponse, request: Request, block: int) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = _headers(answer)
        self._answer = answer
        self._request = request
        self._block = block

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """What has come, at most a block (1 MiB) at once."""
        most = self._request.answer_bytes_max
        with _five_errors(self._request):
            _declared(self._answer, most)
            async for block in _inflated(self._answer, self._block):
                most -= len(block)
                if most < 0:
                    raise _too_large()
                yield block


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """Names in lower case; several of one name are joined by commas."""
    headers: dict[str, str] = {}
    for name, value in answer.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


async def _whole(answer: aiohttp.ClientResponse, most: int) -> bytes:
    _declared(answer, most)
    parts: list[bytes] = []
    async for block in _inflated(answer, _SMALL_READ_BYTES):
        most -= len(block)
        if most < 0:
            raise _too_large()
        parts.append(block)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _declared(answer: aiohttp.ClientResponse, most: int) -> None:
    if answer.content_length is not None and answer.content_length > most:
        raise _too_large()


def _too_large() -> FetchFailed:
    return FetchFailed("the answer is larger than allowed", code="too-large")


async def _inflated(answer: aiohttp.ClientResponse, block: int) -> AsyncGenerator[bytes, None]:
    """The body, inflated where it is packed: never more than a block of it at once (rule 7)."""
    match answer.headers.get("Content-Encoding", "identity").lower():
        case "identity" | "":
            while part := await answer.content.readany():
                for start in range(0, len(part), block):
                    yield part[start : start + block] if len(part) > block else part
            return
        case "gzip" | "x-gzip" | "deflate":
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        case _:
            raise FetchFailed("an answer packed in an unknown way", cause="content-encoding")
    empty = True
    while part := await answer.content.readany():
        empty = False
        while part and not unpacker.eof:
            if piece := unpacker.decompress(part, block):
                yield piece
            part = unpacker.unconsumed_tail
    if rest := unpacker.flush():
        yield rest
    if not unpacker.eof and not empty:
        raise FetchFailed("the answer ends too early", cause="packed data")


@contextmanager
def _five_errors(request: Request) -> Iterator[None]:
    """Rule 9: refused-address, unreachable, timeout, too-large, bad-tls. Nothing else."""
    try:
        yield
    except FetchFailed as error:
        if error.code == "refused-address":
            _log.warning(FETCH_REFUSED, purpose=request.purpose, cause=error.cause)
        raise
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise _failed("bad-tls", "the certificate is not good", error) from error
    except TimeoutError as error:
        raise _failed("timeout", "no answer in time", error) from error
    except aiohttp.InvalidURL as error:
        raise _failed("refused-address", "this address may not be called", error) from error
    except (aiohttp.ClientError, OSError, zlib.error, ValueError) as error:
        raise _failed("unreachable", "no connection", error) from error


def _failed(code: str, what: str, error: Exception) -> FetchFailed:
    return FetchFailed(what, code=code, cause=f"{type(error).__name__}: {error}")
