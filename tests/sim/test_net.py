# SPDX-License-Identifier: Apache-2.0
"""Each fault of the simulated network does what its name says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import pytest

from corridor.errors import FetchFailed
from corridor.sim.crash import Life, hold
from corridor.sim.exchange import Asked, Place
from corridor.sim.fate import Fates, Partition
from corridor.sim.loop import SimLoop
from corridor.sim.net import SimNet, ask
from corridor.sim.network import Network
from corridor.sim.trace import Trace
from corridor.world import Request

URL = "http://b.example/x/negotiations/1?q=1"


class Echo:
    """An ASGI app that counts, and answers in two blocks."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.hold: asyncio.Event | None = None

    async def __call__(self, scope, receive, send) -> None:
        message = await receive()
        self.heard.append(message["body"])
        assert scope["path"] == "/x/negotiations/1"
        assert scope["query_string"] == b"q=1"
        assert (b"host", b"b.example") in scope["headers"]
        if self.hold is not None:
            await self.hold.wait()
        await send({"type": "http.response.start", "status": 201, "headers": [(b"X-One", b"1")]})
        await send({"type": "http.response.body", "body": b"first ", "more_body": True})
        await send({"type": "http.response.body", "body": message["body"]})


class Stone:
    """A foreign peer that says the same to everybody."""

    async def serve(self, asked: Asked) -> tuple[int, Mapping[str, str], bytes]:
        return 200, {"content-type": "application/json"}, asked.path.encode()


class Scene:
    def __init__(
        self, seed: object = 1, *, kinds: tuple[str, ...] | None = (), rate: float = 1.0
    ) -> None:
        self.loop = SimLoop(5)
        hold(self.loop)
        self.trace = Trace(self.loop)
        self.fates = Fates(seed=seed, until=1e9 if kinds != () else 0.0, kinds=kinds, rate=rate)
        self.network = Network(self.loop, self.fates, self.trace)
        self.life = Life(self.loop, "b", 1, on_crash=lambda _: self.place.down())
        self.app = Echo()
        self.place = Place(name="b", life=self.life, app=self.app)
        self.network.places["b.example"] = self.place
        self.network.places["c.example"] = Place(name="c", peer=Stone())
        self.net = SimNet(self.network, "a")

    def run(self, coro):
        try:
            return self.loop.run_until_complete(coro)
        finally:
            self.life.dispose()
            self.loop.close()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.trace]

    async def fetch(self, **more):
        return await self.net.fetch(
            Request(purpose="dsp", method="POST", url=URL, body=b"hi", **more)
        )

    async def fails(self) -> str:
        with pytest.raises(FetchFailed) as caught:
            await self.fetch()
        await asyncio.sleep(300)
        return caught.value.code


def test_a_kind_network_delivers_and_answers() -> None:
    scene = Scene()

    async def main() -> None:
        answer = await scene.fetch()
        assert (answer.status, answer.body, answer.headers["x-one"]) == (201, b"first hi", "1")
        stone = await scene.net.fetch(
            Request(purpose="dsp", method="GET", url="http://c.example/y?z")
        )
        assert stone.body == b"/y?z"

    scene.run(main())
    assert scene.kinds() == ["sent", "heard", "answered", "got"] * 2
    assert 0.002 < scene.loop.time() < 0.3


def test_a_lost_request_is_never_heard() -> None:
    codes = set()
    for seed in range(12):
        scene = Scene(seed, kinds=("lose-request",))
        codes.add(scene.run(scene.fails()))
        assert scene.app.heard == []
    assert codes == {"timeout", "unreachable"}


def test_a_lost_answer_was_heard() -> None:
    codes = set()
    for seed in range(12):
        scene = Scene(seed, kinds=("lose-answer",))
        codes.add(scene.run(scene.fails()))
        assert scene.app.heard == [b"hi"]
    assert codes == {"timeout", "unreachable"}


def test_a_late_request_arrives_after_its_sender_gave_up() -> None:
    late = 0
    for seed in range(30):
        scene = Scene(seed, kinds=("delay",))

        async def main(scene=scene) -> None:
            with contextlib.suppress(FetchFailed):
                await scene.fetch()
            assert scene.loop.time() <= 10.0
            await asyncio.sleep(300)

        scene.run(main())
        assert scene.app.heard == [b"hi"]
        heard = next(event for event in scene.trace if event.kind == "heard")
        assert heard.at <= 120.0
        late += heard.at > 10.0
    assert late > 3


