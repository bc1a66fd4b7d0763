# SPDX-License-Identifier: Apache-2.0
"""One node of ours with what the kit expects to find, and the two addresses that it triggers.

    conformance/dsp/harness.py HOST:PORT       the kit's own address

The node is the product's: `corridor.app` on loopback, in a temporary folder. Three things are
added from outside, each where production has the same place for it: the seam `Decide` answers
from `rules` for the kit's ids, the store holds the kit's datasets and agreements, and the kit is
a peer of ours that needs `rules.DELAY_S` to settle. Triggers have a listener of their own.

Prints one line of JSON when all is ready (see `run.py`); ends on SIGTERM, and leaves nothing.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import rules
import structlog
import uvloop
from run import free_port

from corridor import app as apps
from corridor.config import Config, load
from corridor.engine import Engine
from corridor.engine.decide import Decide, Rest, Speak
from corridor.engine.ground import Home, micros, stamp
from corridor.errors import Exit, Invalid
from corridor.http.face import Face
from corridor.http.routes import Anyone, Call, Route, respond
from corridor.http.server import Listener, read_body
from corridor.policy import odrl
from corridor.protocol import negotiation
from corridor.protocol.machine import Role
from corridor.store.agreements import Agreement
from corridor.store.negotiations import Negotiation
from corridor.store.offers import Asset, Offer, TermsText
from corridor.store.peers import Peer, Quirks
from corridor.store.transfers import Transfer
from corridor.store.unit import Unit, Write

SLUG = "corridor"
HOST = "127.0.0.1"
TERMS = "use"
POLICY = {"permission": [{"action": "use"}]}  # all that the kit offers, asks for and agrees to
DATASET_OF_AGREEMENTS = "CAT0101"


def configure(folder: Path, kit: str) -> Config:
    """A node on loopback that takes every caller for the kit, and may call the kit by http."""
    peer, home = free_port(), free_port()
    return load(
        None,
        {},
        {
            "node.public_url": f"http://{HOST}:{peer}",
            "node.peer_listen": f"{HOST}:{peer}",
            "node.home_listen": f"{HOST}:{home}",
            "node.data_dir": str(folder),
            "node.development": True,
            "net.http_hosts": [kit],
            "services.enabled": ["files"],
            "limits.fetch_total_s": f"{rules.ANSWER_TIMEOUT_S:.0f}s",
            "participant": [
                {
                    "id": SLUG,
                    "title": {"en": "Corridor"},
                    "did": f"did:web:localhost%3A{peer}:{SLUG}",  # did:web has no IP addresses
                    "identity": "unsafe-open",
                    "unsafe_peer": rules.PEER,
                }
            ],
        },
    )


class ByKit:
    """Decides from the kit's table; what the table does not know, production decides."""

    def __init__(self, production: Decide) -> None:
        self._production = production
        self._entries = rules.Entries()

    def negotiation(self, home: Home, it: Negotiation) -> Rest | Speak:
        """The step that the dataset's test wants of us."""
        if it.asset is None or it.asset not in rules.RULES:
            return self._production.negotiation(home, it)
        step = self._step(it.asset, it)
        if step in (negotiation.Step.OFFER, negotiation.Step.REQUEST):
            return Speak(step=step, offer={**POLICY, "@id": it.offer_id})
        return Rest() if step is None else Speak(step=step)

    def transfer(self, home: Home, it: Transfer) -> Rest | Speak:
        """The step that the agreement's test wants of us."""
        if it.agreement_id not in rules.RULES:
            return self._production.transfer(home, it)
        step = self._step(it.agreement_id, it)
        return Rest() if step is None else Speak(step=step)

    def _step(self, rule: str, it: Negotiation | Transfer) -> str | None:
        # Every entry of a state comes with a message, so their number tells entries apart.
        return self._entries.step(rule, process=it.pid, state=it.state or "", mark=it.messages)


