# SPDX-License-Identifier: Apache-2.0
"""The listener: what it takes, what it refuses before the app knows, and the cut."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from corridor.errors import Invalid, RemoteProtocolError
from corridor.http.server import App, Listener, read_body
from corridor.limits import Limits, MiB
from corridor.outside.clock import RealClock

RESPONSE = b"HTTP/1.1 200 OK\r\n"


class Echo:
    """Counts requests; answers with the length of the body and keeps the scopes."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.wait: asyncio.Event | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if self.wait is not None:
            await self.wait.wait()
        body = await read_body(receive, 1 << 20, 5.0)
        answer = str(len(body)).encode()
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


@asynccontextmanager
async def listening(app: App, **changes: Any) -> AsyncIterator[Listener]:
    listener = Listener(limits=Limits(**changes), clock=RealClock())
    await listener.start(app, "127.0.0.1", 0)
    try:
        yield listener
    finally:
        await listener.stop()


async def ask(port: int, sent: bytes, *, half_close: bool = False) -> bytes:
    """Send, and read to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await writer.drain()
    if half_close:
        writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


async def send_for_ever(writer: asyncio.StreamWriter) -> None:
    for _ in range(100):
        writer.write(b"a" * MiB)
        await writer.drain()


async def read_until_reset(client: socket.socket) -> int:
    got = 0
    try:
        while part := await asyncio.get_running_loop().sock_recv(client, MiB):
            got += len(part)
    except ConnectionResetError:
        return got
    raise AssertionError("an ordinary end")


def run(test: Callable[[], Awaitable[None]]) -> None:
    uvloop.run(test())  # type: ignore[arg-type] # a coroutine function


def request(*, path: str = "/", close: bool = True, more: bytes = b"", body: bytes = b"") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n".encode()
    return head + (b"connection: close\r\n" if close else b"") + more + b"\r\n" + body


def test_a_request_is_answered_with_one_date_and_no_server() -> None:
    async def test() -> None:
        app = Echo()
        async with listening(app) as listener:
            answer = await ask(listener.port, request(body=b"abc"))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(RESPONSE)
        assert body == b"3"
        assert head.lower().count(b"\r\ndate: ") == 1
        assert b"server:" not in head.lower()
        assert set(app.scopes[0]["extensions"]) == {"corridor.abort", "corridor.data"}

    run(test)


def test_a_header_of_4_mib_gets_431_before_the_app() -> None:
    async def test() -> None:
        app = Echo()
        async with listening(app) as listener:
            answer = await ask(listener.port, request(more=b"x: " + b"a" * (4 * MiB) + b"\r\n"))
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert not app.scopes

    run(test)


@pytest.mark.parametrize(("extra", "status"), [(0, 200), (1, 431)])
def test_header_bytes_at_the_limit_and_one_above(extra: int, status: int) -> None:
    async def test() -> None:
        # `/`, host: x, content-length: 0, connection: close, and ours: four bytes each beside.
        others = 1 + (4 + 1 + 4) + (14 + 1 + 4) + (10 + 5 + 4) + (1 + 4)
        more = b"x: " + b"a" * (2000 - others + extra) + b"\r\n"
        async with listening(Echo(), header_bytes_max=2000) as listener:
            answer = await ask(listener.port, request(more=more))
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())

    run(test)


@pytest.mark.parametrize(("count", "status"), [(97, 200), (98, 431)])
def test_header_count_at_the_limit_and_one_above(count: int, status: int) -> None:
    async def test() -> None:
        async with listening(Echo()) as listener:
            answer = await ask(listener.port, request(more=b"x: y\r\n" * count))
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())

    run(test)


def test_a_request_line_without_end_gets_431() -> None:
    async def test() -> None:
        async with listening(Echo()) as listener:
            answer = await ask(listener.port, b"GET /" + b"a" * (1 * MiB))
        assert answer.startswith(b"HTTP/1.1 431 ")

    run(test)


def test_endless_trailers_and_chunk_extensions_get_431_or_an_end() -> None:
    async def test() -> None:
        head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        for hostile in (b"1\r\na\r\n0\r\nx: ", b"1;x="):
            async with listening(Echo()) as listener:
                _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
                writer.write(head + hostile)
                with pytest.raises(ConnectionError):
                    await send_for_ever(writer)
                writer.close()

    run(test)


def test_rubbish_gets_400() -> None:
    async def test() -> None:
        async with listening(Echo()) as listener:
            assert (await ask(listener.port, b"\x16\x03\x01rubbish\r\n\r\n")).startswith(
                b"HTTP/1.1 400 "
            )
            two = b"content-length: 4\r\ntransfer-encoding: chunked\r\n"
            smuggled = b"POST / HTTP/1.1\r\nhost: x\r\n" + two + b"\r\n0\r\n\r\n"
            assert (await ask(listener.port, smuggled)).startswith(b"HTTP/1.1 400 ")

    run(test)


def test_headers_that_do_not_come_get_408() -> None:
    async def test() -> None:
        async with listening(Echo(), headers_read_s=0.05) as listener:
            assert (await ask(listener.port, b"GET / HTTP/1.1\r\nhost")).startswith(
                b"HTTP/1.1 408 "
            )
            # Nothing at all, and empty lines, are no request to answer.
            assert await ask(listener.port, b"") == b""
            assert await ask(listener.port, b"\r\n\r\n") == b""

    run(test)


def test_an_idle_connection_is_closed() -> None:
    async def test() -> None:
        async with listening(Echo(), idle_connection_s=0.05) as listener:
            answer = await ask(listener.port, request(close=False))
        assert answer.startswith(RESPONSE)

    run(test)


def test_a_body_that_drips_on_after_the_answer_is_cut() -> None:
    async def early(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]}
        )
        await send({"type": "http.response.body", "body": b""})

    async def test() -> None:
        async with listening(early, body_read_s=0.05) as listener:
            sent = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nabc"
            answer = await ask(listener.port, sent)
        assert answer.startswith(b"HTTP/1.1 413 ")

    run(test)


def test_more_requests_than_allowed_get_503() -> None:
    async def test() -> None:
        app = Echo()
        app.wait = asyncio.Event()
        async with listening(app, requests_under_way_max=1) as listener:
            first = asyncio.create_task(ask(listener.port, request(body=b"a")))
            while not app.scopes:
                await asyncio.sleep(0)
            second = await ask(listener.port, request(body=b"b"))
            assert second.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in second
            app.wait.set()
            assert (await first).startswith(RESPONSE)

    run(test)


def test_more_connections_than_allowed_get_503() -> None:
    async def test() -> None:
        async with listening(Echo(), connections_max=1) as listener:
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(request(close=False))
            assert (await ask(listener.port, b"")).startswith(b"HTTP/1.1 503 ")
            writer.close()

    run(test)


def test_an_upgrade_is_ignored_and_its_body_read() -> None:
    async def test() -> None:
        more = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAM\r\n"
        first = request(close=False, more=more, body=b"abcd")
        app = Echo()
        async with listening(app) as listener:
            answer = await ask(listener.port, first + request(body=b"abc"))
        assert answer.count(RESPONSE) == 2
        assert answer.endswith(b"3")
        assert len(app.scopes) == 2

    run(test)


@pytest.mark.parametrize("loop", [uvloop.run, asyncio.run])
def test_abort_leaves_less_than_512_kib_to_a_slow_reader(loop: Any) -> None:
    stalled = asyncio.Event()

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"]["corridor.data"]()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        block = bytes(MiB)
        try:
            while True:
                await asyncio.wait_for(
                    send({"type": "http.response.body", "body": block, "more_body": True}), 0.2
                )
        except TimeoutError:
            scope["extensions"]["corridor.abort"]()
            stalled.set()

    async def test() -> None:
        async with listening(flood) as listener:
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
            client.setblocking(False)
            running = asyncio.get_running_loop()
            await running.sock_connect(client, ("127.0.0.1", listener.port))
            await running.sock_sendall(client, request())
            await asyncio.wait_for(stalled.wait(), 5)
            got = await read_until_reset(client)
            client.close()
        assert 0 < got < 512 << 10

    loop(test())


def test_a_reader_that_stands_still_is_cut() -> None:
    ended = asyncio.Event()

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await asyncio.sleep(0)) is None:
            await send({"type": "http.response.body", "body": bytes(MiB), "more_body": True})
            if (scope["extensions"]["corridor.abort"].__self__).cycle.disconnected:
                ended.set()
                return

    async def test() -> None:
        async with listening(flood, stream_stall_s=0.1) as listener:
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.transport.pause_reading()  # type: ignore[attr-defined] # a read transport
            writer.write(request())
            await asyncio.wait_for(ended.wait(), 5)
            writer.transport.abort()

    run(test)


def test_stop_lets_a_request_finish_and_cuts_one_that_does_not() -> None:
    async def test() -> None:
        for grace, good in ((5.0, True), (0.01, False)):
            app = Echo()
            app.wait = asyncio.Event()
            listener = Listener(limits=Limits(), clock=RealClock())
            await listener.start(app, "127.0.0.1", 0)
            asked = asyncio.create_task(ask(listener.port, request(close=False)))
            while not app.scopes:
                await asyncio.sleep(0)
            stopping = asyncio.create_task(listener.stop(grace))
            if good:
                await asyncio.sleep(0)
                app.wait.set()
                assert (await asked).startswith(RESPONSE)
            else:
                with pytest.raises(ConnectionResetError):
                    await asked
            await stopping

    run(test)


def test_draining_answers_503_and_closes() -> None:
    async def test() -> None:
        app = Echo()
        async with listening(app) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            app.wait = asyncio.Event()
            writer.write(request(close=False))
            while not app.scopes:
                await asyncio.sleep(0)
            writer.write(request(close=False))  # waits behind the first
            listener.drain()
            app.wait.set()
            answer = await reader.read()
            assert answer.startswith(RESPONSE)
            assert b"connection: close" in answer
            writer.close()

    run(test)


def test_a_port_in_use_names_its_holder() -> None:
    async def test() -> None:
        async with listening(Echo()) as listener:
            other = Listener(limits=Limits(), clock=RealClock())
            with pytest.raises(Invalid) as caught:
                await other.start(Echo(), "127.0.0.1", listener.port)
            assert caught.value.code == "port-in-use"
            assert str(listener.port) in caught.value.what
            assert "(process " in caught.value.what

    run(test)


def test_an_address_of_somebody_else_cannot_be_listened_on() -> None:
    async def test() -> None:
        listener = Listener(limits=Limits(), clock=RealClock())
        with pytest.raises(Invalid) as caught:
            await listener.start(Echo(), "192.0.2.1", 0)
        assert caught.value.code == "listen"

    run(test)


def chunks(*parts: bytes, end: bool = True) -> Callable[[], Awaitable[Any]]:
    left = list(parts)

    async def receive() -> Any:
        if left:
            part = left.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(left) or not end}
        if end:
            return {"type": "http.disconnect"}
        await asyncio.sleep(60)
        raise AssertionError

    return receive


def test_read_body_at_the_limit_and_one_above() -> None:
    async def test() -> None:
        assert await read_body(chunks(b"ab", b"cd"), 4, 1) == b"abcd"
        with pytest.raises(RemoteProtocolError) as caught:
            await read_body(chunks(b"ab", b"cde"), 4, 1)
        assert caught.value.code == "too-large"

    run(test)


def test_read_body_in_time() -> None:
    async def test() -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            await read_body(chunks(b"ab", end=False), 4, 0.01)
        assert caught.value.code == "body-timeout"
        with pytest.raises(RemoteProtocolError) as caught:
            await read_body(chunks(), 4, 1)
        assert caught.value.code == "malformed"

    run(test)


def test_a_tunnel_is_refused() -> None:
    async def test() -> None:
        app = Echo()
        async with listening(app) as listener:
            answer = await ask(listener.port, b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert not app.scopes

    run(test)
