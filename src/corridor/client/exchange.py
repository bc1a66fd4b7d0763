# SPDX-License-Identifier: Apache-2.0
"""What a call may ask of its driver, as values: a call is one generator that yields these.

house-style.md 22. `Home` drives it with a blocking connection, `AsyncHome` with aiohttp, a test
with a list. A driver that cannot reach the node throws NotReachable(side="home") into the flow.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from corridor.client.problems import error_of
from corridor.errors import BudgetSpent, NotReachable

TRIES = 3
PAUSE_S = (0.2, 3.0)
RETRY_AFTER_MAX_S = 30.0
AGAIN = frozenset({429, 502, 503, 504})
ANSWER_BYTES_MAX = 32 << 20
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request to our own node. `path` begins with `/`; a dict `query` is encoded by the driver.

    `streamed`: only the head of a good answer comes back, its body follows by `More`.
    `wait_s`: seconds beyond the usual silence that the node may take before it answers.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    streamed: bool = False
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """The answer to `Ask`; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class More:
    """Asks for the next block of the open stream; the answer is bytes, empty at the end."""


@dataclass(frozen=True, slots=True)
class Shut:
    """Gives the open stream up: its connection is dropped."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Asks to wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Emit:
    """Hands a value out before the flow ends."""

    value: Any


Step = Ask | More | Shut | Pause
Flow = Generator[Step, Any, T]
"""A call: yields steps, is sent their answers, returns T."""


Emitting = Generator[Step | Emit, Any, None]
"""A flow that emits values while it runs, and returns nothing."""


def ask(it: Ask, *, again: bool, chance: Callable[[], float] = random.random) -> Flow[Got]:
    """The good answer (status below 400), or the error that the node's answer stands for.

    `again`: saying it twice is harmless (a read, or an Idempotency-Key): tried 3 times with full
    jitter, on lost connections, 502, 503, 504, and 429 with a Retry-After of at most 30 s. Refusals
    that carry one of those statuses are final all the same.
    """
    for left in range(TRIES - 1, -1, -1):
        wait_s: float | None = None
        try:
            got: Got = yield it
        except NotReachable:
            if not (again and left):
                raise
        else:
            if got.status < 400:
                return got
            error = error_of(got)
            wait_s = _retry_after(got)
            if not (again and left and got.status in AGAIN) or isinstance(error, BudgetSpent):
                raise error
            if wait_s is not None and wait_s > RETRY_AFTER_MAX_S:
                raise error
        low, high = PAUSE_S
        yield Pause(wait_s if wait_s is not None else low + chance() * (high - low))
    raise AssertionError("the last try returns or raises")


def blocks(it: Ask) -> Generator[Step, Any, Got]:
    """Open a stream once: what broke is not asked again, since it may cost budget."""
    got: Got = yield replace(it, streamed=True)
    if got.status >= 400:
        raise error_of(got)
    return got


def _retry_after(got: Got) -> float | None:
    text = got.headers.get("retry-after", "")
    return float(text) if text.isdecimal() and len(text) < 9 else None
