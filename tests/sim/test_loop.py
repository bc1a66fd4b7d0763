# SPDX-License-Identifier: Apache-2.0
"""The simulated loop: seeded, virtual, and closed to the world."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from corridor.sim.loop import NotSimulated, Runaway, SimLoop, Stuck


def run(seed: int, *, workers: int = 5) -> tuple[list[int], str, float]:
    loop = SimLoop(seed)
    order: list[int] = []

    async def work(number: int) -> None:
        for _ in range(4):
            await asyncio.sleep(0)
            order.append(number)
        await asyncio.sleep(number * 3600)

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(workers)))

    loop.run_until_complete(main())
    digest, time = loop.digest(), loop.time()
    loop.close()
    return order, digest, time


def test_one_seed_gives_one_order_and_one_hash() -> None:
    for seed in range(20):
        assert run(seed) == run(seed)


def test_other_seeds_give_other_orders() -> None:
    assert len({tuple(run(seed)[0]) for seed in range(20)}) > 10


def test_time_jumps_to_the_next_timer() -> None:
    assert run(1)[2] == 4 * 3600.0


def test_the_hash_sees_what_happened() -> None:
    assert run(1, workers=5)[1] != run(1, workers=6)[1]


@pytest.mark.parametrize(
    "attempt",
    [
        lambda loop: asyncio.to_thread(print),
        lambda loop: loop.run_in_executor(None, print),
        lambda loop: asyncio.open_connection("127.0.0.1", 9),
        lambda loop: loop.create_server(asyncio.Protocol, "127.0.0.1", 0),
        lambda loop: loop.getaddrinfo("localhost", 80),
        lambda loop: loop.sock_connect(socket.socket, ("127.0.0.1", 9)),
        lambda loop: asyncio.create_subprocess_exec("true"),
    ],
)
def test_nothing_of_the_world_can_be_opened(attempt) -> None:
    loop = SimLoop(0)

    async def main() -> None:
        await attempt(loop)

    with pytest.raises(NotSimulated):
        loop.run_until_complete(main())
    loop.close()


def test_another_thread_may_not_call_in() -> None:
    loop = SimLoop(0)
    caught: list[BaseException] = []

    def intrude() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except NotSimulated as error:
            caught.append(error)

    thread = threading.Thread(target=intrude)
    thread.start()
    thread.join()
    loop.close()
    assert len(caught) == 1


def test_a_circle_is_found() -> None:
    loop = SimLoop(0, steps_max=1000)

    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Runaway):
        loop.run_until_complete(main())
    task = asyncio.all_tasks(loop).pop()
    task._log_destroy_pending = False
    task.get_coro().close()
    loop.close()


def test_waiting_for_nobody_is_found() -> None:
    loop = SimLoop(0)

    async def main() -> None:
        await loop.create_future()

    with pytest.raises(Stuck):
        loop.run_until_complete(main())
    task = asyncio.all_tasks(loop).pop()
    task._log_destroy_pending = False
    task.get_coro().close()
    loop.close()


def test_a_cancelled_timer_does_not_move_time() -> None:
    loop = SimLoop(0)

    async def main() -> None:
        async with asyncio.timeout(1000):
            await asyncio.sleep(1)

    loop.run_until_complete(main())
    assert loop.time() == 1.0
    loop.close()


def test_work_for_a_thread_may_run_inline_and_replays() -> None:
    def run() -> tuple[list[int], str]:
        loop = SimLoop(4, threads_inline=True)
        threads: set[int] = set()

        async def main() -> list[int]:
            works = (
                asyncio.to_thread(lambda n=n: threads.add(threading.get_ident()) or n)
                for n in range(5)
            )
            return await asyncio.gather(*works)

        found, digest = loop.run_until_complete(main()), loop.digest()
        loop.close()
        assert threads == {threading.get_ident()}
        return found, digest

    assert run() == run()
    assert run()[0] == [0, 1, 2, 3, 4]
