# SPDX-License-Identifier: Apache-2.0
"""A foreign connector as they are met: small, careless, in both roles (dsp.md 4, 5, 8).

It leaves out `@id`, answers 200 for 201 and empty bodies, takes repeated steps as EDC does,
answers 409 to what comes too early, takes every 4xx as the end, is slow, and writes a message anew
when it sends it again. Which of these it does is drawn from the seed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from corridor.errors import FetchFailed
from corridor.sim.exchange import Asked
from corridor.sim.loop import SimLoop
from corridor.sim.net import SimNet
from corridor.sim.persona import Persona, compact
from corridor.sim.words import ARROWS, CONTEXT, FINAL, Word, other, own_key, read
from corridor.sim.world import BEGIN
from corridor.world import Request

Answer = tuple[int, Mapping[str, str], bytes]
HABITS = (
    "no-id",
    "always-200",
    "empty-bodies",
    "early-409",
    "rewrites",
    "slow",
    "repeats-steps",
)
TRIES = 7
JSON = {"content-type": "application/json"}
SEGMENTS = {
    "ContractRequestMessage": "request",
    "ContractOfferMessage": "offers",
    "ContractAgreementMessage": "agreement",
    "ContractAgreementVerificationMessage": "agreement/verification",
    "ContractNegotiationEventMessage": "events",
    "ContractNegotiationTerminationMessage": "termination",
    "TransferStartMessage": "start",
    "TransferSuspensionMessage": "suspension",
    "TransferCompletionMessage": "completion",
    "TransferTerminationMessage": "termination",
}


@dataclass(slots=True)
class Process:
    """One process as this peer keeps it."""

    kind: str
    role: str
    pid: str
    peer: str
    base: str
    peer_pid: str = ""
    state: str = ""
    agreement: str = ""
    offer: Mapping[str, Any] = field(default_factory=dict)
    address: Mapping[str, Any] = field(default_factory=dict)
    mouth: asyncio.Lock = field(default_factory=asyncio.Lock)

    def pids(self) -> dict[str, str]:
        """Both, as messages name them."""
        return {own_key(self.role): self.pid, own_key(other(self.role)): self.peer_pid}


class SloppyPeer:
    """Consumer and provider in one; `partner` maps a participant's DID to its DSP base."""

    def __init__(
        self,
        loop: SimLoop,
        net: SimNet,
        persona: Persona,
        partners: Mapping[str, str],
        *,
        policy: Mapping[str, Any],
        habits: frozenset[str] | None = None,
    ) -> None:
        self.loop = loop
        self.net = net
        self.me = persona
        self.partners = partners
        self.policy = policy
        self.processes: dict[str, Process] = {}
        chance = persona.chance
        drawn = frozenset(habit for habit in HABITS if chance.random() < 0.5)
        self.habits = drawn if habits is None else habits

    # hearing

    async def serve(self, asked: Asked) -> Answer:
        """Route by the end of the path; whoever has no token is nobody."""
        if "slow" in self.habits:
            await asyncio.sleep(self.me.chance.uniform(0.0, 8.0))
        path = unquote(urlsplit(asked.url).path)
        if path == f"/{self.me.slug}/did.json":
            return 200, JSON, self.me.document()
        base = urlsplit(self.me.base).path
        if not path.startswith(base):
            return 404, {}, b""
        if not asked.headers.get("Authorization", asked.headers.get("authorization", "")):
            return 401, JSON, b"{}"
        return self.route(asked, path.removeprefix(base).strip("/").split("/"))

    def route(self, asked: Asked, parts: list[str]) -> Answer:
        """One of the protocol's paths."""
        if parts[:1] == ["catalog"]:
            return 200, JSON, compact(self.catalog())
        if asked.method == "GET" and len(parts) == 2:
            it = self.processes.get(parts[1])
            return (200, JSON, self.shown(it)) if it else (404, {}, b"")
        word = read(asked.path, asked.body)
        if asked.method != "POST" or word is None:
            return 400, {}, b""
        it = self.processes.get(parts[1])
        if it is None:
            return self.born(word) if parts[1] in {"request", "offers"} else (404, {}, b"")
        return self.hear(it, word)

    def born(self, word: Word) -> Answer:
        """A creation; said again, it is the same process."""
        for it in self.processes.values():
            if it.peer_pid == word.sender_pid and it.kind == word.kind:
                return 200, JSON, self.shown(it)
        base = str(word.value.get("callbackAddress", "")).rstrip("/")
        did = next((did for did, at in self.partners.items() if at == base), "")
        role = other(word.sender)
        it = Process(word.kind, role, self.me.name("pid"), did, base, peer_pid=word.sender_pid)
        it.agreement = str(word.value.get("agreementId", ""))
        self.processes[it.pid] = it
        self.enter(it, word)
        return (200 if "always-200" in self.habits else 201), JSON, self.shown(it)

    def hear(self, it: Process, word: Word) -> Answer:
        """A word of a process that is known."""
        if it.mouth.locked() and "early-409" in self.habits and word.step != "TERMINATE":
            return 409, {}, b""
        reached = ARROWS[it.kind].get((it.state, word.sender, word.step))
        if reached is None:
            # EDC takes a step again that it has already taken.
            arrows = ARROWS[it.kind]
            if any(
                arrows[key] == it.state for key in arrows if key[1:] == (word.sender, word.step)
            ):
                return 200, {}, b""
            return 409, JSON, compact({"code": "409", "reason": ["not now"]})
        self.enter(it, word)
        if "empty-bodies" in self.habits:
            return 200, {}, b""
        return 200, JSON, self.shown(it)

    def shown(self, it: Process) -> bytes:
        """The process, for an answer."""
        name = "ContractNegotiation" if it.kind == "negotiations" else "TransferProcess"
        return compact({"@context": CONTEXT, "@type": name, **it.pids(), "state": it.state})

    def enter(self, it: Process, word: Word) -> None:
        """Take the step, and do what follows from it by itself."""
        it.state = ARROWS[it.kind][it.state, word.sender, word.step]
        if word.step in {"REQUEST", "OFFER"}:
            it.offer = word.value.get("offer", it.offer)
        if word.step == "AGREE":
            agreement = word.value.get("agreement", {})
            it.agreement = agreement.get("@id", "") if isinstance(agreement, dict) else ""
        if word.step == "START":
            it.address = word.value.get("dataAddress") or it.address
        follow = self.follows(it, word)
        if follow is not None:
            self.later(self.say(it, *follow))

    def follows(self, it: Process, word: Word) -> tuple[str, dict[str, Any]] | None:
        """What this connector says on entering a state, without asking anybody."""
        match it.kind, it.role, it.state:
            case "negotiations", "P", "REQUESTED" | "ACCEPTED":
                return "ContractAgreementMessage", {"agreement": self.agree(it)}
            case "negotiations", "P", "VERIFIED":
                return "ContractNegotiationEventMessage", {"eventType": "FINALIZED"}
            case "negotiations", "C", "OFFERED":
                return "ContractNegotiationEventMessage", {"eventType": "ACCEPTED"}
            case "negotiations", "C", "AGREED":
                return "ContractAgreementVerificationMessage", {}
            case "transfers", "P", "REQUESTED":
                return "TransferStartMessage", {"dataAddress": self.data_address(it)}
            case "transfers", "P", "STARTED" if word.sender == "C":
                return "TransferStartMessage", {"dataAddress": self.data_address(it)}
        return None

    # speaking

    def later(self, coro: Any) -> None:
        """Beside what runs now; the network belongs to no node."""
        self.loop.create_task(coro, context=Context())

    async def say(self, it: Process, name: str, fields: Mapping[str, Any]) -> bool:
        """One message, tried again as EDC tries; 4xx ends the process. True: acknowledged."""
        await asyncio.sleep(self.me.chance.uniform(0.0, 2.0))
        async with it.mouth:
            message = {"@type": name, **it.pids(), **fields}
            if not it.peer_pid:
                message = {key: value for key, value in message.items() if value}
            if "no-id" not in self.habits:
                message["@id"] = self.me.name("msg")
            word = read(self.where(it, name), compact(message))
            start = word is not None and word.step == "START" and it.state == "STARTED"
            if word is None or not (start or (it.state, it.role, word.step) in ARROWS[it.kind]):
                return False  # the peer was faster
            status, body = await self.deliver(it, name, message)
        return await self.told(it, word, status, body)

    def where(self, it: Process, name: str) -> str:
        """The address of a message of this process."""
        if not it.peer_pid:
            end = "offers" if it.role == "P" else "request"
            return f"{it.base}/{it.kind}/{end}"
        return f"{it.base}/{it.kind}/{it.peer_pid}/{SEGMENTS[name]}"

    async def deliver(
        self, it: Process, name: str, message: Mapping[str, Any]
    ) -> tuple[int, bytes]:
        """Seven tries, 1, 2, 4 … s apart; status 0 where nothing was heard at all."""
        status, body = 0, b""
        for attempt in range(TRIES):
            items = list({"@context": CONTEXT, **message}.items())
            if attempt and "rewrites" in self.habits:
                self.me.chance.shuffle(items)
            data = json.dumps(dict(items), indent=attempt or None).encode()
            status, body = await self.post(it.peer, self.where(it, name), data)
            if 200 <= status < 500:
                break
            await asyncio.sleep(2.0**attempt)
        return status, body

    async def post(
        self, did: str, url: str, body: bytes, *, method: str = "POST", token: str = ""
    ) -> tuple[int, bytes]:
        """One attempt, with a fresh token."""
        headers = {"Authorization": token or self.me.token(did), "Content-Type": "application/json"}
        request = Request(purpose="dsp", method=method, url=url, headers=headers, body=body)
        try:
            answer = await self.net.fetch(request)
        except FetchFailed:
            return 0, b""
        return answer.status, answer.body

    async def told(self, it: Process, word: Word, status: int, body: bytes) -> bool:
        """What an answer means."""
        if 200 <= status < 300:
            if not it.peer_pid:
                it.peer_pid = _pid(body, own_key(other(it.role)))
            reached = ARROWS[it.kind].get((it.state, it.role, word.step))
            it.state = reached or it.state
            return True
        if it.state not in FINAL and word.step != "TERMINATE":
            await self.give_up(it)
        elif word.step == "TERMINATE":
            it.state = "TERMINATED"
        return False

    async def give_up(self, it: Process) -> None:
        """Fatal: say so if it can be said, and forget about it."""
        if it.peer_pid:
            kind = "ContractNegotiation" if it.kind == "negotiations" else "Transfer"
            await self.say(it, f"{kind}TerminationMessage", {"code": "500"})
        it.state = "TERMINATED"

    # what its own people want

    async def catalogue(self, did: str) -> list[Mapping[str, Any]]:
        """The datasets of a partner, as far as one page goes."""
        request = compact({"@context": CONTEXT, "@type": "CatalogRequestMessage"})
        status, body = await self.post(did, f"{self.partners[did]}/catalog/request", request)
        if status != 200:
            return []
        found = _object(body).get("dataset", [])
        return found if isinstance(found, list) else [found]

    async def request(self, did: str) -> Process | None:
        """Ask for the first dataset there is."""
        datasets = await self.catalogue(did)
        if not datasets:
            return None
        policies = datasets[0]["hasPolicy"]
        offer = dict(policies[0] if isinstance(policies, list) else policies)
        offer |= {"@type": "Offer", "target": datasets[0]["@id"]}
        it = Process("negotiations", "C", self.me.name("pid"), did, self.partners[did])
        it.offer = offer
        self.processes[it.pid] = it
        fields = {"offer": offer, "callbackAddress": self.me.base}
        return it if await self.say(it, "ContractRequestMessage", fields) else None

    async def transfer(self, agreed: Process, form: str) -> Process | None:
        """Ask for the data of an agreement."""
        it = Process("transfers", "C", self.me.name("pid"), agreed.peer, agreed.base)
        it.agreement = agreed.agreement
        self.processes[it.pid] = it
        fields = {
            "agreementId": agreed.agreement,
            "format": form,
            "callbackAddress": self.me.base,
        }
        return it if await self.say(it, "TransferRequestMessage", fields) else None

    def catalog(self) -> dict[str, Any]:
        """One dataset, with the policy that we were given."""
        service = {"@id": "svc", "@type": "DataService", "endpointURL": self.me.base}
        offer = {
            **{key: value for key, value in self.policy.items() if key != "target"},
            "@id": "sloppy:offer:1",
            "@type": "Offer",
        }
        return {
            "@context": CONTEXT,
            "@type": "Catalog",
            "@id": self.me.name("catalog"),
            "participantId": self.me.did,
            "service": [service],
            "dataset": [
                {
                    "@id": "sloppy-data",
                    "@type": "Dataset",
                    "hasPolicy": [offer],
                    "distribution": [
                        {
                            "@type": "Distribution",
                            "format": "HttpData-PULL",
                            "accessService": service,
                        }
                    ],
                }
            ],
        }

    def agree(self, it: Process) -> dict[str, Any]:
        """An agreement to whatever was asked for."""
        it.agreement = it.agreement or f"urn:uuid:{self.me.name('agreement')}"
        rules = {k: v for k, v in it.offer.items() if k not in {"@id", "@type", "assignee"}}
        now = BEGIN + timedelta(seconds=self.loop.time())
        return {
            **rules,
            "@id": it.agreement,
            "@type": "Agreement",
            "target": it.offer.get("target", "sloppy-data"),
            "assigner": self.me.did,
            "assignee": it.peer,
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def data_address(self, it: Process) -> dict[str, Any]:
        """EDC's way: properties with full names, no top-level endpoint."""
        space = "https://w3id.org/edc/v0.0.1/ns/"
        told = {"endpoint": f"{self.me.root}/public/{it.pid}", "authorization": "tok"}
        return {
            "@type": "DataAddress",
            "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpointProperties": [
                {"@type": "EndpointProperty", "name": space + name, "value": value}
                for name, value in told.items()
            ],
        }


def _object(body: bytes) -> Mapping[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _pid(body: bytes, key: str) -> str:
    return str(_object(body).get(key, ""))
