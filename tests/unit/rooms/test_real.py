# SPDX-License-Identifier: Apache-2.0
"""Rooms with a real zygote, real workers and real walls."""

from __future__ import annotations

import ast
import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from corridor.errors import (
    CorridorError,
    FetchFailed,
    Invalid,
    PeerMustWait,
    QueryRefused,
    Refused,
)
from corridor.limits import Limits
from corridor.rooms import RealRooms

HERE = str(Path(__file__).parent)
LIMITS = Limits()


def rooms_of(**changes: Any) -> RealRooms:
    limits = Limits(**{key: value for key, value in changes.items() if key in Limits.__slots__})
    rest = {key: value for key, value in changes.items() if key not in Limits.__slots__}
    return RealRooms(**{"modules": ("works",), "limits": limits, "places": (HERE,), **rest})


def with_rooms(test: Callable[[RealRooms], Awaitable[None]], **changes: Any) -> None:
    async def main() -> None:
        rooms = rooms_of(**changes)
        try:
            await test(rooms)
        finally:
            await rooms.close()
        assert not children()

    asyncio.run(main())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


async def run(rooms: RealRooms, work: str, args: dict[str, Any], **more: Any) -> list[bytes]:
    async with rooms.run(f"works:{work}", args, **more) as blocks:
        return [bytes(block) async for block in blocks]


def test_a_work_answers_and_leaves_nothing_behind() -> None:
    before = descriptors()

    async def test(rooms: RealRooms) -> None:
        assert await run(rooms, "echo", {"text": "مرحبا"}) == ["مرحبا".encode()]
        assert await run(rooms, "echo", {"text": "b"}) == [b"b"]

    with_rooms(test)
    assert descriptors() == before


def test_blocks_come_whole_and_in_order_under_credit() -> None:
    async def test(rooms: RealRooms) -> None:
        got = await run(rooms, "many", {"blocks": 40, "size": 1 << 20})
        assert [len(block) for block in got] == [1 << 20] * 40
        split = await run(rooms, "many", {"blocks": 1, "size": (5 << 19) + 1})
        assert [len(block) for block in split] == [1 << 20, 1 << 20, (1 << 19) + 1]

    with_rooms(test)


def test_a_caller_that_takes_its_time_is_not_timed_out_but_held_only_so_long() -> None:
    async def test(rooms: RealRooms) -> None:
        async with rooms.run("works:many", {"blocks": 20, "size": 10}, seconds=0.5) as blocks:
            count = 0
            async for _ in blocks:
                count += 1
                await asyncio.sleep(0.04)
            assert count == 20

    with_rooms(test)

    async def held(rooms: RealRooms) -> None:
        with pytest.raises(FetchFailed) as caught:
            await slowly(rooms)
        assert caught.value.code == "timeout"

    with_rooms(held, room_hold_s=0.6)


def test_a_worker_holds_three_descriptors_and_no_environment_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CORRIDOR_SECRET", "x")

    async def test(rooms: RealRooms) -> None:
        held = ast.literal_eval((await run(rooms, "look", {}))[0].decode())
        assert held["fds"] == [0, 1, 2]
        assert "CORRIDOR_SECRET" not in held["environment"]
        assert set(held["environment"]) <= {
            "PYTHONPATH", "LC_ALL", "LC_CTYPE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS", "OMP_THREAD_LIMIT", "JE_ARROW_MALLOC_CONF",
            "ARROW_DEFAULT_MEMORY_POOL", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_",
        }  # fmt: skip

    with_rooms(test)