def test_a_repeated_request_comes_again() -> None:
    scene = Scene(kinds=("repeat",))

    async def main() -> int:
        answer = await scene.fetch()
        await asyncio.sleep(300)
        return answer.status

    assert scene.run(main()) == 201
    assert len(scene.app.heard) > 1


def test_a_cut_answer_breaks_in_the_middle() -> None:
    for seed in range(40):
        fate = Fates(seed=seed, until=1e9, kinds=("cut",), rate=1.0).of(1, 0.0)
        assert fate.kind == "cut"
        if fate.cut_after >= len(b"first hi"):
            continue
        scene = Scene(seed, kinds=("cut",))
        assert scene.run(scene.fails()) == "unreachable"
        assert scene.app.heard == [b"hi"]


def test_a_false_answer_comes_from_nobody() -> None:
    statuses = set()
    for seed in range(40):
        scene = Scene(seed, kinds=("answer",))

        async def main(scene=scene) -> int:
            return (await scene.fetch()).status

        statuses.add(scene.run(main()))
        assert scene.app.heard == []
    assert statuses == {500, 503, 401, 404, 409}


def test_a_hanging_network_ends_in_the_timeout() -> None:
    scene = Scene(kinds=("hang",))
    assert scene.run(scene.fails()) == "timeout"


def test_a_partition_parts_one_pair_for_a_while() -> None:
    scene = Scene()
    scene.fates.partitions.append(
        Partition(number=-1, pair=frozenset({"a", "b"}), begin=0.0, end=50.0)
    )

    async def main() -> None:
        assert await scene.fails() == "unreachable"
        assert (await scene.fetch()).status == 201

    scene.run(main())
    assert scene.fates.met == [-1]


def test_removing_one_fault_leaves_the_others() -> None:
    some = Fates(seed=9, until=1e9, rate=0.5)
    fates = [some.of(number, 0.0) for number in range(50)]
    assert len(some.met) > 10
    gone = some.met[3]
    fewer = Fates(seed=9, until=1e9, rate=0.5, removed=frozenset({gone}))
    again = [fewer.of(number, 0.0) for number in range(50)]
    assert [n for n in range(50) if fates[n] != again[n]] == [gone]


def test_after_its_time_the_network_is_kind() -> None:
    fates = Fates(seed=9, until=100.0, rate=1.0)
    assert fates.of(1, 99.0).kind != "deliver"
    assert fates.of(1, 100.0).kind == "deliver"


def test_a_target_that_dies_breaks_the_connection_and_a_new_life_answers() -> None:
    scene = Scene()
    scene.app.hold = asyncio.Event()

    async def main() -> None:
        scene.loop.call_later(2.0, scene.life.die, "test")
        with pytest.raises(FetchFailed) as caught:
            await scene.fetch()
        assert caught.value.code == "unreachable"
        assert scene.loop.time() == pytest.approx(2.0, abs=0.1)
        with pytest.raises(FetchFailed):
            await scene.fetch()
        scene.life.dispose()
        scene.life = Life(scene.loop, "b", 2)
        scene.app.hold = None
        scene.place.life, scene.place.app = scene.life, scene.app
        assert (await scene.fetch()).status == 201

    scene.run(main())
    assert scene.loop.faults == []


def test_an_answer_too_long_is_refused_and_an_unknown_host_too() -> None:
    scene = Scene()

    async def main() -> None:
        with pytest.raises(FetchFailed) as caught:
            await scene.fetch(answer_bytes_max=3)
        assert caught.value.code == "too-large"
        with pytest.raises(FetchFailed) as caught:
            await scene.net.check("http://169.254.169.254/", "dsp")
        assert caught.value.code == "refused-address"
        await scene.net.check("http://b.example/", "dsp")

    scene.run(main())


def test_a_stream_gives_blocks_and_a_person_asks_directly() -> None:
    scene = Scene()

    async def main() -> None:
        request = Request(purpose="plane", method="POST", url=URL, body=b"hi")
        async with scene.net.stream(request) as streamed:
            assert streamed.status == 201
            assert [block async for block in streamed.blocks()] == [b"first ", b"hi"]
        asked = Asked(method="POST", url=URL, headers={}, body=b"me", source="")
        answer = await ask(scene.network, scene.place, scene.app, asked)
        assert answer is not None
        assert (answer[0], answer[2]) == (201, b"first me")

    scene.run(main())


def test_what_an_app_throws_is_written_down() -> None:
    scene = Scene()

    async def broken(scope, receive, send) -> None:
        raise ValueError("planted")

    scene.place.app = broken
    assert scene.run(scene.fails()) == "unreachable"
    assert len(scene.network.broken) == 1
    assert "planted" in scene.network.broken[0]
