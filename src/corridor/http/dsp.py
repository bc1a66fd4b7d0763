# SPDX-License-Identifier: Apache-2.0
"""The Dataspace Protocol over HTTP: one route table, and errors as the protocol words them.

dsp.md 1.2, 1.3 and 1.5. Provider and consumer endpoints share one base; a pid is looked up in one
store and its process knows our role. Errors: illegal or malformed 400, no token 401, not found and
not yours 404, try again 503, each with the error type of its protocol.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs

import msgspec

from corridor.engine import Engine
from corridor.engine.draft import Talk
from corridor.engine.ground import Home
from corridor.engine.hear import Heard, Reply
from corridor.errors import (
    CannotHonour,
    CorridorError,
    Invalid,
    NotAllowed,
    NotFound,
    PeerMustWait,
    Refused,
    RemoteProtocolError,
    StoreUnavailable,
    Unauthenticated,
)
from corridor.http.routes import (
    Anyone,
    APeer,
    Call,
    Route,
    TheCounterparty,
    respond,
)
from corridor.http.server import read_body
from corridor.identity.token import Caller
from corridor.wire import catalog as wire_catalog
from corridor.wire import negotiation as wire_negotiation
from corridor.wire import transfer as wire_transfer
from corridor.wire import version
from corridor.wire.codec import encode

# One row a section of the specification; the first class that fits.
STATUS: Mapping[type[CorridorError], int] = {
    NotFound: 404,  # #exceptions: object not found
    Unauthenticated: 401,
    NotAllowed: 404,  # unauthorized access: do not even say that it exists
    Refused: 404,
    PeerMustWait: 503,
    StoreUnavailable: 503,
    RemoteProtocolError: 400,  # #state-transition-errors, malformed messages
    CannotHonour: 400,
    Invalid: 400,
}
SIZES = {"too-large": 413, "body-timeout": 408}
BASE = "/{participant}/dsp/2025-1"
LOOKED_PER_TOKEN = 20  # offers that cost about what a request costs


def status_of(error: CorridorError) -> int:
    """The HTTP status of an error on a protocol path."""
    if error.code in SIZES:
        return SIZES[error.code]
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)


class Dsp:
    """The protocol's endpoints for all participants of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._limits = engine.ground.limits

    def routes(self) -> list[Route]:
        """The one table."""
        peer, party = APeer(), TheCounterparty("pid")
        open_ = Anyone("DSP #exposure-of-versions: unauthenticated; did:web: public")
        negotiation = self._engine.negotiations
        transfer = self._engine.transfers
        n, t = f"{BASE}/negotiations", f"{BASE}/transfers"
        reception = self._engine.reception
        heard_n = self._hearing(negotiation, self._negotiation_error)
        heard_t = self._hearing(transfer, self._transfer_error)
        return [
            Route("GET", "/{participant}/.well-known/dspace-version", self._version, open_),
            Route("GET", "/{participant}/did.json", self._did, open_),
            Route("GET", f"{BASE}/.well-known/dspace-version", self._version, open_),
            Route("POST", f"{BASE}/catalog/request", self._catalog, peer),
            Route("GET", f"{BASE}/catalog/datasets/{{id}}", self._dataset, peer),
            Route(
                "POST",
                f"{n}/request",
                self._creating(negotiation, reception.hear_request, self._negotiation_error),
                peer,
            ),
            Route(
                "POST",
                f"{n}/offers",
                self._creating(negotiation, reception.hear_offer, self._negotiation_error),
                peer,
            ),
            Route("GET", f"{n}/{{pid}}", self._showing(negotiation), party),
            Route("POST", f"{n}/{{pid}}/request", heard_n, party),
            Route("POST", f"{n}/{{pid}}/offers", heard_n, party),
            Route("POST", f"{n}/{{pid}}/agreement", heard_n, party),
            Route("POST", f"{n}/{{pid}}/agreement/verification", heard_n, party),
            Route("POST", f"{n}/{{pid}}/events", heard_n, party),
            Route("POST", f"{n}/{{pid}}/termination", heard_n, party),
            Route(
                "POST",
                f"{t}/request",
                self._creating(transfer, reception.hear_transfer, self._transfer_error),
                peer,
            ),
            Route("GET", f"{t}/{{pid}}", self._showing(transfer), party),
            Route("POST", f"{t}/{{pid}}/start", heard_t, party),
            Route("POST", f"{t}/{{pid}}/completion", heard_t, party),
            Route("POST", f"{t}/{{pid}}/termination", heard_t, party),
            Route("POST", f"{t}/{{pid}}/suspension", heard_t, party),
        ]

    def _home(self, call: Call) -> Home:
        home = self._engine.ground.homes.get(call.names["participant"])
        if home is None:
            raise NotFound("no such participant")
        return home

    async def _who(self, call: Call, home: Home, body: bytes | None) -> Caller:
        """Who calls, at a bearable rate."""
        try:
            caller = await self._engine.ear.identify(
                home, call.headers.get("authorization"), body, call.source
            )
        except Unauthenticated:
            self._engine.strangers.take(call.source)
            raise
        self._engine.peers_rate.take(caller.did)
        return caller

    async def _body(self, call: Call) -> bytes:
        return await read_body(
            call.receive, self._limits.message_bytes_max, self._limits.body_read_s
        )

    # public

    async def _version(self, call: Call) -> None:
        try:
            home = self._home(call)
        except CorridorError as error:
            await self._refuse(call, error, _catalog_error(error))
            return
        prefix = "/dsp/2025-1"
        document = version.VersionDocument(
            protocol_versions=(
                version.Version(
                    version=version.VERSION,
                    path=prefix,
                    binding="HTTPS",
                    service_id=f"{home.did}#dsp",
                    identifier_type="did:web",
                ),
            )
        )
        await respond(call.send, 200, version.encode(document))

    async def _did(self, call: Call) -> None:
        try:
            document = self._engine.keyring.document(self._home(call))
        except CorridorError as error:
            await self._refuse(call, error, _catalog_error(error))
            return
        await respond(call.send, 200, document, headers={"cache-control": "max-age=60"})

    # catalogue

    async def _catalog(self, call: Call) -> None:
        try:
            home = self._home(call)
            raw = await self._body(call)
            caller = await self._who(call, home, raw)
            message = wire_catalog.decode_request(raw, limits=self._limits)
            asked = parse_qs(call.query).get("continuationToken", [""])[0]
            await self._engine.ear.seen(home, caller)
            page = self._engine.catalog.page(home, caller.did, message, asked)
            self._engine.peers_rate.spend(caller.did, page.looked / LOOKED_PER_TOKEN)
        except CorridorError as error:
            await self._refuse(call, error, _catalog_error(error))
            return
        links = [
            f'<{home.dsp_url}/catalog/request?continuationToken={token}>; rel="{rel}"'
            for rel, token in (("next", page.following), ("previous", page.previous))
            if token
        ]
        headers = {"link": ", ".join(links)} if links else {}
        await respond(call.send, 200, page.body, headers=headers)

    async def _dataset(self, call: Call) -> None:
        try:
            home = self._home(call)
            caller = await self._who(call, home, None)
            await self._engine.ear.seen(home, caller)
            body = self._engine.catalog.dataset(home, caller.did, call.names["id"])
        except CorridorError as error:
            await self._refuse(call, error, _catalog_error(error))
            return
        await respond(call.send, 200, body)

    # processes

    def _hearing(
        self, talk: Talk, error_of: Callable[[Call, CorridorError, bytes], bytes]
    ) -> Callable[[Call], Awaitable[None]]:
        """A message to a process."""

        async def hear(call: Call) -> None:
            raw = b""
            try:
                home = self._home(call)
                raw = await self._body(call)
                caller = await self._who(call, home, raw)
                heard = self._read(call, talk, caller, raw)
                reply = await self._engine.ear.hear(home, talk, call.names["pid"], heard)
            except CorridorError as error:
                await self._refuse(call, error, error_of(call, error, raw))
                await self._engine.after_refusal(call.names, talk, error)
                return
            await _answer(call, reply)

        return hear

    def _creating(
        self,
        talk: Talk,
        create: Callable[[Home, Heard], Awaitable[Reply]],
        error_of: Callable[[Call, CorridorError, bytes], bytes],
    ) -> Callable[[Call], Awaitable[None]]:
        """A message that begins a process."""

        async def hear(call: Call) -> None:
            raw = b""
            try:
                home = self._home(call)
                raw = await self._body(call)
                caller = await self._who(call, home, raw)
                heard = self._read(call, talk, caller, raw)
                reply = await self._engine.ear.begin(home, create, heard)
            except CorridorError as error:
                await self._refuse(call, error, error_of(call, error, raw))
                return
            await _answer(call, reply)

        return hear

    def _read(self, call: Call, talk: Talk, caller: Caller, raw: bytes) -> Heard:
        message = talk.decode(raw)
        path = call.path.partition("/dsp/2025-1")[2]
        if not _fits(path, type(message).__name__):
            raise RemoteProtocolError("this message belongs to another path", code="malformed")
        return Heard(caller=caller, message=message, raw=raw, path=path)

    def _showing(self, talk: Talk) -> Callable[[Call], Awaitable[None]]:
        """GET of a process."""

        async def show(call: Call) -> None:
            try:
                home = self._home(call)
                caller = await self._who(call, home, None)
                await self._engine.ear.seen(home, caller)
                body = self._engine.show(home, talk, call.names["pid"], caller.did)
            except CorridorError as error:
                error_of = (
                    self._negotiation_error if talk.kind == "negotiation" else self._transfer_error
                )
                await self._refuse(call, error, error_of(call, error, b""))
                return
            await respond(call.send, 200, body)

        return show

    # errors

    async def _refuse(self, call: Call, error: CorridorError, body: bytes) -> None:
        status = status_of(error)
        self._engine.note_refusal(call.path, error, status)
        headers = {}
        if isinstance(error, PeerMustWait):
            headers["retry-after"] = str(max(1, round(error.retry_after_s)))
        elif status == 503:
            headers["retry-after"] = "1"
        if status in (408, 413):
            headers["connection"] = "close"
        await respond(call.send, status, body, headers=headers)

    def _negotiation_error(self, call: Call, error: CorridorError, raw: bytes) -> bytes:
        consumer, provider = _pids(call, raw)
        return encode(
            wire_negotiation.ContractNegotiationError(
                consumer_pid=consumer,
                provider_pid=provider,
                code=error.code,
                reason=(error.what or error.code,),
            )
        )

    def _transfer_error(self, call: Call, error: CorridorError, raw: bytes) -> bytes:
        consumer, provider = _pids(call, raw)
        return encode(
            wire_transfer.TransferError(
                consumer_pid=consumer,
                provider_pid=provider,
                code=error.code,
                reason=(error.what or error.code,),
            )
        )