def test_the_walls_hold(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.write_text("m")
    other.write_text("o")
    forbidden = [
        ("socket", "", 1),
        ("pair", "", 1),
        ("execve", "", 1),
        ("fork", "", 1),
        ("kill", "", 1),
        ("ptrace", "", 1),
        ("setrlimit", "", 1),
        ("open", str(other), 13),
        ("open", "/etc/passwd", 13),
        ("list", str(tmp_path), 13),
        ("list", "/proc", 13),
        ("write", str(mine), 13),
        ("write", str(tmp_path / "new"), 13),
        ("unlink", str(mine), 1),
    ]

    async def test(rooms: RealRooms) -> None:
        for what, path, number in forbidden:
            got = await run(rooms, "attempt", {"what": what, "path": path}, reads=(mine,))
            assert got == [f"refused {number}".encode()], what
        for what, path in [("open", str(mine)), ("thread", ""), ("cgroup", "")]:
            got = await run(rooms, "attempt", {"what": what, "path": path}, reads=(mine,))
            assert got == [b"done"], what

    with_rooms(test)
    assert mine.read_text() == "m"


def test_without_walls_nothing_runs_unless_said(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("o")

    async def refused(rooms: RealRooms) -> None:
        assert rooms.degraded == ("landlock",)
        with pytest.raises(Refused) as caught:
            await run(rooms, "echo", {"text": "a"})
        assert caught.value.code == "room-unsafe"

    async def unsafe(rooms: RealRooms) -> None:
        assert await run(rooms, "read", {"path": str(other)}) == [b"o"]
        assert await run(rooms, "attempt", {"what": "socket"}) == [b"refused 1"]

    with_rooms(refused, lacking=lambda: ("landlock",))
    with_rooms(unsafe, lacking=lambda: ("landlock",), unsafe_room=True)


@pytest.mark.parametrize(
    ("how", "kind", "code"),
    [
        ("query", QueryRefused, "query-refused"),
        ("refused", Refused, "refused"),
        ("invalid", Invalid, "invalid"),
        ("strange", PeerMustWait, "room-fault"),
        ("other", PeerMustWait, "room-fault"),
        ("engine", PeerMustWait, "room-fault"),
        ("memory", Refused, "room-memory"),
    ],
)
def test_what_a_work_raises_comes_out_as_ours(
    how: str, kind: type[CorridorError], code: str
) -> None:
    async def test(rooms: RealRooms) -> None:
        with pytest.raises(kind) as caught:
            await run(rooms, "fail", {"how": how})
        assert caught.value.code == code
        assert "4711" not in str(caught.value)
        assert "secret" not in str(caught.value)
        if isinstance(caught.value, QueryRefused):
            assert (caught.value.rule, caught.value.would_pass) == ("columns", "so")

    with_rooms(test)


def test_memory_is_bounded() -> None:
    async def test(rooms: RealRooms) -> None:
        with pytest.raises(Refused) as caught:
            await run(rooms, "eat", {})
        assert caught.value.code == "room-memory"

    with_rooms(test, room_memory_bytes_max=1 << 30)


def test_a_worker_past_its_deadline_is_killed_and_its_slot_is_free() -> None:
    async def test(rooms: RealRooms) -> None:
        async with rooms.run("works:hang", {}, seconds=0.3) as blocks:
            assert await anext(blocks) == b"before"
            with pytest.raises(FetchFailed) as caught:
                await anext(blocks)
        assert caught.value.code == "timeout"
        assert await run(rooms, "echo", {"text": "after"}) == [b"after"]
        assert await workers(rooms) == []

    with_rooms(test, workers_per_node_max=1)


async def slowly(rooms: RealRooms) -> None:
    async with rooms.run("works:many", {"blocks": 20, "size": 10}) as blocks:
        async for _ in blocks:
            await asyncio.sleep(0.1)


async def workers(rooms: RealRooms) -> list[str]:
    (zygote,) = children()
    return Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()


def test_a_worker_that_dies_is_a_fault() -> None:
    async def test(rooms: RealRooms) -> None:
        with pytest.raises(PeerMustWait) as caught:
            await run(rooms, "die", {})
        assert caught.value.code == "room-fault"

    with_rooms(test)


def test_a_work_that_the_zygote_did_not_import_does_not_run() -> None:
    async def test(rooms: RealRooms) -> None:
        async with rooms.run("os:abort", {}) as blocks:
            with pytest.raises(PeerMustWait):
                await anext(blocks)

    with_rooms(test)


def test_a_zygote_that_was_killed_is_replaced_and_takes_its_workers_along() -> None:
    async def test(rooms: RealRooms) -> None:
        assert await run(rooms, "echo", {"text": "a"}) == [b"a"]
        (zygote,) = children()
        async with rooms.run("works:hang", {}) as blocks:
            await anext(blocks)
            os.kill(int(zygote), 9)
            with pytest.raises(PeerMustWait):
                await anext(blocks)
        assert await run(rooms, "echo", {"text": "b"}) == [b"b"]
        assert children() != [zygote]

    with_rooms(test)


def test_rooms_are_few_and_so_is_the_queue() -> None:
    async def test(rooms: RealRooms) -> None:
        async with stay(rooms):
            second = asyncio.ensure_future(run(rooms, "echo", {"text": "b"}))
            await asyncio.sleep(0)
            with pytest.raises(PeerMustWait) as caught:
                await run(rooms, "echo", {"text": "c"})
            assert caught.value.code == "rooms-full"
        assert await second == [b"b"]

    with_rooms(test, workers_per_node_max=1, workers_waiting_max=1)


def test_waiting_for_a_room_ends() -> None:
    async def test(rooms: RealRooms) -> None:
        async with stay(rooms):
            with pytest.raises(PeerMustWait) as caught:
                await run(rooms, "echo", {"text": "b"})
        assert caught.value.code == "rooms-full"
        assert await run(rooms, "echo", {"text": "c"}) == [b"c"]

    with_rooms(test, workers_per_node_max=1, room_wait_s=0.1)


@asynccontextmanager
async def stay(rooms: RealRooms) -> AsyncIterator[None]:
    async with rooms.run("works:hang", {}) as blocks:
        await anext(blocks)
        yield


def test_a_caller_that_gives_up_leaves_no_worker() -> None:
    async def test(rooms: RealRooms) -> None:
        await run(rooms, "echo", {"text": "a"})
        for turns in range(30):
            task = asyncio.ensure_future(run(rooms, "hang", {}))
            for _ in range(turns):
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await run(rooms, "echo", {"text": "a"}) == [b"a"]
        for _ in range(100):
            if not await workers(rooms):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("a worker is left")

    with_rooms(test, workers_per_node_max=2)


def test_close_kills_what_runs() -> None:
    async def test(rooms: RealRooms) -> None:
        async with rooms.run("works:hang", {}) as blocks:
            await anext(blocks)
            await rooms.close()
            with pytest.raises(PeerMustWait):
                await anext(blocks)
        with pytest.raises(PeerMustWait):
            await run(rooms, "echo", {"text": "a"})

    with_rooms(test)


def test_a_library_that_is_missing_is_said() -> None:
    async def test(rooms: RealRooms) -> None:
        with pytest.raises(Refused) as caught:
            await run(rooms, "echo", {"text": "a"})
        assert caught.value.code == "room-unavailable"

    with_rooms(test, modules=("no_such_module",))
