# SPDX-License-Identifier: Apache-2.0
"""Who: documents remembered, failures too, one fetch for all, and bounds for strangers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from corridor.engine.who import SelfIssued, UnsafeOpen, Who
from corridor.errors import CorridorError, FetchFailed, Invalid, PeerMustWait, Unauthenticated
from corridor.identity.did import document, write_jwk
from corridor.limits import Limits
from corridor.outside.chance import SystemChance
from corridor.outside.keys import FileKeys
from corridor.world import Request, Response

US = "did:web:localhost%3A7001:us"
THEM = "did:web:localhost%3A7002:them"
URL = "http://localhost:7002/them/did.json"
HTTP = frozenset({"localhost:7001", "localhost:7002"})


@dataclass
class HeldClock:
    """A clock that stands until it is moved."""

    at: float = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=self.at)

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class Web:
    """A network that is a table of documents."""

    pages: dict[str, bytes | CorridorError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def fetch(self, request: Request) -> Response:
        self.asked.append(request.url)
        assert request.purpose == "did"
        assert request.answer_bytes_max == 64 << 10
        if self.gate is not None:
            await self.gate.wait()
        page = self.pages.get(request.url)
        if isinstance(page, CorridorError):
            raise page
        status = 404 if page is None else 200
        return Response(status=status, headers={}, body=page or b"")

    def stream(self, request: Request) -> Any:
        raise FetchFailed(request.url)

    async def check(self, url: str, purpose: str) -> None:
        raise FetchFailed(url)


class Scene:
    """Us, who listen, and them, who call."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.clock, self.web = HeldClock(), Web()
        self.keys = FileKeys(bytes(32))
        self.limits = limits or Limits()
        self.them = self.who()
        self.us = self.who()
        self.rotate("k1")

    def who(self) -> Who:
        return Who(
            net=self.web,
            clock=self.clock,
            chance=SystemChance(),
            keys=self.keys,
            limits=self.limits,
            http_hosts=HTTP,
        )

    def rotate(self, name: str, did: str = THEM) -> bytes:
        kid = f"{did}#{name}"
        public, sealed = self.keys.create("ES256", kid)
        self.keys.load(kid, "ES256", kid, sealed)
        made = json.dumps(document(did, [(kid, write_jwk(public, kid=name))], [])).encode()
        if did == THEM:
            self.web.pages[URL] = made
        return made

    async def call(self, name: str = "k1", source: str = "192.0.2.7", body: bytes = b"{}") -> Any:
        token = await self.them.token(did=THEM, kid=f"{THEM}#{name}", audience=US, body=body)
        return await self.us.caller(token, audience=US, body=b"{}", source=source)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type] # a coroutine function


async def unauthenticated(call: Awaitable[Any]) -> None:
    with pytest.raises(Unauthenticated):
        await call


def test_a_call_is_verified_and_the_document_remembered_for_five_minutes() -> None:
    async def test() -> None:
        scene = Scene()
        first, second = await scene.call(), await scene.call()
        assert (first.did, first.bound) == (THEM, True)
        assert first.jti != second.jti
        assert first.token
        assert scene.web.asked == [URL]
        scene.clock.at += 299
        await scene.call()
        assert scene.web.asked == [URL]
        scene.clock.at += 1
        await scene.call()
        assert scene.web.asked == [URL] * 2
        await unauthenticated(scene.call(body=b"other"))

    run(test)


def test_a_new_key_is_found_at_once_and_asked_for_once_in_ten_seconds() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.call()
        scene.clock.at += 1
        scene.rotate("k2")
        await scene.call("k2")
        assert len(scene.web.asked) == 2
        scene.rotate("k3")
        scene.clock.at += 9
        await unauthenticated(scene.call("k3"))
        assert len(scene.web.asked) == 2
        scene.clock.at += 1
        await scene.call("k3")
        assert len(scene.web.asked) == 3

    run(test)


def test_a_document_that_was_fetched_for_this_very_call_is_not_fetched_again() -> None:
    async def test() -> None:
        scene = Scene()
        scene.rotate("k2")
        await unauthenticated(scene.call("k1"))
        assert len(scene.web.asked) == 1

    run(test)


@pytest.mark.parametrize(
    "page",
    [
        FetchFailed("no", code="timeout"),
        None,
        b"rubbish",
        json.dumps(document(US, [], [])).encode(),
    ],
)
def test_a_failure_is_remembered_for_ten_seconds(page: Any) -> None:
    async def test() -> None:
        scene = Scene()
        good = scene.web.pages[URL]
        if page is None:
            del scene.web.pages[URL]
        else:
            scene.web.pages[URL] = page
        await unauthenticated(scene.call())
        with pytest.raises(FetchFailed) as caught:
            await scene.us.document(THEM)
        assert caught.value.code in {"timeout", "unreachable"}
        scene.web.pages[URL] = good
        scene.clock.at += 9
        await unauthenticated(scene.call())
        assert len(scene.web.asked) == 1
        scene.clock.at += 1
        await scene.call()
        assert len(scene.web.asked) == 2

    run(test)


