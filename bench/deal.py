# SPDX-License-Identifier: Apache-2.0
"""A consumer in this process and a provider in another: from the catalogue to an open session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog

from bench import nodes
from corridor import app as apps
from corridor.policy import odrl
from corridor.world import Request

ASK = b'{"@context":["https://w3id.org/dspace/2025/1/context.jsonld"],"@type":"CatalogRequestMessage"}'
PATIENCE_S = 20.0


@dataclass(slots=True)
class Deal:
    """Both nodes, started; the consumer is driven from here."""

    provider: nodes.Node
    consumer: apps.App

    @property
    def home(self) -> Any:
        """The consumer's participant."""
        return self.consumer.engine.ground.homes["consumer"]

    @property
    def base(self) -> str:
        """Where the provider's protocol is."""
        return f"{self.provider.base}/provider/dsp/2025-1"

    @property
    def peer(self) -> str:
        """The provider's DID."""
        return str(self.provider.ready["participants"]["provider"])

    async def offers(self) -> list[dict[str, Any]]:
        """The first page of the provider's catalogue: an offer of each dataset, with its target."""
        home = self.home
        authorization = await home.identify.authorize(
            slug=home.slug, did=home.did, audience=self.peer, body=ASK
        )
        answer = await self.consumer.world.net.fetch(
            Request(
                purpose="dsp",
                method="POST",
                url=f"{self.base}/catalog/request",
                headers={"content-type": "application/json", "authorization": authorization},
                body=ASK,
            )
        )
        if answer.status != 200:
            raise RuntimeError(f"the catalogue answers {answer.status}: {answer.body[:200]!r}")
        found = msgspec.json.decode(answer.body)["dataset"]
        return [{**it["hasPolicy"][0], "target": it["@id"]} for it in found]

    async def agree(self, offer: Mapping[str, Any]) -> Any:
        """Ask for an offer; the negotiation, FINALIZED on our side."""
        policy = {key: value for key, value in offer.items() if key != "target"}
        begun = await self.consumer.engine.reception.request(
            self.home, peer=self.peer, base=self.base, asset=offer["target"], offer=policy,
            wish_sha=odrl.read(policy).terms_hash, service="files",
        )  # fmt: skip
        return await self._until("negotiations", begun.pid, "FINALIZED")

    async def open(self, agreement_id: str) -> tuple[str, str]:
        """A session under an agreement: its address and token."""
        begun = await self.consumer.engine.reception.transfer(
            self.home, agreement_id=agreement_id, peer=self.peer, base=self.base,
            format_="HttpData-PULL",
        )  # fmt: skip
        started = await self._until("transfers", begun.pid, "STARTED")
        address = self.consumer.engine.transfers.address(self.home, started.data_address)
        token = address.property("authorization")
        return str(address.property("endpoint")), str(token)

    async def _until(self, table: str, pid: str, state: str) -> Any:
        store = getattr(self.consumer.store.of("consumer"), table)

        def look() -> Any:
            record = store.get(pid)
            final = record is not None and record.state in (state, "TERMINATED")
            return record if final else None

        found = await self.consumer.engine.ground.bells.until(pid, look, PATIENCE_S)
        if found is None or found.state != state:
            raise RuntimeError(f"{table} {pid}: {store.get(pid)}")
        return found


@asynccontextmanager
async def deal(
    folder: Path, *, offers: int = 1, path: Path | None = None, how: tuple[str, ...] = (),
    limits: Mapping[str, Any] | None = None,
) -> AsyncIterator[Deal]:  # fmt: skip
    """A provider's process with so many offers, and a consumer here; identity is on."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    told = {
        name: nodes.settings(folder, name, limits=dict(limits or {}))
        for name in ("provider", "consumer")
    }
    hosts = [str(it["node.public_url"]).removeprefix("http://") for it in told.values()]
    for it in told.values():
        it["net.http_hosts"] = hosts
    await nodes.offer(nodes.config_of(told["provider"]), offers, path)
    consumer = apps.Running(nodes.config_of(told["consumer"]))
    async with nodes.node(folder, told["provider"], *how) as provider:
        await consumer.start()
        try:
            assert consumer.app is not None
            yield Deal(provider, consumer.app)
        finally:
            await consumer.stop()


async def timed(work: Callable[[], Any]) -> float:
    """Seconds that an awaitable takes."""
    began = time.monotonic()
    await work()
    return time.monotonic() - began


async def gather(width: int, count: int, work: Callable[[], Any]) -> list[float]:
    """`count` times `work`, `width` of them in flight; seconds of each."""
    slots = asyncio.Semaphore(width)

    async def one() -> float:
        async with slots:
            return await timed(work)

    return list(await asyncio.gather(*(one() for _ in range(count))))
