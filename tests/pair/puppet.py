# SPDX-License-Identifier: Apache-2.0
"""A peer whose every word a test chooses: its identity is real, its conversations are not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.pair.pair import Pair, play

from corridor.identity import did
from corridor.identity.token import join, unsigned
from corridor.outside.chance import SystemChance
from corridor.outside.keys import FileKeys
from corridor.wire.codec import CONTEXT
from corridor.world import Request, Response

HOST = "localhost:7103"
DID = "did:web:localhost%3A7103:puppet"
BASE = f"http://{HOST}/puppet/dsp/2025-1"
STUB = [{"action": "use"}]


def said(kind: str, **fields: Any) -> dict[str, Any]:
    """A message with a fresh `@id`; `id=None` leaves it out."""
    told = {"@context": [CONTEXT], "@type": kind, "@id": SystemChance().uuid7(), **fields}
    if "id" in told:
        identity = told.pop("id")
        told = (
            {**told, "@id": identity} if identity else {n: v for n, v in told.items() if n != "@id"}
        )
    return told


@dataclass(frozen=True)
class Spoken:
    """What a node said to the puppet."""

    path: str
    message: dict[str, Any]
    raw: bytes


class Puppet:
    """Lives at `HOST` in the pair's network. It answers each message of the node with success.

    `answers`: by @type, what to answer instead: (status, value). `shows`: states by pid, for GET.
    `to`: the home that it talks to.
    """

    def __init__(self, p: Pair, name: str = "provider") -> None:
        self.p = p
        self.to = p.home(name)
        self.did = DID
        self.spoken: list[Spoken] = []
        self.answers: dict[str, tuple[int, Any]] = {}
        self.shows: dict[str, str] = {}
        self.pushed: list[tuple[str, dict[str, str], bytes]] = []
        self.push_status = 200
        self._heard: asyncio.Queue[Spoken] = asyncio.Queue()
        self.keys = FileKeys(b"puppet" * 5 + b"xx")
        self.kid = ""
        self.add_key("one")
        p.net.apps[HOST] = self

    def add_key(self, name: str) -> None:
        """Sign with a new key from now on; the document holds this one alone."""
        self.kid = f"{DID}#{name}"
        self.public, sealed = self.keys.create("ES256", self.kid)
        self.keys.load(self.kid, "ES256", self.kid, sealed)
        jwk = did.write_jwk(self.public, kid=name)
        self.document = json.dumps(did.document(DID, [(name, jwk)], [])).encode()

    # hearing

    async def asgi_peer(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        status, value = self._answer(scope["method"], scope["path"], scope["headers"], body)
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        if path == "/puppet/did.json":
            return 200, self.document
        if path.startswith("/sink"):
            told = {name.decode(): value.decode() for name, value in headers}
            self.pushed.append((path, told, body))
            return self.push_status, b""
        if method == "GET":
            pid = path.rpartition("/")[2]
            kind = "ContractNegotiation" if "/negotiations/" in path else "TransferProcess"
            if pid not in self.shows:
                return 404, said(
                    f"{kind.removesuffix('Process')}Error", providerPid="", consumerPid=""
                )
            return 200, said(kind, providerPid="x", consumerPid="y", state=self.shows[pid])
        message = json.loads(body)
        heard = Spoken(path.removeprefix("/puppet/dsp/2025-1"), message, body)
        self.spoken.append(heard)
        self._heard.put_nowait(heard)
        return self.answers.get(message["@type"]) or (200, self._process(message))

    def _process(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The process as an ordinary peer shows it; ours are `pc-…` as consumer, `pp-…` else."""
        transfer = message["@type"].startswith("Transfer")
        state = "REQUESTED"
        if "Offer" in message["@type"]:
            state = "OFFERED"
        return said(
            "TransferProcess" if transfer else "ContractNegotiation",
            providerPid=message.get("providerPid", "pp-1"),
            consumerPid=message.get("consumerPid", "pc-1"),
            state=state,
        )

    async def hears(self, kind: str, seconds: float = 5.0) -> Spoken:
        """The next message; it must be of this kind."""
        heard = await self.hears_any(seconds)
        assert heard.message["@type"] == kind, heard.message
        return heard

    async def hears_any(self, seconds: float = 5.0) -> Spoken:
        """The next message."""
        async with asyncio.timeout(seconds):
            return await self._heard.get()

    def silent(self) -> bool:
        """Whether all that was said to it was asked for."""
        return self._heard.empty()

    # saying

    def token(self, body: bytes | None, **changes: Any) -> str:
        """The value of Authorization for one request."""
        told: dict[str, Any] = {
            "did": DID,
            "kid": self.kid,
            "audience": self.to.did,
            "now": self.p.clock.now(),
            "life_s": 300.0,
            "jti": SystemChance().uuid7(),
            "body": body,
            "token": "x",
            **changes,
        }
        if "age_s" in told:
            told["now"] -= timedelta(seconds=told.pop("age_s"))
        signing = unsigned(**told)
        return "Bearer " + join(signing, self.keys.sign(self.kid, signing))

    async def post(
        self,
        path: str,
        message: Any,
        *,
        authorization: str | None = "",
        headers: Mapping[str, str] | None = None,
        base: str | None = None,
    ) -> Heard:
        """Say something; `message` is a value or bytes. An empty authorization: a right one."""
        raw = message if isinstance(message, bytes) else json.dumps(message).encode()
        return await self._ask(
            "POST", (base or self.to.dsp_url) + path, raw, authorization, headers
        )

    async def get(self, path: str, *, authorization: str | None = "") -> Heard:
        """Ask for something."""
        return await self._ask("GET", self.to.dsp_url + path, b"", authorization, None)

    async def _ask(
        self, method: str, url: str, raw: bytes, authorization: str | None, headers: Any
    ) -> Heard:
        told = dict(headers or {})
        if authorization == "":
            authorization = self.token(raw if method == "POST" else None)
        if authorization is not None:
            told["authorization"] = authorization
        request = Request(purpose="dsp", method=method, url=url, headers=told, body=raw)
        answer = await self.p.net.fetch(request)
        return Heard(answer)

    # conversations

    def first(self, offer: Mapping[str, Any], pid: str = "pc-1", **changes: Any) -> dict[str, Any]:
        """A request for an offer of the node, by its stub; `asking` replaces parts of that.

        It is a first one, or with `providerPid` a counter-offer.
        """
        asked = {"@id": offer["@id"], "@type": "Offer", "target": offer["target"]}
        asked["permission"] = STUB
        told = {"consumerPid": pid, "callbackAddress": BASE}
        told["offer"] = {**asked, **changes.pop("asking", {})}
        if "providerPid" in changes:
            del told["callbackAddress"]
        return said("ContractRequestMessage", **{**told, **changes})

    async def begin(self, offer: Mapping[str, Any], pid: str = "pc-1", **changes: Any) -> str:
        """Ask for an offer of the node; its pid of the negotiation."""
        answer = await self.post("/negotiations/request", self.first(offer, pid, **changes))
        assert answer.status == 201, answer
        return str(answer.value["providerPid"])

    async def finalize(self, offer: Mapping[str, Any], pid: str = "pc-1") -> str:
        """Negotiate to the end as a consumer; the agreement's id."""
        theirs = await self.begin(offer, pid)
        agreed = await self.hears("ContractAgreementMessage")
        pids = {"consumerPid": pid, "providerPid": theirs}
        verified = said("ContractAgreementVerificationMessage", **pids)
        answer = await self.post(f"/negotiations/{theirs}/agreement/verification", verified)
        assert answer.status == 200, answer
        await self.hears("ContractNegotiationEventMessage")
        return str(agreed.message["agreement"]["@id"])

    async def started(self, agreement: str, pid: str = "pc-9") -> Plane:
        """A pull of this agreement, once the node said START."""
        told = {"consumerPid": pid, "agreementId": agreement, "callbackAddress": BASE}
        asked = said("TransferRequestMessage", **told, format="HttpData-PULL")
        answer = await self.post("/transfers/request", asked)
        assert answer.status == 201, answer
        start = await self.hears("TransferStartMessage")
        return Plane(self, answer.value["providerPid"]).told(start.message)