def test_a_failed_second_look_keeps_the_good_document() -> None:
    async def test() -> None:
        scene = Scene()
        await scene.call()
        scene.clock.at += 11
        scene.rotate("k2")
        scene.web.pages[URL] = FetchFailed("no")
        await unauthenticated(scene.call("k2"))
        await scene.call("k1")
        await unauthenticated(scene.call("k2"))
        assert len(scene.web.asked) == 2

    run(test)


def test_one_fetch_serves_all_and_outlives_who_asked_first() -> None:
    async def test() -> None:
        scene = Scene()
        scene.web.gate = asyncio.Event()
        calls = [asyncio.create_task(scene.call(source=f"192.0.2.{n}")) for n in range(20)]
        while not scene.web.asked:
            await asyncio.sleep(0)
        calls.pop(0).cancel()
        scene.web.gate.set()
        assert {caller.did for caller in await asyncio.gather(*calls)} == {THEM}
        assert scene.web.asked == [URL]
        assert not scene.us._flights

    run(test)


async def stranger(scene: Scene, number: int, source: str) -> None:
    did = f"did:web:localhost%3A7002:s{number}"
    scene.rotate("k", did)
    token = await scene.them.token(did=did, kid=f"{did}#k", audience=US, body=None)
    await scene.us.caller(token, audience=US, body=None, source=source)


def test_a_source_makes_us_fetch_two_at_once() -> None:
    async def test() -> None:
        scene = Scene()
        scene.web.gate = asyncio.Event()
        two = [asyncio.create_task(stranger(scene, n, "a")) for n in range(2)]
        while len(scene.web.asked) < 2:
            await asyncio.sleep(0)
        with pytest.raises(PeerMustWait):
            await stranger(scene, 2, "a")
        other = asyncio.create_task(stranger(scene, 3, "b"))
        while len(scene.web.asked) < 3:
            await asyncio.sleep(0)
        scene.web.gate.set()
        results = await asyncio.gather(*two, other, return_exceptions=True)
        assert {type(result) for result in results} == {Unauthenticated}

    run(test)


def test_a_source_makes_us_fetch_thirty_a_minute() -> None:
    async def test() -> None:
        scene = Scene()
        for number in range(30):
            await unauthenticated(stranger(scene, number, "a"))
        with pytest.raises(PeerMustWait):
            await stranger(scene, 30, "a")
        await scene.us.document(THEM)  # our own wish has no source
        await scene.call(source="a")  # and what is known costs nothing
        scene.clock.at += 60
        await unauthenticated(stranger(scene, 31, "a"))

    run(test)


def test_memory_is_bounded() -> None:
    async def test() -> None:
        scene = Scene(replace(Limits(), did_cache_entries_max=3, fetch_sources_max=2))
        for number in range(6):
            await unauthenticated(stranger(scene, number, f"source {number}"))
        assert len(scene.us._failed) == 3
        assert len(scene.us._sources) == 2

    run(test)


def test_our_own_participants_are_not_fetched() -> None:
    async def test() -> None:
        scene = Scene()
        page = scene.web.pages.pop(URL)
        assert isinstance(page, bytes)
        scene.us.register(THEM, page)
        await scene.call()
        assert scene.web.asked == []
        scene.us.unregister(THEM)
        await unauthenticated(scene.call())

    run(test)


def test_closing_stops_what_is_under_way() -> None:
    async def test() -> None:
        scene = Scene()
        scene.web.gate = asyncio.Event()
        call = asyncio.create_task(scene.call())
        while not scene.web.asked:
            await asyncio.sleep(0)
        await scene.us.close()
        with pytest.raises(asyncio.CancelledError):
            await call

    run(test)


def test_self_issued_is_who() -> None:
    async def test() -> None:
        scene = Scene()
        mode = SelfIssued(scene.us, kid=lambda _: f"{US}#k1")
        await unauthenticated(mode.caller(None, audience=US, body=b"", source="a"))
        token = await scene.them.token(did=THEM, kid=f"{THEM}#k1", audience=US, body=b"")
        assert (await mode.caller(token, audience=US, body=b"", source="a")).did == THEM

    run(test)


def test_unsafe_open_is_for_loopback_alone() -> None:
    def mode(*listeners: str) -> UnsafeOpen:
        return UnsafeOpen(
            peer=THEM,
            listeners=listeners,
            clock=HeldClock(),
            chance=SystemChance(),
            limits=Limits(),
        )

    async def test() -> None:
        for listeners in ((), ("0.0.0.0",), ("127.0.0.1", "192.0.2.1"), ("::",), ("stat.example",)):
            with pytest.raises(Invalid):
                mode(*listeners)
        opened = mode("127.0.0.1", "::1", "localhost")
        for source in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            caller = await opened.caller(None, audience=US, body=b"", source=source)
            assert (caller.did, caller.bound) == (THEM, False)
        for source in ("", "192.0.2.1", "::ffff:192.0.2.1"):
            await unauthenticated(opened.caller("x", audience=US, body=b"", source=source))

    run(test)
