# SPDX-License-Identifier: Apache-2.0
"""Brings what we say to the peer: at once, then by a schedule, and never twice at a time.

node.md c. Rows of the outbox are known in memory (all of them are read at start, each new one is
handed over after its commit), so nothing is polled. One row of a process, eight of a peer, 64 of
the node are under way at most. What an answer means is the talk's business (`Outcomes`).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec
import structlog

from corridor import telemetry
from corridor.engine.ground import Ground, Home, micros, moment
from corridor.errors import CorridorError, FetchFailed, PeerMustWait, StoreUnavailable
from corridor.limits import Limits
from corridor.store.boxes import Queued
from corridor.store.unit import Conflict, Unit
from corridor.world import Request, Response

SCHEDULE_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
SOON_S = 60.0
LATER_S = 600.0
SOON_UNTIL_S = 600.0
SETTLE_S = (0.3, 1.0, 3.0)
UNKNOWN_TOKEN_S = 600.0
TRY_AGAIN = frozenset({408, 425, 429})
NOT_YET = frozenset({400, 404, 409})
SET_BACK = 1_000_000  # microseconds; less is how clocks are kept in step

T = TypeVar("T")
log = structlog.get_logger()


class Outcomes(Protocol):
    """What becomes of a row. Each is called once, and settles the row in a unit of its own."""

    async def acknowledged(self, home: Home, row: Queued, answer: Response) -> None:
        """The peer took it."""
        ...

    async def refused(self, home: Home, row: Queued, answer: Response) -> bool:
        """The peer will not take it, now or later; False: that is not certain, try again."""
        ...

    async def unreachable(self, home: Home, row: Queued) -> None:
        """Nobody answered for as long as we try."""
        ...


@dataclass(slots=True)
class _Due:
    """A row that is still to be delivered. `tried`: it may have reached the peer."""

    row: Queued
    home: Home
    tried: bool
    settled: int = 0
    gone: bool = False
    held: bool = False


@dataclass(slots=True)
class _Line:
    """One peer: what is under way to it, what waits, and whether it answers."""

    under_way: int = 0
    waiting: deque[_Due] = field(default_factory=deque)
    failures: int = 0


def pause_s(attempts: int, since_first_s: float) -> float:
    """How long to wait after so many attempts, before the jitter."""
    if attempts <= len(SCHEDULE_S):
        return SCHEDULE_S[max(attempts, 1) - 1]
    return SOON_S if since_first_s < SOON_UNTIL_S else LATER_S


class Deliver:
    """The one sender of protocol messages."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._limits: Limits = ground.limits
        self._outcomes: Outcomes | None = None
        self._due: dict[str, _Due] = {}
        self._heap: list[tuple[int, int, str]] = []
        self._order = 0
        self._now = 0
        self._lines: dict[str, _Line] = {}
        self._under_way = 0
        self._last_word: dict[str, float] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._open = False

    def bind(self, outcomes: Outcomes) -> None:
        """Say who is told what became of a row."""
        self._outcomes = outcomes

    async def start(self) -> None:
        """Take up what the store holds; every row may have been tried before the crash."""
        self._open = True
        for row in self._ground.store.node.outbox.pending():
            home = self._ground.homes.get(row.participant)
            if home is not None:
                self._take(row, home, tried=True)

    async def stop(self, seconds: float) -> None:
        """Send nothing more; let what is under way end."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # what others tell

    def put(self, row: Queued) -> None:
        """A row that was committed just now."""
        home = self._ground.homes[row.participant]
        self._take(row, home, tried=False)

    def after_answer(self, row: Queued) -> Callable[[], None]:
        """The row leaves when the returned function is called, or 5 s later at the latest."""
        left = False

        def release() -> None:
            nonlocal left
            timer.cancel()
            if not left:
                left = True
                self.put(row)

        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._limits.answer_first_s, release)
        return release

    def forget(self, message_id: str) -> None:
        """The row is settled otherwise."""
        due = self._due.pop(message_id, None)
        if due is not None:
            due.gone = True

    def hold(self, message_id: str) -> bool:
        """Keep a row that certainly never left from leaving; False where it may have left.

        Until `forget` or `release`: what takes its place is being written meanwhile.
        """
        due = self._due.get(message_id)
        if due is None or due.tried:
            return False
        due.held = True
        return True

    def release(self, message_id: str) -> None:
        """Nothing took its place: it leaves after all."""
        due = self._due.get(message_id)
        if due is not None and due.held:
            due.held = False
            self._at(due.row)

    def heard_from(self, peer: str, process: str) -> None:
        """A peer spoke in a process: what it could not take a moment ago it may take now."""
        self._last_word[process] = self._ground.world.clock.monotonic()
        if len(self._last_word) > 10_000:
            self._last_word.pop(next(iter(self._last_word)))
        line = self._lines.get(peer)
        if line is not None and line.failures:
            self._up(peer, line)

    def oldest_s(self) -> float:
        """Age of the oldest row, seconds; 0 where there is none."""
        if not self._due:
            return 0.0
        first = min(due.row.created for due in self._due.values())
        return max(0.0, (micros(self._ground.now()) - first) / 1e6)

    def down(self, peer: str) -> bool:
        """Whether this peer did not answer five times in a row."""
        line = self._lines.get(peer)
        return line is not None and line.failures >= self._limits.peer_down_after_failures

    # the queue

    def _take(self, row: Queued, home: Home, *, tried: bool) -> None:
        if row.message_id in self._due:
            return
        self._due[row.message_id] = _Due(row, home, tried)
        self._at(row)

    def _at(self, row: Queued) -> None:
        self._order += 1
        heapq.heappush(self._heap, (row.next_at, self._order, row.message_id))
        self._tick()

    def _tick(self) -> None:
        """Start what is due, and set the timer for what is next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = micros(self._ground.now())
        # Nothing waits by a clock that was ahead and has been set right: it is due at once.
        set_back, self._now = now < self._now - SET_BACK, now
        while self._heap and self._open:
            at, _, message_id = self._heap[0]
            due = self._due.get(message_id)
            if due is None or due.row.next_at != at:
                heapq.heappop(self._heap)
                continue
            if at > now and not set_back:
                wait = min((at - now) / 1e6, 3600.0)
                self._timer = asyncio.get_running_loop().call_later(wait, self._tick)
                return
            heapq.heappop(self._heap)
            self._line(due.row.peer).waiting.append(due)
            self._pull(due.row.peer)

    def _line(self, peer: str) -> _Line:
        return self._lines.setdefault(peer, _Line())

    def _pull(self, peer: str) -> None:
        """Start what waits for this peer, as far as the bounds allow."""
        line = self._line(peer)
        most = 1 if self.down(peer) else self._limits.deliver_per_peer_max
        while line.waiting and self._open:
            if line.under_way >= most or self._under_way >= self._limits.deliver_per_node_max:
                return
            due = line.waiting.popleft()
            if due.gone:
                continue
            line.under_way += 1
            self._under_way += 1
            task = asyncio.get_running_loop().create_task(self._attempt(due, line))
            self._tasks[task] = None
            task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def _attempt(self, due: _Due, line: _Line) -> None:
        try:
            await self._deliver(due, line)
        except CorridorError as error:
            log.warning(telemetry.DSP_RETRY, process=due.row.process, error=error.code)
            await self._again(due, 1.0, error.code, stored=False)
        except Exception:
            log.exception(telemetry.INVARIANT_BROKEN, process=due.row.process)
            await self._again(due, SOON_S, "internal", stored=False)
        finally:
            line.under_way -= 1
            self._under_way -= 1
            self._pull(due.row.peer)
            self._let_go(due.row.peer)
            for peer, other in self._lines.items():
                if other.waiting and other is not line:
                    self._pull(peer)
                    break

    def _let_go(self, peer: str) -> None:
        """Forget a line with nothing in it: there may be any number of peers."""
        line = self._lines.get(peer)
        if line is not None and not (line.under_way or line.waiting or line.failures):
            del self._lines[peer]

    async def _deliver(self, due: _Due, line: _Line) -> None:
        row = due.row
        outcomes = self._outcomes
        assert outcomes is not None
        if due.gone or due.held:  # settled between its turn and now, or about to be
            return
        due.tried = True
        try:
            answer = await self._send(due)
        except FetchFailed as failure:
            self._failed(row.peer, line)
            await self._later(due, failure.code, 0.0)
            return
        status = answer.status
        if due.gone:
            return
        if status >= 500 or status in TRY_AGAIN:
            self._failed(row.peer, line)
            least_s = _retry_after(answer.headers, self._limits.retry_after_s_max)
            await self._later(due, f"status {status}", least_s)
            return
        self._up(row.peer, line)
        if 200 <= status < 300:
            self._due.pop(row.message_id, None)
            await self._settle(lambda: outcomes.acknowledged(due.home, row, answer))
            return
        age = (micros(self._ground.now()) - row.created) / 1e6
        if status == 401 and age < UNKNOWN_TOKEN_S:
            await self._later(due, "status 401", 0.0)
            return
        if status in NOT_YET and due.settled < len(SETTLE_S) and self._lately(row.process):
            due.settled += 1
            await self._again(due, SETTLE_S[due.settled - 1], f"status {status}", stored=False)
            return
        log.info(telemetry.DSP_RETRY, process=row.process, status=status, type=row.type)
        if await self._settle(lambda: outcomes.refused(due.home, row, answer)):
            self._due.pop(row.message_id, None)
        else:
            await self._later(due, f"status {status}", 0.0)

    async def _settle(self, outcome: Callable[[], Awaitable[T]]) -> T:
        """Run an outcome until it stands: the peer answered once, and is not asked again.

        Where the store is away it rests here; a stop before it is back leaves the row due.
        """
        for wait_s in itertools.chain(SCHEDULE_S, itertools.repeat(SOON_S)):
            try:
                return await outcome()
            except (StoreUnavailable, PeerMustWait) as away:
                log.warning(telemetry.STORE_UNAVAILABLE, cause=away.cause or away.what)
                await self._ground.world.clock.sleep(wait_s)
        raise AssertionError("the schedule has no end")

    async def _send(self, due: _Due) -> Response:
        row, home = due.row, due.home
        authorization = await home.identify.authorize(
            slug=home.slug, did=home.did, audience=row.peer, body=row.body
        )
        return await self._ground.world.net.fetch(
            Request(
                purpose="dsp",
                method="POST",
                url=row.url,
                headers={
                    "content-type": "application/json",
                    "authorization": authorization,
                },
                body=row.body,
                answer_bytes_max=self._limits.message_bytes_max,
                timeout_s=self._limits.fetch_total_s,
            )
        )

    def _lately(self, process: str) -> bool:
        last = self._last_word.get(process)
        now = self._ground.world.clock.monotonic()
        return last is not None and now - last < self._limits.settle_window_s

    def _failed(self, peer: str, line: _Line) -> None:
        line.failures += 1
        if line.failures == self._limits.peer_down_after_failures:
            log.warning(telemetry.PEER_DOWN, peer=peer)

    def _up(self, peer: str, line: _Line) -> None:
        if line.failures >= self._limits.peer_down_after_failures:
            log.info(telemetry.PEER_UP, peer=peer)
        line.failures = 0

    async def _later(self, due: _Due, error: str, least_s: float) -> None:
        row = due.row
        now = micros(self._ground.now())
        if now >= row.give_up_at:
            log.warning(telemetry.DSP_DEAD, process=row.process, error=error)
            self._due.pop(row.message_id, None)
            outcomes = self._outcomes
            assert outcomes is not None
            await self._settle(lambda: outcomes.unreachable(due.home, row))
            return
        wait = pause_s(row.attempts + 1, (now - row.created) / 1e6)
        wait *= 0.5 + self._ground.world.chance.jitter()
        await self._again(due, max(wait, least_s), error, stored=True)

    async def _again(self, due: _Due, wait_s: float, error: str, *, stored: bool) -> None:
        if due.gone:
            return
        row = due.row
        next_at = micros(self._ground.now()) + int(wait_s * 1e6)
        attempts = row.attempts + (1 if stored else 0)
        later = msgspec.structs.replace(row, attempts=attempts, next_at=next_at, error=error)
        if stored:
            outbox = self._ground.store.of(row.participant).outbox
            write = outbox.retry(row, attempts=attempts, next_at=next_at, error=error)
            try:
                await self._ground.store.run(Unit((write,)))
            except Conflict:
                self._due.pop(row.message_id, None)  # settled meanwhile
                return
            except StoreUnavailable:
                log.warning(telemetry.STORE_UNAVAILABLE, process=row.process)
        if due.gone:  # settled while that was written
            return
        due.row = later
        self._due[row.message_id] = due
        self._at(later)

    def next_try(self, process: str) -> str | None:
        """When the row of a process is tried next (for people); None where there is none."""
        for due in self._due.values():
            if due.row.process == process:
                return moment(due.row.next_at).isoformat()
        return None


def _retry_after(headers: Mapping[str, str], most_s: float) -> float:
    """Seconds of a Retry-After that wins over the schedule, up to `most_s`."""
    text = headers.get("retry-after", "")
    return min(float(text), most_s) if text.isdecimal() and len(text) < 6 else 0.0
