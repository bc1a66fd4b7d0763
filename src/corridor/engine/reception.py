# SPDX-License-Identifier: Apache-2.0
"""How a process begins: a peer's first message, or ours (node.md c; dsp.md 4, 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from corridor.engine.agreements import is_provider
from corridor.engine.clerk import Clerk
from corridor.engine.decide import Speak
from corridor.engine.draft import Draft
from corridor.engine.ground import Ground, Home, micros
from corridor.engine.hear import Ear, Heard, Reply
from corridor.engine.library import Library
from corridor.engine.negotiate import Negotiations
from corridor.engine.transfer import Transfers
from corridor.engine.voice import Voice
from corridor.errors import CorridorError, FetchFailed, PeerMustWait, RemoteProtocolError
from corridor.protocol import negotiation as n
from corridor.protocol import transfer as t
from corridor.protocol.machine import Role
from corridor.store.agreements import Agreement
from corridor.store.negotiations import Negotiation
from corridor.store.transfers import Transfer
from corridor.wire import negotiation as wire_negotiation
from corridor.wire import transfer as wire_transfer


class Reception:
    """Begins negotiations and transfers, heard or said."""

    def __init__(
        self,
        ground: Ground,
        clerk: Clerk,
        library: Library,
        ear: Ear,
        voice: Voice,
        negotiations: Negotiations,
        transfers: Transfers,
    ) -> None:
        self._ground = ground
        self._clerk = clerk
        self._library = library
        self._ear = ear
        self._voice = voice
        self._negotiations = negotiations
        self._transfers = transfers

    @property
    def _sessions_max(self) -> int:
        return self._ground.limits.sessions_per_agreement_max

    # heard

    async def hear_request(self, home: Home, heard: Heard) -> Reply:
        """A consumer's first request; the same consumerPid again is the same negotiation."""
        message = heard.message
        if not isinstance(message, wire_negotiation.ContractRequestMessage):
            raise RemoteProtocolError("a negotiation begins with a ContractRequestMessage")
        if message.callback_address is None:
            raise RemoteProtocolError("a first request names a callbackAddress")
        peer, store = heard.caller.did, self._ground.store.of(home.slug)
        async with self._ground.turns.take(f"{peer}|provider|{message.consumer_pid}"):
            known = store.negotiations.by_peer_pid(Role.PROVIDER, peer, message.consumer_pid)
            if known is not None:
                if known.offer_id != message.offer["@id"] and known.rounds <= 1:
                    raise RemoteProtocolError("this pid asked for another offer", code="pid-reused")
                return self._ear.again(self._negotiations, known)
            self._room_for_one(home, peer)
            await self._callback(message.callback_address)
            offered = self._library.offered(home, str(message.offer["@id"]))
            if offered is None or not self._library.visible(home, offered, peer):
                raise RemoteProtocolError("no such offer", code="unknown-offer")
            if message.offer.get("target") != offered.asset.asset_id:
                raise RemoteProtocolError("the offer is for another asset", code="unknown-offer")
            record = self._negotiation(
                home,
                role=Role.PROVIDER,
                peer=peer,
                peer_pid=message.consumer_pid,
                callback=message.callback_address,
                asset=offered.asset.asset_id,
                service=offered.asset.service,
                detail=offered.asset.detail,
                offer_id=offered.offer.offer_id,
            )
            draft = Draft(self._ground, self._clerk, self._negotiations, home, record, fresh=True)
            self._negotiations.table(draft, message.offer, by=Role.CONSUMER)
            return await self._ear.create(draft, heard, n.Step.REQUEST)

    async def hear_offer(self, home: Home, heard: Heard) -> Reply:
        """A provider's offer that nobody asked for: taken only where the settings say so."""
        message = heard.message
        if not isinstance(message, wire_negotiation.ContractOfferMessage):
            raise RemoteProtocolError("a provider begins with a ContractOfferMessage")
        if message.callback_address is None:
            raise RemoteProtocolError("a first offer names a callbackAddress")
        if not home.unsolicited:
            raise RemoteProtocolError("nobody asked for this offer", code="unsolicited")
        peer, store = heard.caller.did, self._ground.store.of(home.slug)
        async with self._ground.turns.take(f"{peer}|consumer|{message.provider_pid}"):
            known = store.negotiations.by_peer_pid(Role.CONSUMER, peer, message.provider_pid)
            if known is not None:
                return self._ear.again(self._negotiations, known)
            self._room_for_one(home, peer)
            await self._callback(message.callback_address)
            record = self._negotiation(
                home,
                role=Role.CONSUMER,
                peer=peer,
                peer_pid=message.provider_pid,
                callback=message.callback_address,
                asset=str(message.offer["target"]),
                offer_id=str(message.offer["@id"]),
            )
            draft = Draft(self._ground, self._clerk, self._negotiations, home, record, fresh=True)
            self._negotiations.table(draft, message.offer, by=Role.PROVIDER)
            return await self._ear.create(draft, heard, n.Step.OFFER)

    async def hear_transfer(self, home: Home, heard: Heard) -> Reply:
        """A consumer asks for the data of an agreement; the same consumerPid again is the same."""
        message = heard.message
        if not isinstance(message, wire_transfer.TransferRequestMessage):
            raise RemoteProtocolError("a transfer begins with a TransferRequestMessage")
        peer, store = heard.caller.did, self._ground.store.of(home.slug)
        async with self._ground.turns.take(f"{peer}|transfer|{message.consumer_pid}"):
            known = store.transfers.by_peer_pid(Role.PROVIDER, peer, message.consumer_pid)
            if known is not None:
                if known.agreement_id != message.agreement_id:
                    raise RemoteProtocolError("this pid asked for another", code="pid-reused")
                return self._ear.again(self._transfers, known)
            self._room_for_one(home, peer)
            agreement = await self._agreement(home, peer, message.agreement_id)
            await self._callback(message.callback_address)
            sink = self._transfers.sink(home, agreement, message)
            if sink is not None:
                address = message.data_address
                assert address is not None
                await self._callback(address.property("endpoint") or "", purpose="push")
            if store.sessions.count_open(agreement.agreement_id) >= self._sessions_max:
                raise PeerMustWait("too many sessions are open under it", retry_after_s=60)
            record = Transfer(
                participant=home.slug,
                pid=self._ground.world.chance.uuid7(),
                role=Role.PROVIDER,
                peer=peer,
                peer_pid=message.consumer_pid,
                agreement_id=agreement.agreement_id,
                format=message.format,
                callback=message.callback_address,
                sink=sink,
                created=micros(self._ground.now()),
                changed=micros(self._ground.now()),
            )
            draft = Draft(self._ground, self._clerk, self._transfers, home, record, fresh=True)
            return await self._ear.create(draft, heard, t.Step.REQUEST)

    async def _agreement(self, home: Home, peer: str, agreement_id: str) -> Agreement:
        """The live agreement with this peer; our FINALIZED under way counts as acknowledged."""
        store = self._ground.store.of(home.slug)
        record = store.agreements.get(agreement_id, Role.PROVIDER)
        ours = record is not None and record.peer == peer  # others settle nothing here
        if ours and record is not None and record.state == "draft" and record.negotiation:
            await self._voice.imply(home, self._negotiations, record.negotiation, n.Step.FINALIZE)
            record = store.agreements.get(agreement_id, Role.PROVIDER)
        if record is None or record.peer != peer or not is_provider(record):
            raise RemoteProtocolError("no such agreement", code="unknown-agreement")
        if record.state != "live":
            code = "agreement-withdrawn" if record.state == "withdrawn" else "agreement-ended"
            raise RemoteProtocolError(f"the agreement is {record.state}", code=code)
        return record

    async def _callback(self, url: str, *, purpose: str = "dsp") -> None:
        try:
            await self._ground.world.net.check(url, purpose)
        except FetchFailed as failure:
            raise RemoteProtocolError(
                "this address cannot be used", code="callback", cause=failure.what
            ) from failure

    def _room_for_one(self, home: Home, peer: str) -> None:
        store, limits = self._ground.store.of(home.slug), self._ground.limits
        of_peer = store.negotiations.count_open(peer) + store.transfers.count_open(peer)
        others = self._ear.beginning(home, peer) - 1  # those that came at the same time
        if of_peer + others >= limits.processes_per_peer_max:
            raise PeerMustWait("too many processes are open with this partner", retry_after_s=60)
        every = store.negotiations.count_open() + store.transfers.count_open()
        if every >= limits.processes_per_participant_max:
            raise PeerMustWait("too many processes are open here", retry_after_s=60)
        if store.outbox.count(peer) >= limits.outbox_rows_per_peer_max:
            raise PeerMustWait("too much waits to be sent to this partner", code="peer-backlog")

    # said

    async def request(
        self,
        home: Home,
        *,
        peer: str,
        base: str,
        asset: str,
        offer: Mapping[str, Any],
        wish_sha: str | None,
        service: str | None,
        detail: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        note: str = "",
        actor: str = "",
    ) -> Negotiation:
        """Ask a provider for an agreement. `wish_sha`: the terms hash that we mean to sign."""
        self._backlog(home, peer)
        record = self._negotiation(
            home,
            role=Role.CONSUMER,
            peer=peer,
            peer_pid=None,
            callback=base,
            asset=asset,
            service=service,
            detail=msgspec.json.encode(detail or {}, order="sorted"),
            offer_id=str(offer["@id"]),
            wish_sha=wish_sha,
            purpose=purpose,
            note=note,
            actor=actor,
        )
        draft = Draft(self._ground, self._clerk, self._negotiations, home, record, fresh=True)
        begun = await self._voice.begin(draft, Speak(step=n.Step.REQUEST, offer=offer))
        assert isinstance(begun, Negotiation)
        return begun

    async def offer(
        self, home: Home, *, peer: str, base: str, offer_id: str, actor: str = ""
    ) -> Negotiation:
        """Offer something to a consumer that has not asked."""
        self._backlog(home, peer)
        offered = self._library.offered(home, offer_id)
        if offered is None:
            raise CorridorError("no such published offer", code="unknown-offer")
        record = self._negotiation(
            home,
            role=Role.PROVIDER,
            peer=peer,
            peer_pid=None,
            callback=base,
            asset=offered.asset.asset_id,
            service=offered.asset.service,
            detail=offered.asset.detail,
            offer_id=offer_id,
            actor=actor,
        )
        draft = Draft(self._ground, self._clerk, self._negotiations, home, record, fresh=True)
        begun = await self._voice.begin(draft, Speak(step=n.Step.OFFER, offer=offered.policy))
        assert isinstance(begun, Negotiation)
        return begun

    async def transfer(
        self,
        home: Home,
        *,
        agreement_id: str,
        peer: str,
        base: str,
        format_: str,
        sink: bytes | None = None,
        purpose: str | None = None,
        actor: str = "",
    ) -> Transfer:
        """Ask a provider for the data of an agreement."""
        self._backlog(home, peer)
        now = micros(self._ground.now())
        record = Transfer(
            participant=home.slug,
            pid=self._ground.world.chance.uuid7(),
            role=Role.CONSUMER,
            peer=peer,
            agreement_id=agreement_id,
            format=format_,
            callback=base,
            sink=sink,
            purpose=purpose,
            actor=actor,
            created=now,
            changed=now,
        )
        draft = Draft(self._ground, self._clerk, self._transfers, home, record, fresh=True)
        begun = await self._voice.begin(draft, Speak(step=t.Step.REQUEST))
        assert isinstance(begun, Transfer)
        return begun

    def _backlog(self, home: Home, peer: str) -> None:
        waiting = self._ground.store.of(home.slug).outbox.count(peer)
        if waiting >= self._ground.limits.outbox_rows_per_peer_max:
            raise PeerMustWait(f"{waiting} messages wait to be sent", code="peer-backlog")

    def _negotiation(self, home: Home, **known: Any) -> Negotiation:
        now = micros(self._ground.now())
        return Negotiation(
            participant=home.slug,
            pid=self._ground.world.chance.uuid7(),
            created=now,
            changed=now,
            **known,
        )
