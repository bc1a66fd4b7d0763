# SPDX-License-Identifier: Apache-2.0
"""A foreign participant that wants harm: it behaves, and beside it attacks.

Each attack is one method, drawn by the seed. It knows what a partner can know and what an
eavesdropper could have kept: pids of others, messages and tokens of others that crossed before.
Nothing is expected of its answers but that the checkers stay silent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from corridor.errors import FetchFailed
from corridor.sim.exchange import Asked
from corridor.sim.persona import compact
from corridor.sim.sloppy import JSON, SEGMENTS, Answer, Process, SloppyPeer
from corridor.sim.trace import Event, Trace
from corridor.sim.words import CONTEXT
from corridor.world import Request

FLOOD = 300
FORGED_HOSTS = ("http://169.254.169.254/latest", "http://127.0.0.1:1/", "file:///etc/passwd", "x")

Attack = Callable[[], Coroutine[Any, Any, None]]


class HostilePeer(SloppyPeer):
    """`trace` is what it overheard."""

    trace: Trace | None = None

    def route(self, asked: Asked, parts: list[str]) -> Answer:
        """Now and then an answer that is none."""
        honest = super().route(asked, parts)
        dice = self.me.chance.random()
        if dice > 0.2:
            return honest
        return self.me.chance.choice(
            (
                (200, JSON, b"[" * 5000),
                (200, JSON, b"\x00" * 200_000),
                (200, JSON, b'{"providerPid":1,"consumerPid":[],"state":{}}'),
                (302, {"location": "http://169.254.169.254/"}, b""),
                (201, JSON, compact({"providerPid": "../../x", "consumerPid": "y", "state": "NO"})),
                (404, JSON, b"not json"),
                (409, JSON, honest[2]),
                (503, {"retry-after": "9" * 400}, b""),
            )
        )

    async def attack(self, until: float) -> None:
        """One attack after another, at moments of the seed."""
        kinds: tuple[Attack, ...] = (
            self.illegal_step,
            self.wrong_pid,
            self.foreign_pid,
            self.replay,
            self.old_body_new_token,
            self.bad_token,
            self.garbage,
            self.nested,
            self.oversized,
            self.forged_callback,
            self.taken_pid,
            self.doubled_keys,
        )
        while self.loop.time() < until:
            await asyncio.sleep(self.me.chance.expovariate(1 / 20.0))
            await self.me.chance.choice(kinds)()
        await self.flood()

    def _victim(self) -> tuple[str, str]:
        return self.me.chance.choice(sorted(self.partners.items()))

    def _mine(self) -> Process | None:
        known = [it for it in self.processes.values() if it.peer_pid]
        return self.me.chance.choice(known) if known else None

    def _overheard(self) -> Event | None:
        """A message between others."""
        events = self.trace.events if self.trace else ()
        found = [
            e
            for e in events
            if e.kind == "sent" and e.purpose == "dsp" and e.body and e.node != self.me.slug
        ]
        return self.me.chance.choice(found) if found else None

    async def _throw(
        self, did: str, url: str, body: bytes, *, token: str = "", method: str = "POST"
    ) -> None:
        await self.post(did, url, body, token=token, method=method)

    def _message(self, name: str, pids: Mapping[str, str], **fields: Any) -> bytes:
        message = {"@context": CONTEXT, "@type": name, "@id": self.me.name("msg"), **pids}
        return compact(message | fields)

    async def illegal_step(self) -> None:
        """Any message in a process of ours, whatever its state."""
        it = self._mine()
        if it is None:
            return
        name = self.me.chance.choice(sorted(SEGMENTS))
        extra: dict[str, Any] = {"eventType": self.me.chance.choice(("ACCEPTED", "FINALIZED"))}
        if "Agreement" in name:
            extra["agreement"] = self.agree(it)
        if name in {"ContractOfferMessage", "ContractRequestMessage"}:
            extra["offer"] = dict(it.offer)
        url = f"{it.base}/{it.kind}/{it.peer_pid}/{SEGMENTS[name]}"
        await self._throw(it.peer, url, self._message(name, it.pids(), **extra))

    async def wrong_pid(self) -> None:
        """Our process in the path, another in the body."""
        it = self._mine()
        if it is None:
            return
        name = "ContractNegotiationTerminationMessage"
        pids = {"consumerPid": self.me.name("no"), "providerPid": it.peer_pid}
        url = f"{it.base}/negotiations/{it.peer_pid}/termination"
        await self._throw(it.peer, url, self._message(name, pids))

    async def foreign_pid(self) -> None:
        """End, or look at, a process of two others."""
        event = self._overheard()
        if event is None:
            return
        value = json.loads(event.body)
        for did, base in sorted(self.partners.items()):
            for key in ("providerPid", "consumerPid"):
                pid = value.get(key)
                if not isinstance(pid, str):
                    continue
                pids = {k: value.get(k, "x") for k in ("providerPid", "consumerPid")}
                for kind in ("negotiations", "transfers"):
                    word = "ContractNegotiation" if kind == "negotiations" else "Transfer"
                    body = self._message(f"{word}TerminationMessage", pids)
                    await self._throw(did, f"{base}/{kind}/{pid}/termination", body)
                    await self._throw(did, f"{base}/{kind}/{pid}", b"", method="GET")

    async def replay(self) -> None:
        """Exactly what another sent, token and all."""
        event = self._overheard()
        if event is None:
            return
        for base in sorted(self.partners.values()):
            host = base.split("/", 3)[2]
            request = Request(
                purpose="dsp",
                method=event.method,
                url=f"https://{host}{event.path}",
                headers=event.headers,
                body=event.body,
            )
            await self._quietly(request)

    async def old_body_new_token(self) -> None:
        """What another sent, in our own name."""
        event = self._overheard()
        did, base = self._victim()
        if event is not None:
            host = base.split("/", 3)[2]
            await self._throw(did, f"https://{host}{event.path}", event.body)

    async def bad_token(self) -> None:
        """A request that is fine, with a token that is not."""
        did, base = self._victim()
        other = self.me.chance.choice(sorted(self.partners))
        token = self.me.chance.choice(
            (
                self.me.token(did, alg="none"),
                self.me.token(did, alg="HS256"),
                self.me.token(other if other != did else "did:web:else"),
                self.me.token(did, exp=1),
                self.me.token(did, iss=other, sub=other, kid=f"{other}#key-1"),
                self.me.token(did, kid="x"),
                self.me.token(did, jti=None),
                self.me.token(did, iss="did:web:127.0.0.1", sub="did:web:127.0.0.1"),
                "Bearer " + "a" * 20_000,
                "Bearer a.b.c",
                "Basic eDp5",
                "\x01",
            )
        )
        body = compact({"@context": CONTEXT, "@type": "CatalogRequestMessage"})
        await self._throw(did, f"{base}/catalog/request", body, token=token)

    async def garbage(self) -> None:
        """Bytes."""
        did, base = self._victim()
        body = self.me.chance.randbytes(self.me.chance.randrange(300))
        await self._throw(did, f"{base}/negotiations/request", body)

    async def nested(self) -> None:
        """An object in an object in an object."""
        did, base = self._victim()
        body = b'{"a":' * 5000 + b"1" + b"}" * 5000
        await self._throw(did, f"{base}/transfers/request", body)

    async def oversized(self) -> None:
        """More than any message may have."""
        did, base = self._victim()
        await self._throw(did, f"{base}/negotiations/request", b'{"a":"' + b"x" * (2 << 20) + b'"}')

    async def forged_callback(self) -> None:
        """A request that makes the partner call somewhere else."""
        did, base = self._victim()
        body = self._message(
            "ContractRequestMessage",
            {"consumerPid": self.me.name("pid")},
            callbackAddress=self.me.chance.choice(FORGED_HOSTS),
            offer={"@id": "x", "@type": "Offer", "target": "y", "permission": [{"action": "use"}]},
        )
        await self._throw(did, f"{base}/negotiations/request", body)

    async def taken_pid(self) -> None:
        """A creation under a consumerPid that another has taken."""
        event = self._overheard()
        did, base = self._victim()
        if event is None or b"ContractRequestMessage" not in event.body:
            return
        value = json.loads(event.body) | {"callbackAddress": self.me.base}
        await self._throw(did, f"{base}/negotiations/request", compact(value))

    async def doubled_keys(self) -> None:
        """One key twice: which one counts?"""
        did, base = self._victim()
        body = b'{"@type":"CatalogRequestMessage","@type":"ContractRequestMessage"}'
        await self._throw(did, f"{base}/negotiations/request", body)

    async def flood(self) -> None:
        """Many at once."""
        did, base = self._victim()
        body = compact({"@context": CONTEXT, "@type": "CatalogRequestMessage"})
        await asyncio.gather(
            *(self._throw(did, f"{base}/catalog/request", body) for _ in range(FLOOD))
        )

    async def _quietly(self, request: Request) -> None:
        try:
            await self.net.fetch(request)
        except FetchFailed:
            return
