# SPDX-License-Identifier: Apache-2.0
"""Receipts of a deal: those that were promised to us, or that we gave; their proofs; their check.

As consumer a receipt is fetched from the partner's plane with the token of the session that it
belongs to, also after the session's end. The check is the one of the SDK, so a person may trust
this node less than the mathematics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from corridor.engine.desk import paging
from corridor.engine.desk.deals import Deals
from corridor.engine.desk.means import Means, when
from corridor.engine.desk.story import Story
from corridor.engine.desk.use import SEEN
from corridor.engine.ground import Home
from corridor.errors import (
    EvidenceBroken,
    FetchFailed,
    MalformedEvidence,
    NotFound,
    NotReachable,
    PeerMustWait,
)
from corridor.evidence import keys, receipt
from corridor.evidence.entry import read_leaf
from corridor.evidence.receipt import Seen
from corridor.identity import did
from corridor.protocol.machine import Role
from corridor.store.agreements import Agreement
from corridor.store.events import Event
from corridor.store.transfers import Transfer
from corridor.wire.home import Check, Page, ReceiptView, SeenReceipt, VerifiedView
from corridor.world import Request, Response

SESSIONS_TRIED_MAX = 8
AGAIN_S = 0.2
STEPS = (
    "the provider's keys are stated by its DID",
    "the receipt is well formed",
    "the proof is for its place in the ledger",
    "the checkpoint is signed",
    "the proof leads to the checkpoint",
    "the request is the one that was sent",
    "the answer is the one that arrived",
)


class _Told(msgspec.Struct, frozen=True):
    """What a partner's plane answers (`http/planes.py`)."""

    leaf: str
    proof: str
    salts: dict[str, str] = {}
    keys: list[str] = []
    provider: str = ""


class Receipts:
    """Receipts of a participant's deals."""

    def __init__(self, means: Means, deals: Deals, story: Story) -> None:
        self._means = means
        self._deals = deals
        self._story = story

    def page(self, home: Home, name: str, *, after: str, limit: int) -> Page[SeenReceipt]:
        """As consumer those that passed here, as provider those that we gave; oldest first."""
        it = self._deals.agreement(home, name)
        start = paging.position(after)
        found = list(self._seen(home, it) if it.role == Role.CONSUMER else self._given(home, it))
        some = found[start : start + limit]
        more = start + limit < len(found)
        return Page(items=some, next=str(start + limit) if more else None)

    def _seen(self, home: Home, it: Agreement) -> Iterator[SeenReceipt]:
        for event in self._means.store(home).events.of_subject(it.agreement_id):
            if event.kind == SEEN:
                yield _of_event(event)

    def _given(self, home: Home, it: Agreement) -> Iterator[SeenReceipt]:
        for entry in self._story.thread(home, it.agreement_id):
            if entry.type != "receipt":
                continue
            body: dict[str, Any] = msgspec.json.decode(entry.body)
            yield SeenReceipt(
                id=entry.id,
                deal=it.agreement_id,
                at=str(body["time"]),
                act=str(body["act"]),
                user=str(body.get("actor", "")),
                bytes=int(body.get("counts", {}).get("bytes_out", 0)),
                sha256="",
                whole=body.get("outcome") == "answered",
            )

    async def show(self, home: Home, name: str, receipt_id: str) -> ReceiptView:
        """A receipt with all that a verification needs; raises NotFound, NotReachable."""
        it = self._deals.agreement(home, name)
        if it.role == Role.PROVIDER:
            return await self._own(home, it, receipt_id)
        event = self._event(home, it, receipt_id)
        answer = await self._fetch(home, it, receipt_id, event)
        try:
            told = msgspec.json.decode(answer.body, type=_Told)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise NotReachable("the partner's receipt cannot be read") from error
        return ReceiptView(
            id=receipt_id,
            deal=it.agreement_id,
            leaf=told.leaf,
            proof=told.proof,
            salts=told.salts,
            keys=told.keys,
            provider=it.provider,
            document=await self._document(it.provider),
            seen=None if event is None else _of_event(event),
        )

    async def _own(self, home: Home, it: Agreement, receipt_id: str) -> ReceiptView:
        entry = self._means.store(home).ledger.by_id(receipt_id)
        if entry is None or entry.type != "receipt" or entry.thread != it.agreement_id:
            raise NotFound("this deal has no such receipt")
        proven = await self._means.engine.notary.prove(home, receipt_id)
        return ReceiptView(
            id=receipt_id,
            deal=it.agreement_id,
            leaf=proven.leaf.decode(),
            proof=proven.proof,
            salts=proven.salts,
            keys=proven.statements,
            provider=home.did,
            document=msgspec.json.decode(self._means.engine.keyring.document(home)),
        )

    def _event(self, home: Home, it: Agreement, receipt_id: str) -> Event | None:
        for event in self._means.store(home).events.of_subject(it.agreement_id):
            if event.kind == SEEN and _data(event).get("receipt") == receipt_id:
                return event
        return None

    async def _fetch(
        self, home: Home, it: Agreement, receipt_id: str, event: Event | None
    ) -> Response:
        """From the session that gave it; where nobody noted which, from the newest ones."""
        if not receipt_id.replace("-", "").isalnum() or not receipt_id.isascii():
            raise NotFound("no receipt has this id")
        sid = str(_data(event).get("sid", "")) if event is not None else ""
        transfers = self._means.store(home).transfers.of_agreement(it.agreement_id)
        having = [each for each in transfers if each.data_address is not None]
        places = [self._place(home, each) for each in reversed(having)]
        places.sort(key=lambda place: f"/data/{sid}" not in place[0] if sid else False)
        for url, authorization in places[:SESSIONS_TRIED_MAX]:
            answer = await self._patiently(f"{url}/receipts/{receipt_id}", authorization)
            if answer.status == 200:
                return answer
        raise NotFound("the partner shows no such receipt")

    def _place(self, home: Home, it: Transfer) -> tuple[str, str]:
        """(the base of the transfer's session, the Authorization it takes)."""
        assert it.data_address is not None
        address = self._means.engine.transfers.address(home, it.data_address)
        endpoint = address.property("endpoint") or ""
        head, mark, rest = endpoint.partition("/data/")
        token = address.property("authorization") or ""
        bearer = token if token.lower().startswith("bearer ") else f"Bearer {token}"
        return head + mark + rest.partition("/")[0], bearer

    async def _patiently(self, url: str, authorization: str) -> Response:
        """A receipt comes with the next checkpoint: ask again for a moment."""
        limits, clock = self._means.ground.limits, self._means.ground.world.clock
        until = clock.monotonic() + limits.receipt_wait_s
        while True:
            try:
                answer = await self._means.ground.world.net.fetch(
                    Request(
                        purpose="plane",
                        method="GET",
                        url=url,
                        headers={"authorization": authorization},
                        answer_bytes_max=limits.message_bytes_max,
                        timeout_s=limits.fetch_total_s,
                    )
                )
            except FetchFailed as failure:
                raise NotReachable(
                    "the partner's data plane did not answer", cause=failure.what
                ) from failure
            if answer.status not in (404, 503) or clock.monotonic() >= until:
                return answer
            await clock.sleep(AGAIN_S)

    async def _document(self, provider: str) -> dict[str, Any]:
        """The provider's DID document as far as a verification needs it: its P-256 keys."""
        document = await self._means.who.document(provider)
        jwks = [
            (
                method.id,
                did.write_jwk(
                    method.key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
                    kid=method.id.partition("#")[2],
                ),
            )
            for method in document.methods
            if isinstance(method.key, ec.EllipticCurvePublicKey)
        ]
        return dict(did.document(provider, jwks, []))

    async def verify(self, home: Home, name: str, receipt_id: str) -> VerifiedView:
        """The receipt fetched and checked here, step by step."""
        view = await self.show(home, name, receipt_id)
        event = self._event(home, self._deals.agreement(home, name), receipt_id)
        if not view.keys:
            raise PeerMustWait("the partner has stated no keys yet")
        return verified(view, None if event is None else _data(event))


