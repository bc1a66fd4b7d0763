# SPDX-License-Identifier: Apache-2.0
"""The network of a run: routes a request by its host to a node's ASGI app or to a foreign peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any
from urllib.parse import unquote, urlsplit

from corridor.sim.exchange import AHEAD_BYTES, Asgi, Asked, Exchange, Message, Place
from corridor.sim.fate import Fate, Fates
from corridor.sim.loop import Crashed, SimLoop
from corridor.sim.trace import Trace
from corridor.sim.world import draw


class Network:
    """All places, and what becomes of messages between them."""

    def __init__(self, loop: SimLoop, fates: Fates, trace: Trace) -> None:
        self.loop = loop
        self.fates = fates
        self.trace = trace
        self.places: dict[str, Place] = {}
        self.broken: list[str] = []
        self._count = 0
        self._sent_by: dict[str, list[Exchange]] = {}

    def place_of(self, url: str) -> Place | None:
        """Who answers there."""
        return self.places.get(urlsplit(url).netloc)

    def send(self, sender: str, purpose: str, asked: Asked) -> Exchange:
        """Let a request leave now."""
        self._count += 1
        place = self.place_of(asked.url)
        target = place.name if place else ""
        fate = self.fates.of(self._count, self.loop.time())
        exchange = Exchange(self.loop, self._count, asked, fate)
        mine = self._sent_by.setdefault(sender, [])
        mine[:] = [one for one in mine if not (one.ended or one.failed or one.gone)]
        mine.append(exchange)
        self.trace.add(
            "sent",
            node=sender,
            other=target,
            exchange=exchange.number,
            purpose=purpose,
            method=asked.method,
            path=asked.path,
            body=asked.body,
            headers=dict(asked.headers),
        )
        if fate.kind != "deliver":
            self.trace.add("fault", exchange=exchange.number, note=fate.kind)
        if place is None or self.fates.parted(sender, target, self.loop.time()):
            self._later(0.01, exchange.fail, "unreachable")
        elif fate.kind in {"lose-request", "hang"}:
            if fate.kind == "lose-request" and not fate.slow:
                self._later(fate.there_s, exchange.fail, "unreachable")
        elif fate.kind == "answer":
            exchange.status = fate.status
            exchange.ended = True
            self._later(fate.there_s, exchange.show)
        else:
            self._later(fate.there_s, self._arrive, place, exchange)
            for delay in fate.copies:
                ghost = Exchange(self.loop, exchange.number, asked, Fate())
                ghost.gone = True
                self._later(fate.there_s + delay, self._arrive, place, ghost)
        return exchange

    def pace_s(self, exchange: Exchange) -> float:
        """How long the way takes for each block of a stream: some are slow all the way."""
        chance = draw(self.fates.seed, "pace", exchange.number)
        return chance.choice((0.0, 0.01, 0.5, chance.uniform(0.5, 5.0)))

    def hang_up(self, sender: str) -> None:
        """The sender died: whoever still answers it finds the connection closed."""
        for exchange in self._sent_by.pop(sender, ()):
            exchange.gone = True
            exchange.ring()

    def _later(self, seconds: float, callback: Callable[..., object], *args: Any) -> None:
        # An empty context: the network belongs to no node, and dies with none.
        self.loop.call_later(seconds, callback, *args, context=Context())

    def _arrive(self, place: Place, exchange: Exchange) -> None:
        asked = exchange.asked
        live = place.app is not None and place.life is not None and not place.life.frozen
        self.trace.add(
            "heard" if live or place.peer else "lost",
            node=place.name,
            other=asked.source,
            exchange=exchange.number,
            method=asked.method,
            path=asked.path,
            body=asked.body,
            wall=place.wall(),
        )
        if place.peer is not None:
            self.loop.create_task(self._visit(place, exchange), context=Context())
        elif place.life is not None and place.app is not None and live:
            place.open.append(exchange)
            place.life.spawn(self.run(place, place.app, exchange))
        else:
            exchange.fail("unreachable")

    async def _visit(self, place: Place, exchange: Exchange) -> None:
        if place.peer is not None:
            status, headers, body = await place.peer.serve(exchange.asked)
            self.head(exchange, status, headers)
            exchange.put(body)
            self.answered(place, exchange, body)

    def head(self, exchange: Exchange, status: int, headers: Mapping[str, str]) -> None:
        """Status and headers leave the target; the sender sees them a little later, or never."""
        exchange.status = status
        exchange.headers = dict(headers)
        if exchange.fate.kind == "lose-answer":
            if not exchange.fate.slow:
                self._later(exchange.fate.back_s, exchange.fail, "unreachable")
            return
        self._later(exchange.fate.back_s, exchange.show)

    def answered(self, place: Place, exchange: Exchange, body: bytes) -> None:
        """The whole answer has left the target."""
        exchange.end()
        self.trace.add(
            "answered",
            node=place.name,
            other=exchange.asked.source,
            exchange=exchange.number,
            method=exchange.asked.method,
            path=exchange.asked.path,
            status=exchange.status,
            body=body,
            wall=place.wall(),
        )

    async def run(self, place: Place, app: Asgi, exchange: Exchange) -> None:
        """One request in the node's own context; dies with it, and is never told so."""
        serving = _Serving(self, place, exchange)
        asked = exchange.asked
        try:
            await app(_scope(exchange), serving.receive, serving.send)
        except (Crashed, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - a server answers whatever the app throws
            self.broken.append(f"{place.name} {asked.method} {asked.path}: {error!r}")
            self.trace.add("broken", node=place.name, note=repr(error), path=asked.path)
        if exchange in place.open:
            place.open.remove(exchange)
        if not exchange.ended:
            exchange.fail("unreachable")

    def block(self, place: Place, exchange: Exchange, block: bytes) -> None:
        """A block leaves the target; those of sessions are written down."""
        exchange.put(block)
        if block and "/data/" in exchange.asked.path:
            self.trace.add(
                "block",
                node=place.name,
                other=exchange.asked.source,
                exchange=exchange.number,
                path=exchange.asked.path,
                status=exchange.status,
                wall=place.wall(),
                note=str(len(block)),
            )


class _Serving:
    """The two callables of one ASGI call."""

    def __init__(self, network: Network, place: Place, exchange: Exchange) -> None:
        self._network = network
        self._place = place
        self._exchange = exchange
        self._given = False
        self._whole = bytearray()

    async def receive(self) -> Message:
        """The body, then the end of the connection."""
        if not self._given:
            self._given = True
            return {"type": "http.request", "body": self._exchange.asked.body, "more_body": False}
        await self._exchange.leave()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Head or block; waits while the reader is too far behind."""
        if message["type"] == "http.response.start":
            headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in message.get("headers", ())
            }
            self._network.head(self._exchange, message["status"], headers)
        elif message["type"] == "http.response.body":
            block = bytes(message.get("body", b""))
            self._network.block(self._place, self._exchange, block)
            if len(self._whole) < AHEAD_BYTES:
                self._whole.extend(block)
            if not message.get("more_body", False):
                self._network.answered(self._place, self._exchange, bytes(self._whole))
            else:
                await self._exchange.room()


def _scope(exchange: Exchange) -> Message:
    asked = exchange.asked
    parts = urlsplit(asked.url)
    headers = {"host": parts.netloc, "content-length": str(len(asked.body))}
    headers |= {name.lower(): value for name, value in asked.headers.items()}

    def abort() -> None:
        exchange.fail("unreachable")

    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode("ascii", "replace"),
        "query_string": parts.query.encode("ascii", "replace"),
        "root_path": "",
        "headers": [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in headers.items()
        ],
        # An address for each sender, from a network that is for documentation only.
        "client": (f"192.0.2.{sum(asked.source.encode()) % 256}", 1),
        "server": (parts.hostname or "", parts.port or 80),
        "extensions": {"corridor.abort": abort},
        "state": {},
    }
