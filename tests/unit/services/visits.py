# SPDX-License-Identifier: Apache-2.0
"""A visit that records: the engine's side of `services.Visit`, without an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from corridor.errors import Refused
from corridor.policy.judge import Facts
from corridor.policy.permit import Permit
from corridor.services import Answer, Known, Offered


@dataclass
class RecordedAct:
    id: str
    begun: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=lambda: {"corridor-receipt": "r1"})
    blocks: int = 0
    counted: list[int] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    async def take(self, block: bytes) -> None:
        self.blocks += 1

    async def rows(self, count: int) -> None:
        self.counted.append(count)

    async def close(self, outcome: str, *, response: bytes | None = None, code: str = "") -> None:
        self.closed.append(outcome)


@dataclass
class RecordedVisit:
    """`says`: facts to the public name of a refusal, or "" where it is allowed."""

    permit: Permit
    offered: Offered
    says: Callable[[Facts], str] = lambda facts: ""
    sid: str = "s" * 16
    base_url: str = "http://localhost/stat/data/s"
    purpose: str | None = None
    acts: list[RecordedAct] = field(default_factory=list)
    asked: list[Facts] = field(default_factory=list)

    async def begin(
        self,
        act: str,
        facts: Facts,
        *,
        request: bytes,
        hashed: bool,
        known: Known | None = None,
        bytes_max: int | None = None,
    ) -> RecordedAct:
        rule = self.says(facts)
        if rule:
            raise Refused("no", rule=rule)
        begun = {
            "act": act, "facts": facts, "request": request, "hashed": hashed, "known": known,
            "bytes_max": bytes_max,
        }  # fmt: skip
        self.acts.append(RecordedAct(f"a{len(self.acts)}", begun))
        return self.acts[-1]

    async def explain(self, facts: Facts) -> Mapping[str, Any]:
        self.asked.append(facts)
        rule = self.says(facts)
        return {"outcome": "denied" if rule else "allowed", "rule": rule}


async def content(answer: Answer) -> bytes:
    if isinstance(answer.body, bytes):
        return answer.body
    return b"".join([bytes(block) async for block in answer.body])


async def blocks(answer: Answer) -> AsyncIterator[bytes]:
    assert not isinstance(answer.body, bytes)
    async for block in answer.body:
        yield block
