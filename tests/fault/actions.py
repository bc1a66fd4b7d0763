# SPDX-License-Identifier: Apache-2.0
"""What a test asks of a node in another process: publish, ask, download, and tell how it stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from corridor.app import App
from corridor.engine.ground import Home, micros
from corridor.evidence import tree
from corridor.policy import odrl
from corridor.store.offers import Asset, Offer, TermsText
from corridor.store.unit import Unit

FINAL = ("FINALIZED", "TERMINATED")


def only_home(app: App) -> Home:
    return next(iter(app.engine.ground.homes.values()))


async def offer(
    app: App, *, policy: Mapping[str, Any], path: str, asset: str = "file"
) -> dict[str, Any]:
    """Publish a file under a policy; the offer as it is shown."""
    home, world = only_home(app), app.world
    store, now = app.store.of(home.slug), micros(world.clock.now())
    offer_id, terms_id = f"urn:uuid:{world.chance.uuid7()}", world.chance.uuid7()
    writes = [
        store.terms.insert(
            TermsText(
                participant=home.slug,
                terms_id=terms_id,
                yaml="",
                odrl=msgspec.json.encode(policy),
                sha256=terms_id,
                created=now,
            )
        ),
        store.offers.insert(
            Offer(
                participant=home.slug,
                offer_id=offer_id,
                asset=asset,
                terms=terms_id,
                terms_sha="",
                audience=b"{}",
                state="published",
                created=now,
                changed=now,
            )
        ),
    ]
    if store.assets.get(asset) is None:
        source = {"path": path}
        look = await app.engine.ground.services["files"].look(source)
        record = Asset(
            participant=home.slug,
            asset_id=asset,
            service="files",
            title=asset,
            source=world.keys.seal(f"source|{home.slug}", msgspec.json.encode(source)),
            detail=msgspec.json.encode(look.detail),
            created=now,
            changed=now,
        )
        writes.insert(0, store.assets.insert(record))
    await app.store.run(Unit(tuple(writes)))
    return {**policy, "@id": offer_id, "@type": "Offer", "target": asset}


def _negotiations(app: App, offer_id: str) -> list[Any]:
    store, found, after = app.store.of(only_home(app).slug), [], 0
    while page := store.negotiations.page(after=after):
        found += [it for it in page if it.offer_id == offer_id]
        after = page[-1].pk
    return found


async def request(
    app: App, *, offer: Mapping[str, Any], peer: str, base: str, wait_s: float = 8.0
) -> dict[str, Any]:
    """Ask for an offer, or take up what was asked for; where it stands after the wait."""
    home = only_home(app)
    known = [it for it in _negotiations(app, offer["@id"]) if it.state != "TERMINATED"]
    if known:
        pid = known[0].pid
    else:
        policy = {key: value for key, value in offer.items() if key != "target"}
        begun = await app.engine.reception.request(
            home,
            peer=peer,
            base=base,
            asset=offer["target"],
            offer=policy,
            wish_sha=odrl.read(policy).terms_hash,
            service="files",
        )
        pid = begun.pid
    store = app.store.of(home.slug)

    def look() -> Any:
        record = store.negotiations.get(pid)
        return record if record is not None and record.state in FINAL else None

    if wait_s:
        await app.engine.ground.bells.until(pid, look, wait_s)
    record = store.negotiations.get(pid)
    return {"pid": pid, "state": record.state, "reason": record.reason}


async def download(app: App, *, offer_id: str, into: str) -> dict[str, Any]:
    """The agreed file, from where the part that is there ends."""
    home, target, agreement = only_home(app), Path(into), _agreed(app, offer_id)
    have = target.stat().st_size if target.exists() else 0
    headers = {"range": f"bytes={have}-"} if have else {}
    asked = app.engine.reach.request(home, agreement, method="GET", path="/", headers=headers)
    async with asked as answer:
        if answer.status == 416:
            return {"status": 416, "bytes": have}
        assert answer.status == (206 if have else 200), answer.status
        with target.open("ab") as file:
            async for block in answer.blocks():
                file.write(block)
                file.flush()
    return {"status": answer.status, "bytes": target.stat().st_size}


async def plane(app: App, *, offer_id: str) -> dict[str, Any]:
    """Where the agreed file is served, and with which token."""
    found = await app.engine.reach.plane(only_home(app), _agreed(app, offer_id))
    return {"endpoint": found.endpoint, "authorization": found.authorization}


def _agreed(app: App, offer_id: str) -> Any:
    pids = {it.pid for it in _negotiations(app, offer_id)}
    return next(it for it in _agreements(app) if it.negotiation in pids)


def _agreements(app: App) -> list[Any]:
    store, found, after = app.store.of(only_home(app).slug), [], 0
    while page := store.agreements.page(after=after):
        found += page
        after = page[-1].pk
    return found


async def state(app: App, *, offer_id: str) -> dict[str, Any]:
    """Everything of one conversation, and what the node still has to do."""
    store = app.store.of(only_home(app).slug)
    talks = _negotiations(app, offer_id)
    pids = {it.pid for it in talks}
    agreements = [it for it in _agreements(app) if it.negotiation in pids]
    transfers = [it for a in agreements for it in store.transfers.of_agreement(a.agreement_id)]
    sessions = [store.sessions.by_transfer(it.pid) for it in transfers]
    return {
        "negotiations": [
            {"pid": it.pid, "peer": it.peer_pid, "state": it.state, "pending": it.pending}
            for it in talks
        ],
        "agreements": [
            {"id": it.agreement_id, "state": it.state, "meaning": it.meaning, "sha": it.sha256}
            for it in agreements
        ],
        "transfers": [
            {"pid": it.pid, "peer": it.peer_pid, "state": it.state, "pending": it.pending}
            for it in transfers
        ],
        "sessions": [it.state for it in sessions if it is not None],
        "outbox": len(app.store.node.outbox.pending()),
        "acts": len(store.acts.open()),
        "unplaced": app.store.node.ledgers.unplaced(),
    }


async def ledger(app: App, *, since: int = 0, old: int = 0) -> dict[str, Any]:
    """Check all of it; the entries from `since` on; a checkpoint, and its proof from `old` on."""
    home = only_home(app)
    store = app.store.of(home.slug)
    async for _ in store.ledger.verify():
        pass
    signed = await app.engine.notary.checkpoint(home)
    assert signed is not None
    head = store.ledger.head()
    assert head is not None
    entries: list[dict[str, Any]] = []
    while page := store.ledger.entries(since + len(entries)):
        entries += [_entry(app, home, it) for it in page]
    grown = tree.consistency(store.ledger.tile, old, signed.size) if 0 < old < signed.size else []
    return {
        "entries": entries,
        "note": bytes(signed.note).decode(),
        "vkeys": app.engine.keyring._vkeys(home, head.origin),
        "origin": head.origin,
        "proof": [it.hex() for it in grown],
    }


def _entry(app: App, home: Home, it: Any) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(it.body)
    slot = told.get("payloads", {}).get("body")
    if slot is not None:
        payload = app.store.of(home.slug).ledger.payload(slot["digest"])
        assert payload is not None
        assert payload.sealed is not None
        _, plain = app.engine.clerk.open(home, payload.digest, payload.sealed)
        told["body_sha"] = sha256(plain).hexdigest()
    return told


ACTIONS: dict[str, Callable[..., Awaitable[Any]]] = {
    "offer": offer,
    "request": request,
    "download": download,
    "plane": plane,
    "state": state,
    "ledger": ledger,
}
