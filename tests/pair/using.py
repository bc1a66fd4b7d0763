# SPDX-License-Identifier: Apache-2.0
"""Using what was agreed, as tests do it: tokens in the hand, requests one by one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.pair.pair import Pair

from corridor.engine.decide import Speak
from corridor.world import Request, Response

USE = {"permission": [{"action": "use"}]}
COR = "urn:uuid:c9439823-0be4-5737-8c85-aee4c4640e71#"
PROFILE = COR[:-1]


def limit(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def limited(*constraints: Mapping[str, Any], action: str = "use", **more: Any) -> dict[str, Any]:
    """Terms of one permission."""
    own = any(COR in str(each) for each in (*constraints, more))
    told = {"permission": [{"action": action, "constraint": list(constraints)}], **more}
    return {**told, "profile": PROFILE} if own else told


@dataclass
class Reading:
    """A started transfer of the consumer: where it reads, and with which token."""

    p: Pair
    pid: str
    endpoint: str
    token: str

    async def get(self, path: str = "", *, token: str | None = "", **headers: str) -> Response:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            told["authorization"] = f"Bearer {token or self.token}"
        request = Request(
            purpose="plane", method="GET", url=self.endpoint + path, headers=told,
            answer_bytes_max=1 << 30,
        )  # fmt: skip
        return await self.p.net.fetch(request)

    @property
    def theirs(self) -> str:
        """The provider's pid."""
        return str(self.p.consumer.store.of("consumer").transfers.get(self.pid).peer_pid)

    def pid_of(self, name: str) -> str:
        return self.pid if name == "consumer" else self.theirs

    async def say(self, name: str, step: str, **told: Any) -> None:
        engine = getattr(self.p, name).engine
        await engine.voice.wish(
            self.p.home(name), engine.transfers, self.pid_of(name), Speak(step=step, **told)
        )

    async def both(self, *states: str) -> Any:
        """Until both sides are there; the consumer's record."""
        await self.p.until("provider", "transfers", self.theirs, states)
        return await self.p.until("consumer", "transfers", self.pid, states)

    def again(self) -> Reading:
        """The same with the token that the consumer has now."""
        return _reading(self.p, self.pid)


def _reading(p: Pair, pid: str) -> Reading:
    engine = p.consumer.engine
    it = p.consumer.store.of("consumer").transfers.get(pid)
    address = engine.transfers.address(p.home("consumer"), it.data_address)
    return Reading(p, pid, address.property("endpoint"), address.property("authorization"))


async def reading(p: Pair, agreement: Any) -> Reading:
    """Start a transfer of this agreement."""
    plane = await p.consumer.engine.reach.plane(p.home("consumer"), agreement, fresh=True)
    return _reading(p, plane.pid)


def problem(answer: Response) -> tuple[int, str, str]:
    """(status, code, rule) of a refusal."""
    assert answer.headers["content-type"] == "application/problem+json", answer
    told = json.loads(answer.body)
    assert told["status"] == answer.status
    return answer.status, told["code"], told.get("rule", "")


def entries(p: Pair, name: str = "provider") -> list[dict[str, Any]]:
    """All entries of a ledger, the oldest first."""
    ledger = getattr(p, name).store.of(name).ledger
    found, start = [], 0
    while page := ledger.entries(start):
        found += [json.loads(it.body) for it in page]
        start += len(page)
    return found


def acts(p: Pair) -> list[tuple[str, str]]:
    """What the provider's ledger says of acts: (type, outcome)."""
    return [
        (it["type"], it.get("outcome", ""))
        for it in entries(p)
        if it["type"] in ("act.started", "receipt")
    ]


async def eventually(look: Callable[[], Any], seconds: float = 5.0) -> Any:
    """What `look` finds, once it finds something; looks at each turn of the loop."""
    async with asyncio.timeout(seconds):
        while not (found := look()):
            await asyncio.sleep(0.001)
    return found