PATH_OF: Mapping[str, str] = {
    "ContractRequestMessage": "request",
    "ContractOfferMessage": "offers",
    "ContractAgreementMessage": "agreement",
    "ContractAgreementVerificationMessage": "verification",
    "ContractNegotiationEventMessage": "events",
    "ContractNegotiationTerminationMessage": "termination",
    "TransferRequestMessage": "request",
    "TransferStartMessage": "start",
    "TransferCompletionMessage": "completion",
    "TransferTerminationMessage": "termination",
    "TransferSuspensionMessage": "suspension",
}


class _Named(msgspec.Struct):
    """The two names in a message that was refused, as they lie there."""

    consumer: msgspec.Raw = msgspec.field(name="consumerPid", default=msgspec.Raw())
    provider: msgspec.Raw = msgspec.field(name="providerPid", default=msgspec.Raw())


_NAMED = msgspec.json.Decoder(_Named)
_PID_BYTES_MAX = 8192


def _fits(path: str, kind: str) -> bool:
    return path.rstrip("/").rpartition("/")[2] == PATH_OF[kind]


def _catalog_error(error: CorridorError) -> bytes:
    return encode(wire_catalog.CatalogError(code=error.code, reason=(error.what or error.code,)))


def _pids(call: Call, raw: bytes) -> tuple[str, str]:
    """The pids of an error: what the message named, else the path's; the schema wants both.

    Whoever sent it may be nobody: what is not asked for is skipped, and makes no objects.
    """
    pid = call.names.get("pid", "")
    try:
        told = _NAMED.decode(raw) if raw else _Named()
        consumer, provider = (
            msgspec.json.decode(it, type=str) if 0 < len(it) <= _PID_BYTES_MAX else pid
            for it in (told.consumer, told.provider)
        )
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return pid, pid
    return consumer, provider


async def _answer(call: Call, reply: Reply) -> None:
    try:
        await respond(call.send, reply.status, reply.body)
    finally:
        reply.release()