class Plane:
    """Where the puppet reads, and with which token."""

    def __init__(self, puppet: Puppet, theirs: str) -> None:
        self.theirs = theirs
        self._puppet = puppet
        self.endpoint = self.token = ""

    def told(self, start: Mapping[str, Any]) -> Plane:
        """The same transfer with the address of this START."""
        after = Plane(self._puppet, self.theirs)
        address = start["dataAddress"]
        after.endpoint = address["endpoint"]
        named = {it["name"]: it["value"] for it in address["endpointProperties"]}
        after.token = named["authorization"]
        return after

    async def get(self) -> Response:
        headers = {"authorization": f"Bearer {self.token}"}
        request = Request(purpose="plane", method="GET", url=self.endpoint, headers=headers)
        return await self._puppet.p.net.fetch(request)


class Heard:
    """An answer of the node."""

    def __init__(self, answer: Response) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.raw = answer.body
        self.value: Any = json.loads(answer.body) if answer.body else None

    @property
    def code(self) -> str:
        return str(self.value.get("code"))

    def __repr__(self) -> str:
        return f"{self.status} {self.raw[:500]!r}"


def stage(
    folder: Path,
    story: Callable[[Pair, Puppet], Awaitable[None]],
    *,
    against: str = "provider",
    **told: Any,
) -> None:
    """Run a story over a pair and a puppet that talks to one of the two nodes."""

    async def whole(p: Pair) -> None:
        await story(p, Puppet(p, against))

    play(folder, whole, **told)
