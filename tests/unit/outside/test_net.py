# SPDX-License-Identifier: Apache-2.0
"""The guarded fetcher against real servers on loopback."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from corridor.errors import FetchFailed, Refused
from corridor.limits import Limits, MiB
from corridor.outside.clock import RealClock
from corridor.outside.net import GuardedNet
from corridor.world import Request

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass
class Server:
    """Answers each request with what `answer` makes of its head and body."""

    answer: Callable[[bytes, bytes], bytes] = lambda head, body: OK
    port: int = 0
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lower = head.lower()
                body = b""
                if b"content-length: " in lower:
                    size = int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])
                    body = await reader.readexactly(size)
                self.heads.append(head)
                self.bodies.append(body)
                if self.hold is not None:
                    await self.hold.wait()
                writer.write(self.answer(head, body))
                await writer.drain()
                if b"connection: close" in self.answer(head, body).lower():
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def world(
    server: Server, *, context: ssl.SSLContext | None = None, **changes: Any
) -> AsyncIterator[tuple[GuardedNet, str]]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    place = f"localhost:{server.port}"
    chosen: dict[str, Any] = {
        "limits": Limits(),
        "clock": RealClock(),
        "http_hosts": frozenset({place, f"127.0.0.1:{server.port}"}),
        "allow_networks": ("127.0.0.0/8", "::1/128"),
    }
    net = GuardedNet(**(chosen | changes))
    try:
        yield net, f"http://{place}"
    finally:
        await net.close()
        if server.hold is not None:
            server.hold.set()
        listening.close()


def get(url: str, **more: Any) -> Request:
    return Request(purpose="dsp", method="GET", url=url, **more)


def run(test: Callable[[], Awaitable[None]]) -> None:
    uvloop.run(test())  # type: ignore[arg-type] # a coroutine function


async def failure(net: GuardedNet, request: Request) -> str:
    with pytest.raises(FetchFailed) as caught:
        await net.fetch(request)
    return caught.value.code


async def failed_stream(net: GuardedNet, request: Request) -> str:
    with pytest.raises(FetchFailed) as caught:
        await whole(net, request)
    return caught.value.code


async def whole(net: GuardedNet, request: Request) -> bytes:
    async with net.stream(request) as answer:
        return b"".join([block async for block in answer.blocks()])


def packed(data: bytes, how: bytes = b"gzip") -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: " + how + b"\r\ncontent-length: "
    return head + str(len(data)).encode() + b"\r\n\r\n" + data


def test_connections_are_reused_and_the_name_asked_once() -> None:
    async def test() -> None:
        asked: list[str] = []

        async def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["::1", "127.0.0.1"]

        server = Server()
        async with world(server, resolve=resolve) as (net, url):
            for _ in range(5):
                request = Request(
                    purpose="dsp",
                    method="POST",
                    url=f"{url}/a?b=%20c",
                    headers={"content-type": "application/json"},
                    body=b"{}",
                )
                response = await net.fetch(request)
                assert (response.status, response.body) == (200, b"ok")
                assert response.headers["content-length"] == "2"
        assert server.connections == 1
        assert asked == ["localhost"]
        assert server.bodies == [b"{}"] * 5
        head = server.heads[0].lower()
        assert head.startswith(b"post /a?b=%20c http/1.1\r\n")
        assert f"host: localhost:{server.port}".encode() in head
        assert b"accept-encoding: identity" in head
        assert b"user-agent" not in head
        assert head.count(b"content-type") == 1

    run(test)


def test_no_cookie_is_kept_and_no_redirect_followed() -> None:
    moved = (
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\n"
        b"set-cookie: a=b\r\nset-cookie: c=d\r\ncontent-length: 0\r\n\r\n"
    )

    async def test() -> None:
        server = Server(answer=lambda _head, _body: moved)
        async with world(server) as (net, url):
            response = await net.fetch(get(url))
            assert response.status == 302
            assert response.headers["set-cookie"] == "a=b, c=d"
            await net.fetch(get(url))
        assert b"cookie" not in server.heads[1].lower()

    run(test)


def test_one_bad_address_of_a_name_refuses_all() -> None:
    async def test() -> None:
        async def resolve(host: str, port: int) -> list[str]:
            return ["8.8.8.8", "10.0.0.1"]

        async with world(Server(), resolve=resolve) as (net, url):
            assert await failure(net, get("https://rebound.example/")) == "refused-address"
            assert await failure(net, get(url)) == "refused-address"
            with pytest.raises(FetchFailed):
                await net.check("https://rebound.example/", "dsp")

    run(test)


def test_a_name_that_leads_home_is_refused() -> None:
    async def test() -> None:
        async def resolve(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        server = Server()
        async with world(server, resolve=resolve, allow_networks=()) as (net, url):
            assert await failure(net, get(url)) == "refused-address"
        async with world(server, resolve=resolve, allow_networks=()) as (net, _):
            literal = f"http://127.0.0.1:{server.port}/"
            assert await failure(net, get(literal)) == "refused-address"
        assert server.connections == 0

    run(test)


def test_the_socket_address_decides_though_the_name_was_good() -> None:
    async def test() -> None:
        async with world(Server(), allow_networks=()) as (net, url):
            # What a resolver remembered, changed behind its back.
            host, port = "localhost", int(url.rpartition(":")[2])
            net._names._known[host, port] = (float("inf"), ["127.0.0.1"])
            assert await failure(net, get(url)) == "refused-address"

    run(test)


def test_check_tells_without_calling() -> None:
    async def test() -> None:
        server = Server()
        async with world(server) as (net, url):
            await net.check(url, "dsp")
            await net.check(f"http://127.0.0.1:{server.port}", "dsp")
            with pytest.raises(FetchFailed):
                await net.check("https://127.0.0.2.", "dsp")
        assert server.connections == 0

    run(test)


def test_nobody_there_and_a_broken_answer_are_unreachable() -> None:
    async def test() -> None:
        server = Server(answer=lambda _head, _body: b"rubbish\r\n\r\nconnection: close")
        async with world(server) as (net, url):
            assert await failure(net, get(url)) == "unreachable"
        async with world(server, http_hosts=frozenset({"localhost:1030"})) as (net, _):
            assert await failure(net, get("http://localhost:1030/")) == "unreachable"
        short = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nok"
        server = Server(answer=lambda _head, _body: short)
        async with world(server) as (net, url):
            assert await failure(net, get(url)) == "unreachable"
            assert await failed_stream(net, get(url)) == "unreachable"
            bad = get(url, headers={"authorization": "a\r\nb: c"})
            assert await failure(net, bad) == "unreachable"

    run(test)


def test_no_answer_in_time() -> None:
    async def test() -> None:
        server = Server(hold=asyncio.Event())
        async with world(server) as (net, url):
            assert await failure(net, get(url, timeout_s=0.05)) == "timeout"
            assert await failed_stream(net, get(url, timeout_s=0.05)) == "timeout"

    run(test)


def test_a_stream_that_falls_silent() -> None:
    async def test() -> None:
        begun = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok"
        server = Server(answer=lambda _head, _body: begun)
        async with world(server) as (net, url):
            assert await failed_stream(net, get(url, timeout_s=0.1)) == "timeout"

    run(test)


@pytest.mark.parametrize("declared", [True, False])
def test_an_answer_at_the_limit_and_one_above(declared: bool) -> None:
    def answer(head: bytes, body: bytes) -> bytes:
        content = b"a" * int(head.split(b" ")[1][1:])
        if declared:
            return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(content), content)
        chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk

    async def test() -> None:
        async with world(Server(answer=answer)) as (net, url):
            at, above = f"{url}/1000", f"{url}/1001"
            response = await net.fetch(get(at, answer_bytes_max=1000))
            assert response.body == b"a" * 1000
            assert await failure(net, get(above, answer_bytes_max=1000)) == "too-large"
            assert await whole(net, get(at, answer_bytes_max=1000)) == b"a" * 1000
            assert await failed_stream(net, get(above, answer_bytes_max=1000)) == "too-large"

    run(test)


def test_packed_answers_are_counted_unpacked() -> None:
    bomb = gzip.compress(bytes(64 * MiB))
    answers = {
        b"/gzip": packed(gzip.compress(b"abc" * 100)),
        b"/deflate": packed(zlib.compress(b"abc" * 100), b"deflate"),
        b"/bomb": packed(bomb),
        b"/cut": packed(gzip.compress(b"abc" * 100)[:-9]),
        b"/rubbish": packed(b"rubbish"),
        b"/other": packed(b"abc", b"zstd"),
        b"/empty": packed(b""),
    }

    async def test() -> None:
        server = Server(answer=lambda head, _body: answers[head.split(b" ")[1]])
        async with world(server) as (net, url):
            for path in ("/gzip", "/deflate"):
                assert (await net.fetch(get(url + path))).body == b"abc" * 100
                assert await whole(net, get(url + path)) == b"abc" * 100
            assert (await net.fetch(get(url + "/empty"))).body == b""
            assert await failure(net, get(url + "/bomb")) == "too-large"
            assert await failed_stream(net, get(url + "/bomb")) == "too-large"
            for path in ("/cut", "/rubbish", "/other"):
                assert await failure(net, get(url + path)) == "unreachable"

    run(test)


def test_a_stream_comes_in_blocks_of_a_mebibyte_at_most() -> None:
    content = bytes(range(256)) * (MiB // 64)
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(content)

    async def test() -> None:
        async with world(Server(answer=lambda _head, _body: head + content)) as (net, url):
            request = get(url, answer_bytes_max=len(content))
            async with net.stream(request) as answer:
                assert answer.headers["content-length"] == str(len(content))
                blocks = [block async for block in answer.blocks()]
            assert b"".join(blocks) == content
            assert max(map(len, blocks)) <= MiB
            # Left in the middle: the connection is not used again.
            async with net.stream(request) as answer:
                await anext(aiter(answer.blocks()))
            assert (await net.fetch(request)).body == content

    run(test)


def test_the_readers_own_errors_come_as_they_are() -> None:
    async def test() -> None:
        async with world(Server()) as (net, url):
            with pytest.raises(TimeoutError, match="mine"):
                async with net.stream(get(url)):
                    raise TimeoutError("mine")

    run(test)


def test_a_body_in_blocks_goes_out_with_its_length() -> None:
    async def blocks() -> AsyncIterator[bytes]:
        for number in range(5):
            yield bytes([number]) * 100_000

    async def test() -> None:
        server = Server()
        async with world(server) as (net, url):
            request = Request(
                purpose="push",
                method="PUT",
                url=url,
                headers={"content-length": "500000"},
                body=blocks(),
            )
            assert (await net.fetch(request)).status == 200
        assert server.bodies == [b"".join(bytes([number]) * 100_000 for number in range(5))]
        assert b"transfer-encoding" not in server.heads[0].lower()

    run(test)


def test_what_a_body_raises_comes_as_it_is() -> None:
    async def blocks() -> AsyncIterator[bytes]:
        yield b"a"
        raise Refused("the agreement has ended")

    async def test() -> None:
        async with world(Server()) as (net, url):
            length = {"content-length": "5"}
            request = Request(purpose="push", method="PUT", url=url, headers=length, body=blocks())
            with pytest.raises(Refused, match="ended"):
                await net.fetch(request)

    run(test)


def test_a_receiver_that_takes_nothing_is_left() -> None:
    async def test() -> None:
        given_up, gone = asyncio.Event(), asyncio.Event()
        sent = 0

        async def blocks() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += 1
                yield bytes(MiB)

        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                writer.transport.pause_reading()  # type: ignore[attr-defined] # a read transport
                await given_up.wait()
                writer.transport.abort()
            finally:
                gone.set()

        server = Server()
        server.serve = deaf  # type: ignore[method-assign] # another behaviour
        async with world(server) as (net, url):
            while not sent:  # a busy machine may not even connect in so short a time
                request = Request(
                    purpose="push", method="POST", url=url, body=blocks(), timeout_s=0.1
                )
                assert await failure(net, request) == "timeout"
            given_up.set()
            await gone.wait()

    run(test)


def test_a_crowd_waits_and_then_fails_at_once() -> None:
    async def test() -> None:
        server = Server(hold=asyncio.Event())
        limits = Limits(fetch_per_host_max=2, fetch_waiting_max=1)
        async with world(server, limits=limits) as (net, url):
            three = [asyncio.create_task(net.fetch(get(url))) for _ in range(3)]
            while len(server.heads) < 2:
                await asyncio.sleep(0)
            assert await failure(net, get(url)) == "unreachable"
            # Another purpose is another queue: a delivery cannot starve what it waits for.
            did = Request(purpose="did", method="GET", url=url, timeout_s=5)
            fourth = asyncio.create_task(net.fetch(did))
            while len(server.heads) < 3:
                await asyncio.sleep(0)
            assert server.hold is not None
            server.hold.set()
            assert [answer.status for answer in await asyncio.gather(*three)] == [200] * 3
            assert (await fourth).status == 200
            # Nothing is left behind, also not by one who gave up while waiting.
            server.hold.clear()
            two = [asyncio.create_task(net.fetch(get(url))) for _ in range(2)]
            await asyncio.sleep(0)
            assert await failure(net, get(url, timeout_s=0.02)) == "timeout"
            server.hold.set()
            await asyncio.gather(*two)
            assert net._turnstile._hosts == {}
            assert not net._turnstile._waiting

    run(test)


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return file, context


def test_certificates_are_verified(tmp_path: Path) -> None:
    roots, context = certificate(tmp_path, "localhost")
    other, _ = certificate(tmp_path, "other")

    async def test() -> None:
        for chosen, expected in ((roots, ""), (other, "bad-tls"), (None, "bad-tls")):
            server = Server()
            async with world(server, context=context, roots=chosen) as (net, url):
                request = get(url.replace("http:", "https:"))
                if expected:
                    assert await failure(net, request) == expected
                else:
                    assert (await net.fetch(request)).status == 200

    run(test)


def test_a_closed_fetcher_calls_nobody() -> None:
    async def test() -> None:
        async with world(Server()) as (net, url):
            await net.close()
            assert await failure(net, get(url)) == "unreachable"

    run(test)
