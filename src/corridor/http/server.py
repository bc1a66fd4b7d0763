# SPDX-License-Identifier: Apache-2.0
"""The listener: uvicorn's httptools protocol with the limits that it lacks, and the cut.

The one file of the server that knows sockets. An app finds in the extensions of its ASGI scope:

- `corridor.abort()`: drop what is buffered, here and in the kernel, and reset the connection
  (node.md d "Cut": what lies in buffers after an ordinary close still arrives).
- `corridor.data()`: this answer is a stream of data; keep the kernel's buffer at 1 MiB.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from corridor.errors import Invalid, RemoteProtocolError
from corridor.limits import Limits, MiB
from corridor.world import Clock

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_DATA_BUFFER_BYTES: Final = 1 * MiB
_BACKLOG: Final = 1024
_AFTERWARDS_S: Final = 2.0
_READ_AWAY_BYTES: Final = 8 * MiB
_RESET: Final = struct.pack("ii", 1, 0)
# Framing of a chunked body may be so many times as long as the body itself (chunks of one byte).
_FRAMING_MAX: Final = 16


async def read_body(receive: Receive, limit_bytes: int, seconds: float) -> bytes:
    """The whole body of a request.

    Raises RemoteProtocolError: `too-large` (413), `body-timeout` (408), or `malformed` where the
    caller went away.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise RemoteProtocolError("the caller went away", code="malformed")
                part = message.get("body", b"")
                size += len(part)
                ended = not message.get("more_body", False)
                if size > limit_bytes:
                    # What is unread when the connection closes resets it, and the answer is lost.
                    parts.clear()
                    if ended or size > limit_bytes + _READ_AWAY_BYTES:
                        raise RemoteProtocolError(
                            f"a body of more than {limit_bytes} bytes", code="too-large"
                        )
                    continue
                parts.append(part)
                if ended:
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError as error:
        raise RemoteProtocolError(
            f"a body that took more than {seconds:g} s", code="body-timeout"
        ) from error


class _State(ServerState):
    """What the connections of one listener share."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.draining = False


class _Connection(HttpToolsProtocol):
    """One connection. Where uvicorn waits or collects without end, this does not."""

    server_state: _State

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: _State,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = False
        self.limits = server_state.limits
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._refused = False
        self._too_large = False
        self._in_head = True
        self._in_message = False
        self._head_bytes = 0
        self._bodied = 0
        self._surplus = 0
        self._plain = b""

    # --- connection -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Take the connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections_max:
            self._refuse(503)
            return
        self._arm(self.limits.headers_read_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._disarm()
        self._unstall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and count what it would collect."""
        if self._refused or self.parser is None:
            return
        self._unset_keepalive_if_required()
        if self._timer is None and not self._in_message:
            # Also for bytes that begin no message, such as empty lines.
            self._arm(self.limits.headers_read_s)
        self._surplus += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(431 if self._too_large else 400)
            return
        if self._surplus > self._surplus_max():
            self._refuse(431)

    def _feed(self, data: bytes) -> None:
        """Feed it all. Nobody is upgraded: the parser gets such a request again, without.

        It believes that a request to upgrade has no body, and would take it for the next request.
        """
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._plain + data[upgrade.args[0] :]
                self._plain = b""
                self.parser = httptools.HttpRequestParser(self)
            else:
                return

    def _without_upgrade(self) -> bytes:
        """The head of the request as it reads without its wish to upgrade."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise ValueError("no tunnels here")
        lines = [method + b" " + self.url + b" HTTP/1.1"]
        for name, value in self.headers:
            if name == b"connection":
                if b"close" in value.lower():
                    lines.append(b"connection: close")
            elif name != b"upgrade":
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])

    def _surplus_max(self) -> int:
        """Bytes that may be neither head nor body of what was parsed: heads, and framing."""
        return self.limits.header_bytes_max + (0 if self._in_head else _FRAMING_MAX * self._bodied)

    def eof_received(self) -> None:
        """The caller has said all: after a refusal there is nothing to wait for."""
        if self._refused:
            self.transport.close()

    # --- one message ----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Open the scope of a request."""
        super().on_message_begin()
        self._in_head = True
        self._in_message = True
        self._head_bytes = 0
        self._bodied = 0
        self.scope["extensions"] = {
            "corridor.abort": self.abort,  # type: ignore[dict-item] # functions, for our apps alone
            "corridor.data": self.keep_buffer_small,  # type: ignore[dict-item] # the same
        }

    def on_url(self, url: bytes) -> None:
        """Count the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header; trailers are dropped."""
        if not self._in_head:
            return
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)
        if len(self.headers) > self.limits.header_count_max:
            self._too_large = True
            raise ValueError("too many headers")

    def on_headers_complete(self) -> None:
        """Hand the request to the app; to another one where this node has too much to do."""
        self._disarm()
        self._in_head = False
        self._surplus = 0
        if self.parser.should_upgrade():
            self._plain = self._without_upgrade()
            return
        state = self.server_state
        if state.draining or len(self.tasks) >= self.limits.requests_under_way_max:
            self.app = _busy
        else:
            self.app = self.config.loaded_app
        super().on_headers_complete()
        if state.draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Hand over a part of the body."""
        self._bodied += len(body)
        self._surplus = max(0, self._surplus - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is read to its end."""
        self._in_message = False
        self._in_head = True
        self._surplus = 0
        if self._plain:
            return
        super().on_message_complete()
        if self.cycle.response_complete:
            self._disarm()

    def on_response_complete(self) -> None:
        """The answer is written; a body that still comes may do so for a while."""
        super().on_response_complete()
        if self._in_message and not self.transport.is_closing():
            self._arm(self.limits.body_read_s)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.limits.header_bytes_max:
            self._too_large = True
            raise ValueError("headers too long")

    # --- time -----------------------------------------------------------------------------------

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._in_head and self._in_message:
            self._refuse(408)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """The caller does not read; not for ever."""
        super().pause_writing()
        self._stall = self.loop.call_later(self.limits.stream_stall_s, self.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        self._unstall()
        super().resume_writing()

    def _unstall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    # --- the end --------------------------------------------------------------------------------

    def _refuse(self, status: int) -> None:
        """Answer from here and close, but read on for a moment.

        A socket closed with unread bytes resets the connection, and the answer is lost.
        """
        self._refused = True
        self._unset_keepalive_if_required()
        under_way = self.cycle is not None and not self.cycle.response_complete
        if under_way or self.transport.is_closing():
            self.transport.abort()
            return
        head = STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n"
        self.transport.write(head + (b"retry-after: 1\r\n\r\n" if status == 503 else b"\r\n"))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._disarm()
            self._timer = self.loop.call_later(_AFTERWARDS_S, self.transport.abort)
        else:
            self.transport.close()

    def abort(self) -> None:
        """Drop all that is not yet with the caller, and reset."""
        found = self.transport.get_extra_info("socket")
        if found is not None:
            with contextlib.suppress(OSError, ValueError):  # uvloop's word for a closed one
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def keep_buffer_small(self) -> None:
        """Bound what the kernel holds of a stream."""
        found = self.transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _DATA_BUFFER_BYTES)


