# SPDX-License-Identifier: Apache-2.0
"""Is the node alive, is it ready, and what does it count (node.md a and g).

`/healthz` answers while the loop turns. `/readyz` is 200 only where a request could be served and
written down: the store takes a unit, keys sign, the disk has room, the clock is not behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from corridor.engine import Engine
from corridor.engine.ground import micros, stamp
from corridor.errors import CorridorError, NotFound
from corridor.http.routes import Anyone, Call, Route, respond
from corridor.store.unit import Unit

FRESH_S = 5.0
CLOCK_BACK_S = 1.0
SESSIONS = ("opening", "open", "suspended", "closing")
METRICS = "text/plain; version=0.0.4; charset=utf-8"
WHY = Anyone("node.md g: whoever may reach the home face")


class Meters:
    """Counts since the start; labels are bounded: surfaces, operations, statuses."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()

    def count(self, surface: str, route: str, status: int) -> None:
        """A request was answered."""
        self.requests[surface, route, status] += 1


@dataclass(frozen=True, slots=True)
class Seen:
    """One condition of being ready."""

    name: str
    good: bool
    value: str


@dataclass(frozen=True, slots=True)
class Looked:
    """All of them."""

    checks: tuple[Seen, ...]

    @property
    def ready(self) -> bool:
        """Whether every condition holds."""
        return all(it.good for it in self.checks)


class Health:
    """What watches over the node asks."""

    def __init__(
        self, engine: Engine, meters: Meters, *, phase: Callable[[], str] = lambda: ""
    ) -> None:
        """`phase`: why it does not serve (starting, stopping); empty while it does."""
        self._engine = engine
        self._ground = engine.ground
        self._meters = meters
        self._phase = phase

    def routes(self) -> list[Route]:
        """Open to whoever reaches the home face."""
        return [
            Route("GET", "/healthz", self._alive, WHY),
            Route("GET", "/readyz", self._ready, WHY),
            Route("GET", "/metrics", self._metrics, WHY),
        ]

    async def look(self) -> Looked:
        """Every condition, now."""
        return Looked(
            (
                await self._store(),
                self._keys(),
                self._disk(),
                self._clock(),
                Seen("serving", not self._phase(), self._phase()),
            )
        )

    async def _store(self) -> Seen:
        """The last commit is fresh, or a unit of our own goes through."""
        store, clock = self._ground.store, self._ground.world.clock
        if clock.monotonic() - store.last_commit <= FRESH_S:
            return Seen("store", good=True, value="")
        probe = store.node.meta.put("probe", stamp(self._ground.now()))
        try:
            await store.run(Unit((probe,)))
        except CorridorError as error:
            return Seen("store", good=False, value=error.what)
        return Seen("store", good=True, value="")

    def _keys(self) -> Seen:
        for slug in self._ground.homes:
            try:
                self._ground.world.keys.public(self._engine.keyring.active(slug, "dsp"))
            except (CorridorError, KeyError) as error:
                return Seen("keys", good=False, value=f"{slug}: {error}")
        return Seen("keys", good=True, value="")

    def _disk(self) -> Seen:
        free, least = self._ground.world.disk.free(), self._ground.limits.disk_free_ready_bytes
        return Seen("disk", good=free > least, value=f"{free} bytes free, {least} needed")

    def _clock(self) -> Seen:
        now = micros(self._ground.now())
        heads = self._ground.store.node.ledgers.all()
        behind = max(((head.last_time - now) / 1e6 for head in heads), default=0.0)
        return Seen("clock", good=behind <= CLOCK_BACK_S, value=f"{max(behind, 0.0):.1f} s behind")

    async def _alive(self, call: Call) -> None:
        await respond(call.send, 200, b"ok\n", media="text/plain")

    async def _ready(self, call: Call) -> None:
        looked = await self.look()
        told: dict[str, object] = {"ready": looked.ready}
        if "verbose" in call.query:
            told["checks"] = [
                {"name": it.name, "ok": it.good, "value": it.value} for it in looked.checks
            ]
            told["broken"] = list(self._engine.broken)
            told["lacks"] = list(getattr(self._ground.world.rooms, "degraded", ()))
        status = 200 if looked.ready else 503
        headers = {"cache-control": "no-store"}
        await respond(call.send, status, msgspec.json.encode(told), headers=headers)

    async def _metrics(self, call: Call) -> None:
        text = "\n".join([*await self._lines(), ""])
        await respond(call.send, 200, text.encode(), media=METRICS)

    async def _lines(self) -> list[str]:
        store = self._ground.store
        ready = (await self.look()).ready
        counts = store.node.outbox.counts()
        lines = [
            *_meter("ready", "gauge", [("", int(ready))]),
            *_meter(
                "outbox_rows",
                "gauge",
                [(f'{{state="{state}"}}', counts.get(state, 0)) for state in ("queued", "dead")],
            ),
            *_meter("outbox_age_seconds", "gauge", [("", self._engine.deliver.oldest_s())]),
            *_meter("ledger_unsequenced", "gauge", [("", store.node.ledgers.unplaced())]),
        ]
        leaves, sessions = self._totals()
        lines += _meter("ledger_leaves_total", "counter", [("", leaves)])
        lines += _meter(
            "sessions",
            "gauge",
            [
                (f'{{service="{service}",state="{state}"}}', count)
                for (service, state), count in sorted(sessions.items())
            ],
        )
        requests = sorted(self._meters.requests.items())
        lines += _meter(
            "http_requests_total",
            "counter",
            [
                (f'{{surface="{surface}",route="{route}",status="{status}"}}', count)
                for (surface, route, status), count in requests
            ],
        )
        return lines

    def _totals(self) -> tuple[int, Counter[tuple[str, str]]]:
        leaves, sessions = 0, Counter[tuple[str, str]]()
        for slug in self._ground.homes:
            store = self._ground.store.of(slug)
            for session in store.sessions.in_states(SESSIONS):
                sessions[session.service, session.state] += 1
            try:
                leaves += store.ledger.size_root()[0]
            except NotFound:
                continue
        return leaves, sessions


def _meter(name: str, kind: str, values: list[tuple[str, float]]) -> list[str]:
    """A metric in the text format that collectors read."""
    whole = f"corridor_{name}"
    lines = [f"{whole}{labels} {value:g}" for labels, value in values]
    return [f"# TYPE {whole} {kind}", *lines] if lines else []
