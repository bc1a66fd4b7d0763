# SPDX-License-Identifier: Apache-2.0
"""A validated, durable POST: ContractRequestMessage → 201, by wrk on 32 connections.

Against the same node whose units are not written, and against a raw ASGI app that reads the same
bodies and answers as many bytes. Nobody speaks on entering the state (the seam rests), so that
nothing but the POST is measured. Each request begins a negotiation of its own, 50 of each peer:
within the limits, of which none is raised. With identity: each request has its own self-issued
token bound to its body, minted beforehand; the callers' documents are known.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

import msgspec

from bench import load, nodes
from bench.rows import Row
from corridor.identity import did
from corridor.identity.token import join, unsigned
from corridor.outside.chance import SystemChance
from corridor.outside.clock import RealClock
from corridor.outside.keys import FileKeys
from corridor.wire.codec import encode
from corridor.wire.negotiation import ContractRequestMessage

ROUNDS, SECONDS = 3, 2
OF_A_PEER = 50
ANSWER_BYTES = 230
MOST = {"raw": 1000, "no-write": 16_000, "durable": 12_000, "identity": 8_000}


class Callers:
    """Strangers who ask for the same offer, each a few times."""

    def __init__(self, folder: Path, provider: str, offer_id: str) -> None:
        self._folder = folder
        self._provider = provider
        self._offer = {**nodes.TERMS, "@id": offer_id, "@type": "Offer", "target": "asset-0"}
        self._keys, self._chance, self._clock = FileKeys(bytes(32)), SystemChance(), RealClock()
        self._public, sealed = self._keys.create("ES256", "caller")
        self._keys.load("caller", "ES256", "caller", sealed)
        self._number = 0

    def strangers(self, count: int) -> str:
        """A file of the documents of so many callers; all hold one key."""
        known = {}
        for number in range(count):
            mine = self._did(number)
            jwk = did.write_jwk(self._public, kid="key")
            known[mine] = did.document(mine, [(f"{mine}#key", jwk)], [])
        path = self._folder / "strangers.json"
        path.write_text(json.dumps(known))
        return str(path)

    def _did(self, number: int) -> str:
        return f"did:web:localhost%3A9:caller-{number}"

    def requests(self, base: str, count: int, *, identity: bool = False) -> bytes:
        """So many requests; each is new, in this call and all others."""
        url = f"{base}/provider/dsp/2025-1/negotiations/request"
        made = []
        for _ in range(count):
            self._number += 1
            caller = self._did(self._number // OF_A_PEER)
            body = encode(
                ContractRequestMessage(
                    id_=f"urn:uuid:{self._chance.uuid7()}",
                    consumer_pid=f"urn:uuid:{self._chance.uuid7()}",
                    callback_address="http://localhost:9/dsp",
                    offer=self._offer,
                )
            )
            headers = {"Content-Type": "application/json", "Authorization": caller}
            if identity:
                headers["Authorization"] = self._token(caller, body)
            made.append(load.block("POST", url, headers, body))
        return b"".join(made)

    def _token(self, caller: str, body: bytes) -> str:
        signing = unsigned(
            did=caller, kid=f"{caller}#key", audience=self._provider, now=self._clock.now(),
            life_s=300.0, jti=self._chance.uuid7(), body=body, token=self._chance.bytes(16).hex(),
        )  # fmt: skip
        return "Bearer " + join(signing, self._keys.sign("caller", signing))


async def rows(folder: Path) -> AsyncIterator[Row]:
    """Four servers, each driven alone, in turns."""
    if not load.there():
        yield Row(name="durable POST", unit="", runs=(), skipped=load.WITHOUT)
        return
    per_s: dict[str, list[load.Load]] = {name: [] for name in MOST}
    for round_ in range(ROUNDS):
        for name in MOST:
            place = folder / f"{name}-{round_}"
            place.mkdir()
            per_s[name].append(await _one(place, name))
    faulty = sum(it.refused + it.broken for of in per_s.values() for it in of)
    facts = {name: [msgspec.to_builtins(it) for it in of] for name, of in per_s.items()}
    speed = {name: [it.per_s for it in of] for name, of in per_s.items()}
    told = f"{faulty} refused or broken" if faulty else ""
    for name, title in (("durable", "identity off"), ("identity", "identity on")):
        for other, budget in (("no-write", 0.5), ("raw", 0.35)):
            if name == "identity" and other == "no-write":
                continue
            against = "the same without a write" if other == "no-write" else "a raw ASGI app"
            yield Row(
                name=f"durable POST ÷ {against}, {title}",
                unit="",
                runs=[a / b for a, b in zip(speed[name], speed[other], strict=True)],
                budget=budget if name == "durable" else None,
                sense=">=" if name == "durable" else "",
                told=told,
                facts=facts,
            )
    for name in MOST:
        title = {
            "raw": "raw ASGI app",
            "no-write": "POST, not written",
            "durable": "durable POST, identity off",
            "identity": "durable POST, identity on",
        }
        cpu = median(it.cpu_us for it in per_s[name])
        told = f"{cpu:.0f} µs of processor time a request"
        yield Row(name=title[name], unit="/s", runs=speed[name], told=told)


async def _one(folder: Path, name: str, *more: str) -> load.Load:
    async with AsyncExitStack() as held:
        told = nodes.settings(folder, "provider", **{"net.http_hosts": ["localhost:9"]})
        config = nodes.config_of(told)
        offers = await nodes.offer(config, 1)
        callers = Callers(folder, config.participants[0].did, offers[0])
        identity = name == "identity"
        if name == "raw":
            one = await held.enter_async_context(nodes.spawn("bench.raw", str(ANSWER_BYTES)))
        else:
            strangers = f"strangers={callers.strangers(MOST[name] // OF_A_PEER + 4)}"
            how = ["still", strangers, "no-write" if name == "no-write" else ""]
            how.append("" if identity else "open-many")
            one = await held.enter_async_context(
                nodes.node(folder, told, *nodes.words(*how, *more))
            )
        await load.drive(folder, one, callers.requests(one.base, 100, identity=identity), 1)
        blocks = callers.requests(one.base, MOST[name], identity=identity)
        found = await load.drive(folder, one, blocks, SECONDS, again=name == "raw")
        if name != "raw" and found.requests >= MOST[name]:
            raise RuntimeError(f"{name}: more requests are needed than {MOST[name]}")
        return found