def _data(event: Event) -> dict[str, Any]:
    return msgspec.json.decode(event.data, type=dict[str, Any])


def _of_event(event: Event) -> SeenReceipt:
    data = _data(event)
    return SeenReceipt(
        id=str(data["receipt"]),
        deal=event.subject,
        at=when(event.at),
        act=str(data["act"]),
        user=str(data["user"]),
        bytes=int(data["bytes"]),
        sha256=str(data["sha256"]),
        whole=bool(data["whole"]),
    )


def verified(view: ReceiptView, seen: Mapping[str, Any] | None) -> VerifiedView:
    """Check a receipt with nothing but what the view holds. `seen`: what passed through here."""
    failed, why, entry = -1, "", {}
    answer: Seen | bytes | None = None
    try:
        jwks = [it["publicKeyJwk"] for it in view.document.get("verificationMethod", [])]
        stated = keys.verify_chain(view.keys, did=view.provider, did_keys=jwks)
        failed = 1
        leaf = view.leaf.encode()
        entry = read_leaf(leaf).entry
        answer = _answer(entry, seen)
        receipt.verify(
            leaf,
            view.proof,
            vkeys=stated.vkeys,
            origin=stated.origin,
            response=answer,
            salts={slot: bytes.fromhex(salt) for slot, salt in view.salts.items()},
        )
        failed = len(STEPS)
    except EvidenceBroken as broken:
        failed, why = (0 if failed < 0 else broken.step or 1), broken.what
    except (MalformedEvidence, KeyError, ValueError) as broken:
        failed, why = max(failed, 0), str(broken)
    steps = [_step(at, failed, why, answer) for at in range(len(STEPS))]
    return VerifiedView(
        ok=failed == len(STEPS),
        receipt=view.id,
        act=str(entry.get("act", "")),
        at=str(entry.get("time", "")),
        steps=steps,
    )


def _step(at: int, failed: int, why: str, answer: Seen | bytes | None) -> Check:
    name = STEPS[at]
    if at == failed:
        return Check(name=name, state="failed", value=why, mend="keep it, and ask the partner")
    if at > failed:
        return Check(name=name, state="skipped", value="not tried: an earlier step failed")
    if at == 5 or (at == 6 and answer is None):
        return Check(name=name, state="skipped", value="not compared: its bytes are not here")
    return Check(name=name, state="ok", value="")


def _answer(entry: Mapping[str, Any], seen: Mapping[str, Any] | None) -> Seen | bytes | None:
    """What passed here, in the form that the receipt digests (evidence.md 3.1).

    A whole file whose digest was known before is receipted as a record of its digest, anything
    else as its bytes. Of a part of a file, or a broken answer, there is nothing to compare.
    """
    if seen is None or not seen.get("whole"):
        return None
    told = entry.get("payloads", {}).get("response", {})
    size = int(seen["bytes"])
    salted = Seen(size, str(seen["salted"]))
    if seen.get("act") != "file" or told.get("digest") == salted.digest:
        return salted
    if seen.get("status") != 200:
        return None
    record = {"bytes": size, "digest": f"sha256:{seen['sha256']}", "size": size}
    return msgspec.json.encode(record, order="sorted")
