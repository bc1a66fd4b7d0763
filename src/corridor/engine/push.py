# SPDX-License-Identifier: Apache-2.0
"""Sends a file to where the consumer wants it: `HttpData-PUSH` (node.md d).

A background job for each pushing transfer: one act, blocks of 1 MiB with a Content-Length through
the guarded fetcher. Done, the transfer completes; refused by the receiver, it terminates; anything
else is tried again by the schedule of delivery, from the start.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import structlog

from corridor import telemetry
from corridor.engine.acts import Acts
from corridor.engine.decide import Speak
from corridor.engine.deliver import pause_s
from corridor.engine.ground import Ground, Home
from corridor.engine.sessions import Admitted, Sessions
from corridor.engine.transfer import Transfers
from corridor.engine.voice import Voice
from corridor.errors import Changed, CorridorError, FetchFailed, Refused
from corridor.protocol.transfer import State, Step
from corridor.services import Answer, PlaneRequest
from corridor.store.transfers import Transfer
from corridor.wire.transfer import DataAddress
from corridor.world import Request

log = structlog.get_logger()


class Answering(Protocol):
    """The part of a service that a push uses: the answer to a plain GET."""

    async def answer(self, visit: object, request: PlaneRequest) -> Answer:
        """Answer one request of an open session."""
        ...


class Push:
    """The pushes under way, one for each transfer."""

    def __init__(
        self, ground: Ground, sessions: Sessions, acts: Acts, transfers: Transfers, voice: Voice
    ) -> None:
        self._ground = ground
        self._sessions = sessions
        self._acts = acts
        self._transfers = transfers
        self._voice = voice
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, home: Home, pid: str) -> None:
        """Push what this transfer wants pushed, unless it is being pushed."""
        if pid not in self._tasks:
            task = asyncio.create_task(self._run(home, pid))
            self._tasks[pid] = task
            task.add_done_callback(lambda _: self._tasks.pop(pid, None))

    async def recover(self) -> None:
        """Take up pushes that a crash interrupted."""
        for home in self._ground.homes.values():
            after = 0
            while page := self._ground.store.of(home.slug).transfers.page(
                after=after, state=State.STARTED
            ):
                for it in page:
                    after = it.pk or after
                    if it.sink is not None and it.role == "provider":
                        self.begin(home, it.pid)

    async def stop(self) -> None:
        """Let go; the transfers stay started and are pushed again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, home: Home, pid: str) -> None:
        began = self._ground.world.clock.monotonic()
        attempts = 0
        while True:
            it = self._transfers.find(home, pid)
            if it is None or it.state != State.STARTED or it.sink is None:
                return
            try:
                await self._send(home, it)
            except Refused as refused:
                await self._end(home, pid, refused.rule or refused.code)
                return
            except CorridorError as failure:
                attempts += 1
                age = self._ground.world.clock.monotonic() - began
                if age > self._ground.limits.deliver_dead_after_s:
                    await self._end(home, pid, "unreachable")
                    return
                log.info(telemetry.DSP_RETRY, process=pid, push=failure.code)
                await self._ground.world.clock.sleep(pause_s(attempts, age))
                continue
            await self._say(home, pid, Speak(step=Step.COMPLETE))
            return

    async def _end(self, home: Home, pid: str, code: str) -> None:
        await self._say(home, pid, Speak(step=Step.TERMINATE, code=code, reasons=(code,)))

    async def _say(self, home: Home, pid: str, speech: Speak) -> None:
        try:
            await self._voice.wish(home, self._transfers, pid, speech)
        except Changed:
            return  # the peer was faster

    async def _send(self, home: Home, it: Transfer) -> None:
        session = self._ground.store.of(home.slug).sessions.by_transfer(it.pid)
        assert session is not None
        token = self._sessions.token(home, session)
        admitted = self._sessions.admit(home, session.sid, token)
        visit = self._acts.visit(admitted, purpose=it.purpose, actor=None)
        asked = PlaneRequest(method="GET", path="/", query="", headers={}, body=b"", pushed=True)
        answer = await admitted.service.answer(visit, asked)
        if answer.act is None:
            raise Refused("nothing to push", rule="unsupported")
        assert it.sink is not None
        address = self._transfers.address(home, it.sink)
        outcome = "failed"
        try:
            await self._upload(address, answer, admitted)
            outcome = "answered"
        except FetchFailed:
            outcome = "broken"
            raise
        except Refused as refused:
            outcome = "cut" if admitted.cut.done else "refused"
            raise refused from None
        finally:
            record = answer.record if outcome == "answered" else None
            await answer.act.close(outcome, response=record)

    async def _upload(self, address: DataAddress, answer: Answer, admitted: Admitted) -> None:
        headers = {"content-type": answer.headers.get("content-type", "application/octet-stream")}
        if answer.length is not None:
            headers["content-length"] = str(answer.length)
        token = address.property("authorization")
        if token:
            headers["authorization"] = token
        request = Request(
            purpose="push",
            method=address.property("method") or "POST",
            url=address.property("endpoint") or "",
            headers=headers,
            body=_taken(answer, admitted),
            timeout_s=self._ground.limits.fetch_push_silence_s,
        )
        received = await self._ground.world.net.fetch(request)
        if 400 <= received.status < 500 and received.status not in (408, 425, 429):
            raise Refused(f"the receiver answered {received.status}", rule="receiver")
        if not 200 <= received.status < 300:
            raise FetchFailed(f"the receiver answered {received.status}")


async def _taken(answer: Answer, admitted: Admitted) -> AsyncIterator[bytes]:
    """The blocks, each taken (judged, counted) before it leaves."""
    assert answer.act is not None
    blocks = _once(answer.body) if isinstance(answer.body, bytes) else answer.body
    async for block in blocks:
        if admitted.cut.done:
            raise Refused("this session has ended", rule=admitted.cut.rule)
        await answer.act.take(block)
        yield block


async def _once(block: bytes) -> AsyncIterator[bytes]:
    yield block