class Seed:
    """Writes what the kit expects to find."""

    def __init__(self, engine: Engine, home: Home) -> None:
        self._engine = engine
        self._home = home
        self._now = micros(engine.ground.now())
        self._store = engine.ground.store.of(home.slug)

    async def run(self, folder: Path) -> None:
        """Datasets, agreements, and the kit as a peer; each dataset is a file of its own."""
        store = self._engine.ground.store
        await store.run(Unit((self._peer(), self._terms())))
        for dataset in rules.DATASETS:
            source = folder / f"{dataset}.txt"
            source.write_text(f"what {dataset} offers\n", encoding="utf-8")
            await store.run(Unit(tuple(await self._dataset(dataset, source))))
        sending = [self._agreement(it, Role.PROVIDER) for it in rules.SENDING]
        receiving = [self._agreement(it, Role.CONSUMER) for it in rules.RECEIVING]
        await store.run(Unit((*sending, *receiving)))

    def _peer(self) -> Write:
        quirks = msgspec.json.encode(Quirks(settle_ms=round(rules.DELAY_S * 1000)))
        kit = Peer(did=rules.PEER, handle="kit", quirks=quirks, created=self._now)
        return self._store.peers.insert(kit)

    def _terms(self) -> Write:
        return self._store.terms.insert(
            TermsText(
                terms_id=TERMS,
                yaml="",
                odrl=msgspec.json.encode(POLICY),
                sha256=TERMS,
                created=self._now,
            )
        )

    async def _dataset(self, dataset: str, path: Path) -> Sequence[Write]:
        ground = self._engine.ground
        source = {"path": str(path)}
        look = await ground.services["files"].look(source)
        asset = Asset(
            asset_id=dataset,
            service="files",
            title=dataset,
            source=ground.world.keys.seal(f"source|{SLUG}", msgspec.json.encode(source)),
            detail=msgspec.json.encode(look.detail),
            created=self._now,
            changed=self._now,
        )
        offer = Offer(
            offer_id=rules.offer_id(dataset),
            asset=dataset,
            terms=TERMS,
            terms_sha=odrl.read(POLICY).terms_hash,
            formats=msgspec.json.encode([rules.FORMAT]),
            audience=b"{}",
            state="published",
            created=self._now,
            changed=self._now,
        )
        return self._store.assets.insert(asset), self._store.offers.insert(offer)

    def _agreement(self, agreement_id: str, us: Role) -> Write:
        provider, consumer = self._home.did, rules.PEER
        if us is Role.CONSUMER:
            provider, consumer = consumer, provider
        agreement = odrl.agreement(
            POLICY,
            id=agreement_id,
            target=DATASET_OF_AGREEMENTS,
            assigner=provider,
            assignee=consumer,
            timestamp=stamp(self._engine.ground.now()),
        )
        permit = self._engine.library.compile(agreement, "files")
        return self._store.agreements.insert(
            Agreement(
                agreement_id=agreement_id,
                role=us,
                peer=rules.PEER,
                provider=provider,
                consumer=consumer,
                asset=DATASET_OF_AGREEMENTS,
                service="files",
                raw=msgspec.json.encode(agreement),
                sha256=permit.agreement_hash,
                meaning=permit.agreement_hash,
                terms_sha=permit.terms_hash,
                permit_sha=permit.permit_hash,
                state="live",
                signed_at=self._now,
                created=self._now,
                changed=self._now,
            )
        )


class NegotiationWish(msgspec.Struct, rename="camel"):
    """The body of the first trigger (dsp.md 7.5)."""

    provider_id: str
    offer_id: str
    dataset_id: str
    connector_address: str


class TransferWish(msgspec.Struct, rename="camel"):
    """The body of the second."""

    provider_id: str
    agreement_id: str
    format: str
    connector_address: str


class Triggers:
    """What the kit calls to make us begin: a person at the node's own API would do the same."""

    def __init__(self, engine: Engine, home: Home) -> None:
        self._engine = engine
        self._home = home

    def face(self) -> Face:
        """The ASGI app."""
        why = Anyone("the kit's own trigger, on loopback")
        routes = [
            Route("POST", "/negotiations", self._negotiation, why),
            Route("POST", "/transfers", self._transfer, why),
        ]
        return Face(routes, lambda code, what: f"{code}: {what}".encode(), media="text/plain")

    async def _negotiation(self, call: Call) -> None:
        wish = msgspec.json.decode(await self._body(call), type=NegotiationWish)
        await self._engine.reception.request(
            self._home,
            peer=wish.provider_id,
            base=wish.connector_address,
            asset=wish.dataset_id,
            offer={**POLICY, "@id": wish.offer_id},
            wish_sha=odrl.read(POLICY).terms_hash,
            service="files",
        )
        await respond(call.send, 202, b"")

    async def _transfer(self, call: Call) -> None:
        wish = msgspec.json.decode(await self._body(call), type=TransferWish)
        await self._engine.reception.transfer(
            self._home,
            agreement_id=wish.agreement_id,
            peer=wish.provider_id,
            base=wish.connector_address,
            format_=wish.format,
        )
        await respond(call.send, 202, b"")

    async def _body(self, call: Call) -> bytes:
        limits = self._engine.ground.limits
        return await read_body(call.receive, limits.message_bytes_max, limits.body_read_s)


def ready_line(home: Home, triggers: int) -> bytes:
    """Where the kit finds all of it."""
    told: dict[str, Any] = {
        "root": home.base_url,
        "base": home.dsp_url,
        "agent": home.did,
        "negotiation": f"http://{HOST}:{triggers}/negotiations",
        "transfer": f"http://{HOST}:{triggers}/transfers",
    }
    return msgspec.json.encode(told) + b"\n"


async def serve(config: Config, assets: Path) -> None:
    """Run the node until a signal; the data that it offers lies in `assets`."""
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    node = apps.Running(config, seam=ByKit)
    listener: Listener | None = None
    try:
        await node.start()
        assert node.app is not None
        engine = node.app.engine
        home = engine.ground.homes[SLUG]
        await Seed(engine, home).run(assets)
        listener = Listener(limits=config.limits, clock=node.app.world.clock)
        await listener.start(Triggers(engine, home).face(), HOST, 0)
        sys.stdout.buffer.write(ready_line(home, listener.port))
        sys.stdout.buffer.flush()
        await stopping.wait()
    finally:
        if listener is not None:
            await listener.stop(0.0)
        await node.stop()


def main(arguments: Sequence[str]) -> int:
    """Begin and end; everything it wrote goes with its folder."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    with tempfile.TemporaryDirectory(prefix="corridor-dsp-") as folder:
        assets = Path(folder) / "node" / "assets"
        assets.mkdir(mode=0o700, parents=True)
        try:
            uvloop.run(serve(configure(assets.parent, arguments[0]), assets))
        except Invalid as error:
            print(error.what, *error.problems, sep="\n", file=sys.stderr)
            return int(Exit.CONFIGURATION)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