async def _busy(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """503: the same again later will do."""
    del scope, receive
    headers = [(b"content-length", b"0"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class Listener:
    """An app at an address. `start` once, `stop` once."""

    def __init__(self, *, limits: Limits, clock: Clock) -> None:
        self._state = _State(limits)
        self._limits = limits
        self._clock = clock
        self._servers: list[asyncio.AbstractServer] = []
        self._tls: ssl.SSLContext | None = None
        self._files: tuple[Path, Path] | None = None
        self._date: asyncio.TimerHandle | None = None
        self.port = 0

    async def start(
        self,
        app: App,
        host: str,
        port: int,
        *,
        certificate: Path | None = None,
        private_key: Path | None = None,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        """Listen; port 0 takes a free one, told by `port`.

        With `certificate` and `private_key` (PEM files) over TLS. Forwarded headers count from
        `trusted_proxies` alone. Raises Invalid: `port-in-use`, `listen`.
        """
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            timeout_keep_alive=self._limits.idle_connection_s,  # type: ignore[arg-type] # used as seconds, whole or not
        )
        config.load()
        if certificate is not None and private_key is not None:
            self._files = (certificate, private_key)
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self.reload_certificate()
        loop = asyncio.get_running_loop()
        for made in _bind(host, port):
            self._servers.append(
                await loop.create_server(
                    lambda: _Connection(config, self._state, {}),
                    sock=made,
                    ssl=self._tls,
                    backlog=_BACKLOG,
                )
            )
            self.port = made.getsockname()[1]
        self._tick()

    def reload_certificate(self) -> None:
        """Read the certificate files again; connections from now on get it."""
        if self._tls is None or self._files is None:
            return
        try:
            self._tls.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            raise Invalid(
                "the certificate files cannot be used", code="listen", cause=str(error)
            ) from error

    def drain(self) -> None:
        """From now on answer 503 to new requests, and let idle connections go."""
        self._state.draining = True
        for connection in list(self._state.connections):
            connection.shutdown()

    async def stop(self, grace_s: float = 0.0) -> None:
        """Listen no more; requests under way have `grace_s`, then they are cut."""
        for server in self._servers:
            server.close()
        self.drain()
        deadline = self._clock.monotonic() + grace_s
        while (tasks := set(self._state.tasks)) and self._clock.monotonic() < deadline:
            await asyncio.wait(tasks, timeout=deadline - self._clock.monotonic())
        for connection in list(self._state.connections):
            if isinstance(connection, _Connection):
                connection.abort()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for server in self._servers:
            await server.wait_closed()
        if self._date is not None:
            self._date.cancel()
            self._date = None

    def _tick(self) -> None:
        """Renew the one header that each answer has, once a second."""
        date = format_datetime(self._clock.now(), usegmt=True).encode("ascii")
        self._state.default_headers = [(b"date", date)]
        self._date = asyncio.get_running_loop().call_later(1.0, self._tick)


def _bind(host: str, port: int) -> list[socket.socket]:
    """Sockets for each address of `host`, IPv4 first, all at the same port."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Invalid(f"{host} cannot be listened on", code="listen", cause=str(error)) from error
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    made: list[socket.socket] = []
    for family, kind, protocol, _, place in found:
        one = socket.socket(family, kind, protocol)
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((place[0], port or _port(made), *place[2:]))
            one.listen(_BACKLOG)
        except OSError as error:
            one.close()
            if made and error.errno == errno.EADDRNOTAVAIL:
                continue  # localhost has no ::1 on this machine
            for other in made:
                other.close()
            raise _not_bound(host, port, error) from error
        made.append(one)
    return made


def _port(made: list[socket.socket]) -> int:
    return int(made[0].getsockname()[1]) if made else 0


def _not_bound(host: str, port: int, error: OSError) -> Invalid:
    if error.errno != errno.EADDRINUSE:
        return Invalid(f"{host}:{port} cannot be listened on", code="listen", cause=str(error))
    holder = _holder(port)
    return Invalid(
        f"port {port} is in use" + (f" by {holder}" if holder else ""), code="port-in-use"
    )


def _holder(port: int) -> str:
    """Name and id of the process that listens on a port, where /proc tells."""
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(descriptor.readlink()) in inodes:
                        name = (process / "comm").read_text(encoding="utf-8").strip()
                        return f"{name} (process {process.name})"
    return ""
