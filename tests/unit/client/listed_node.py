# SPDX-License-Identifier: Apache-2.0
"""A node that is a list: drives flows without a network, and keeps what they asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from corridor.client.exchange import Ask, Emit, Got, More, Pause, Shut
from corridor.codes import CODES


def answer(document: Any, status: int = 200, **headers: str) -> Got:
    told = {name.replace("_", "-"): it for name, it in headers.items()}
    return Got(status=status, headers=told, body=msgspec.json.encode(document))


def problem(code: str, **more: Any) -> Got:
    known = CODES[code]
    told = {"type": f"/errors/{code}", "title": known.title, "status": known.status, "code": code}
    headers = {"retry-after": str(more.pop("retry_after"))} if "retry_after" in more else {}
    body = msgspec.json.encode({**told, **more})
    return Got(status=more.get("status", known.status), headers=headers, body=body)


class Script:
    """Answers in turn: a Got, an error to raise, or blocks of a stream."""

    def __init__(self, *turns: Any) -> None:
        self.turns = list(turns)
        self.asked: list[Ask] = []
        self.paused: list[float] = []
        self.blocks: list[Any] = []
        self.shut = 0

    def run(self, flow: Any) -> Any:
        reply: Any = None
        failure: BaseException | None = None
        while True:
            try:
                step = flow.throw(failure) if failure is not None else flow.send(reply)
            except StopIteration as done:
                return done.value
            reply, failure = None, None
            match step:
                case Ask():
                    self.asked.append(step)
                    turn = self.turns.pop(0)
                    if isinstance(turn, Callable):
                        turn = turn(step)
                    if isinstance(turn, BaseException):
                        failure = turn
                    elif isinstance(turn, tuple):
                        reply, blocks = turn
                        self.blocks = list(blocks)
                    else:
                        reply = turn
                case More():
                    block = self.blocks.pop(0) if self.blocks else b""
                    if isinstance(block, BaseException):
                        failure = block
                    else:
                        reply = block
                case Pause():
                    self.paused.append(step.seconds)
                case Shut():
                    self.shut += 1
                case Emit():
                    raise AssertionError("this flow does not emit")
