# SPDX-License-Identifier: Apache-2.0
"""How a run gets its nodes: Corridor as `app.build` puts it together, in the simulated world.

Each node offers one small table, `numbers-<node>`, under the same terms. What a room would find and
read in it stands in a table of answers; all else is the product's own code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from corridor import app as apps
from corridor.config import load
from corridor.engine.ground import micros
from corridor.policy import odrl, terms
from corridor.services.tables import Tables
from corridor.sim.staff import Staff
from corridor.sim.town import Node, Raised
from corridor.sim.world import Work
from corridor.store.offers import Asset, Offer, TermsText
from corridor.store.unit import Unit
from corridor.world import World

DATABASE = "corridor.db"
FORMAT = "CorridorTables-PULL"
TERMS = b"""\
title: {en: Numbers}
asset: numbers
allow:
  - action: read
    columns: {a: dimension, b: dimension}
    quota: {requests: {day: 20}, rows: {day: 300}}
"""
KEY_USES = ("dsp", "session", "log")  # no ML-DSA: signing with it draws chance
ROWS_A_FRAME = 5


def _look(_: Mapping[str, Any]) -> Work:
    """Two columns, a hundred rows."""
    told = {"names": ["a", "b"], "types": ["BIGINT", "VARCHAR"], "rows": 100, "table": ""}
    return Work(frames=(msgspec.json.encode(told),))


def _read(args: Mapping[str, Any]) -> Work:
    """A small answer, known in full; or, for whoever asks for many rows, one that is streamed."""
    many = (args.get("limit") or 0) > 10
    block = ROWS_A_FRAME.to_bytes(4) + bytes(150_000 if many else 10_000)
    return Work(frames=(block,) * (16 if many else 1))


ROOMS = {
    "corridor.services.tables.work:look": _look,
    "corridor.services.tables.work:read": _read,
}


def read_terms(asset: str) -> terms.Terms:
    """The terms of every offer in a run."""
    return terms.read(
        TERMS.replace(b"numbers", asset.encode()),
        source="terms",
        shape=terms.Shape(asset=asset, service="tables", columns=("a", "b")),
        now=None,
        floors={},
        purposes={},
        enforced={"tables": Tables.operands},
    )


class Joint:
    """Builds Corridor nodes; a `Raise` of `town`."""

    database = DATABASE
    format = FORMAT

    def __init__(self) -> None:
        self.policy: Mapping[str, Any] = odrl.write(read_terms("numbers").policy, id="offer")

    def __call__(self, node: Node, world: World) -> Raised:
        """Put together; nothing is started."""
        if node.rooms is not None:
            node.rooms.table = ROOMS
        settings = {
            "node.public_url": f"https://{node.host}",
            "node.data_dir": str(node.folder),
            "services.enabled": ["tables"],
            "participant": [{"id": node.slug, "title": {"en": node.name}, "country": "RS"}],
        }
        app = apps.build(load(None, {}, settings), world, threads=False, key_uses=KEY_USES)
        home = app.engine.ground.homes[node.slug]
        return Raised(app=_Offering(app, node, world), person=Staff(app.engine, home))


class _Offering:
    """A node that publishes its offer at its first start, as its steward would."""

    def __init__(self, app: apps.App, node: Node, world: World) -> None:
        self._app = app
        self._node = node
        self._world = world
        self.asgi_peer = app.asgi_peer

    async def start(self) -> None:
        """Recover and act; then see that the offer stands."""
        await self._app.start()
        store = self._app.store.of(self._node.slug)
        if store.offers.get(f"offer-{self._node.name}") is None:
            await self._app.store.run(self._offer())

    async def stop(self) -> None:
        """In order."""
        await self._app.stop()

    def _offer(self) -> Unit:
        name, slug = self._node.name, self._node.slug
        asset = f"numbers-{name}"
        path = self._node.folder / "assets" / "numbers.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a,b\n1,x\n")
        source = msgspec.json.encode({"path": str(path)})
        policy = read_terms(asset).policy
        rules = odrl.write(policy, id="")
        store, now = self._app.store.of(slug), micros(self._world.clock.now())
        return Unit(
            (
                store.assets.insert(
                    Asset(
                        participant=slug,
                        asset_id=asset,
                        service="tables",
                        title='{"en":"Numbers"}',
                        source=self._world.keys.seal(f"source|{slug}", source),
                        created=now,
                        changed=now,
                    )
                ),
                store.terms.insert(
                    TermsText(
                        participant=slug,
                        terms_id=f"terms-{name}",
                        yaml=TERMS.decode(),
                        odrl=msgspec.json.encode(
                            {k: v for k, v in rules.items() if not k.startswith("@")},
                            order="sorted",
                        ),
                        sha256=hashlib.sha256(TERMS).hexdigest(),
                        created=now,
                    )
                ),
                store.offers.insert(
                    Offer(
                        participant=slug,
                        offer_id=f"offer-{name}",
                        asset=asset,
                        terms=f"terms-{name}",
                        terms_sha=policy.terms_hash,
                        formats=msgspec.json.encode([FORMAT]),
                        state="published",
                        created=now,
                        changed=now,
                    )
                ),
            )
        )
