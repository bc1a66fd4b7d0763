# SPDX-License-Identifier: Apache-2.0
"""A participant's keys: made once, published, rotated without a pause (node.md e; evidence.md 2.1).

A rotation publishes the next key first; it signs once every peer that caches our document must
have seen it; the old one stays published until all it signed has run out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from corridor.engine.clerk import Clerk
from corridor.engine.ground import Ground, Home, micros
from corridor.errors import NotFound
from corridor.evidence import keys as statements
from corridor.evidence import note
from corridor.identity import did
from corridor.store.keys import SigningKey
from corridor.store.ledger import LedgerHead
from corridor.store.unit import Leaf, Unit, Write

ALGORITHMS: Mapping[str, str] = {
    "dsp": "ES256",
    "session": "HMAC",
    "log": "Ed25519",
    "log2": "ML-DSA-44",
}
PUBLISHED = ("next", "active", "old")


class Keyring:
    """The keys of all participants. `uses` leaves out what a world cannot sign with."""

    def __init__(
        self,
        ground: Ground,
        clerk: Clerk,
        *,
        uses: tuple[str, ...] = tuple(ALGORITHMS),
        published: Callable[[str, bytes], None],
    ) -> None:
        self._ground = ground
        self._clerk = clerk
        self._uses = uses
        self._published = published
        self._active: dict[tuple[str, str], str] = {}

    async def start(self, *, make: bool = True) -> None:
        """Load every participant's keys; make what is missing, with its ledger's first entry.

        Raises NotFound where keys are missing and must not be made (the folder was not set up).
        """
        for home in self._ground.homes.values():
            await self._start(home, make=make)

    async def _start(self, home: Home, *, make: bool) -> None:
        store = self._ground.store.of(home.slug)
        have = {key.use for key in store.keys.list() if key.state in ("active", "next")}
        missing = [use for use in self._uses if use not in have]
        if missing and not make:
            raise NotFound(f"{home.slug} has no {missing[0]} key", mend="corridor init")
        writes = [self._make(home, use, "active") for use in missing]
        if writes:
            await self._ground.store.run(Unit(tuple(writes)))
        self._load(home)
        if store.ledger.head() is None:
            await self._open_ledger(home)
        self.publish(home)

    def _make(self, home: Home, use: str, state: str) -> Write:
        kid = f"{home.did}#{use}-{self._ground.world.chance.uuid7()[:13]}"
        alg = ALGORITHMS[use]
        public, sealed = self._ground.world.keys.create(alg, f"{home.slug}|{kid}|{use}")
        now = micros(self._ground.now())
        record = SigningKey(
            participant=home.slug,
            kid=kid,
            use=use,
            alg=alg,
            public=public,
            sealed=sealed,
            state=state,
            valid_from=now,
            created=now,
        )
        return self._ground.store.of(home.slug).keys.insert(record)

    def _load(self, home: Home) -> None:
        for key in self._ground.store.of(home.slug).keys.list():
            if key.state == "revoked" or key.sealed is None:
                continue
            context = f"{home.slug}|{key.kid}|{key.use}"
            self._ground.world.keys.load(key.kid, key.alg, context, key.sealed)
            if key.state == "active":
                self._active[home.slug, key.use] = key.kid

    async def _open_ledger(self, home: Home) -> None:
        """Epoch 1: the ledger's row, its first entry, and the first key statement."""
        origin = note.origin(home.did)
        store = self._ground.store.of(home.slug)
        opened = self._clerk.leaf(home, "ledger.opened", origin=origin)
        jws, stated = self._statement(home, origin)
        writes = (
            store.ledger.insert(LedgerHead(participant=home.slug, epoch=1, origin=origin)),
            self._ground.store.node.meta.put(self._name(home), msgspec.json.encode(jws).decode()),
        )
        await self._ground.store.run(Unit(writes, (opened, stated)))

    def _statement(self, home: Home, origin: str) -> tuple[list[str], Leaf]:
        said = self.statements(home)
        signing = statements.statement_input(
            kid=self.active(home.slug, "dsp"),
            did=home.did,
            origin=origin,
            seq=len(said) + 1,
            previous=said[-1] if said else None,
            logs=self._vkeys(home, origin),
            witnesses=[],
            did_keys=[jwk for _, jwk in self._jwks(home)],
            since=self._ground.now(),
        )
        signature = self._ground.world.keys.sign(self.active(home.slug, "dsp"), signing)
        jws = statements.statement(signing, signature)
        leaf = self._clerk.leaf(
            home,
            "key.stated",
            did=home.did,
            seq=len(said) + 1,
            digest=statements.digest(jws),
            payloads={"document": jws.encode()},
        )
        return [*said, jws], leaf

    def _vkeys(self, home: Home, origin: str) -> list[str]:
        keys = self._ground.store.of(home.slug).keys
        return [
            note.vkey(origin, key.alg, key.public)
            for use in ("log", "log2")
            for key in keys.list(use)
            if key.state == "active"
        ]

    def _name(self, home: Home) -> str:
        return f"key-statements|{home.slug}"

    def statements(self, home: Home) -> list[str]:
        """All key statements of a participant's ledger, the first one first (JWS)."""
        text = self._ground.store.node.meta.get(self._name(home))
        return [] if text is None else msgspec.json.decode(text, type=list[str])

    def active(self, slug: str, use: str) -> str:
        """The kid that signs for this use now."""
        kid = self._active.get((slug, use))
        if kid is None:
            raise NotFound(f"{slug} has no active {use} key")
        return kid

    def vkeys(self, home: Home) -> list[tuple[str, str, bytes]]:
        """(kid, algorithm, public key) of the log keys that sign checkpoints now."""
        keys = self._ground.store.of(home.slug).keys
        return [
            (key.kid, key.alg, key.public)
            for use in ("log", "log2")
            for key in keys.list(use)
            if key.state == "active"
        ]

    def _jwks(self, home: Home) -> list[tuple[str, dict[str, str]]]:
        keys = self._ground.store.of(home.slug).keys.list("dsp")
        return [
            (key.kid, did.write_jwk(key.public, kid=key.kid.partition("#")[2]))
            for key in keys
            if key.state in PUBLISHED
        ]

    def document(self, home: Home) -> bytes:
        """The participant's DID document."""
        services = [
            ("dsp", "DataService", f"{home.base_url}/.well-known/dspace-version"),
            ("ledger", "CorridorLedger", f"{home.base_url}/ledger/v1"),
        ]
        return msgspec.json.encode(did.document(home.did, self._jwks(home), services))

    def publish(self, home: Home) -> None:
        """Tell our own resolver what the document now is."""
        self._published(home.did, self.document(home))

    async def rotate(self, home: Home, *, person: str = "") -> list[dict[str, Any]]:
        """Publish the next protocol key; a second call, late enough, makes it sign.

        `next` is published at once; the wake `key` turns it active after `key_publish_s`, when
        every peer's cache of our document has run out, and the active one old.
        """
        store = self._ground.store.of(home.slug)
        if not any(key.state == "next" for key in store.keys.list("dsp")):
            due = self._ground.now() + timedelta(seconds=self._ground.limits.key_publish_s)
            leaf = self._clerk.leaf(
                home,
                "admin.acted",
                action="key.rotate",
                target="dsp",
                outcome="next",
                payloads={"person": person.encode()} if person else None,
            )
            wake = store.wakes.put("key", home.slug, micros(due))
            await self._ground.store.run(Unit((self._make(home, "dsp", "next"), wake), (leaf,)))
            self._load(home)
            self.publish(home)
            self._ground.bells.ring("wake")
        return self.list(home)

    async def rotate_old(self, home: Home) -> None:
        """Begin a rotation where the protocol key is as old as the settings let it become."""
        oldest = self._ground.now() - timedelta(seconds=self._ground.limits.key_rotate_after_s)
        keys = self._ground.store.of(home.slug).keys.list("dsp")
        if any(it.state == "active" and (it.valid_from or 0) <= micros(oldest) for it in keys):
            await self.rotate(home)

    async def promote(self, home: Home) -> None:
        """The time of publishing is over: the next key signs, the old one stays published."""
        store = self._ground.store.of(home.slug)
        now = self._ground.now()
        keys = store.keys.list("dsp")
        following = next((key for key in keys if key.state == "next"), None)
        if following is None:
            return
        until = micros(now + timedelta(seconds=self._ground.limits.token_life_accepted_s))
        writes = [store.keys.update(following, state="active", valid_from=micros(now))]
        writes += [
            store.keys.update(key, state="old", valid_until=until)
            for key in keys
            if key.state == "active"
        ]
        writes.append(store.wakes.delete("key", home.slug, expect=None))
        head = store.ledger.head()
        assert head is not None
        jws, leaf = self._statement(home, head.origin)
        text = msgspec.json.encode(jws).decode()
        writes.append(self._ground.store.node.meta.put(self._name(home), text))
        writes.append(store.wakes.put("key-retire", home.slug, until))
        await self._ground.store.run(Unit(tuple(writes), (leaf,)))
        self._load(home)
        # Stated once more under the new key, while the old one is still published: whoever meets
        # us later finds a statement that a key of our document signed.
        jws, again = self._statement(home, head.origin)
        put = self._ground.store.node.meta.put(self._name(home), msgspec.json.encode(jws).decode())
        await self._ground.store.run(Unit((put,), (again,)))
        self.publish(home)

    async def retire(self, home: Home) -> None:
        """All that the old keys signed has run out: they leave the document."""
        store = self._ground.store.of(home.slug)
        now = micros(self._ground.now())
        gone = [
            store.keys.update(key, state="retired")
            for key in store.keys.list("dsp")
            if key.state == "old" and (key.valid_until or 0) <= now
        ]
        if gone:
            await self._ground.store.run(Unit(tuple(gone)))
            self.publish(home)

    def list(self, home: Home) -> list[dict[str, Any]]:
        """Every key, without its private half."""
        return [
            {
                "kid": key.kid,
                "use": key.use,
                "alg": key.alg,
                "state": key.state,
                "from": key.valid_from,
            }
            for key in self._ground.store.of(home.slug).keys.list()
        ]
