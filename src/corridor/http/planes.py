# SPDX-License-Identifier: Apache-2.0
"""Where agreed data leaves: requests of open sessions, and the streams that answer them.

node.md d. A session's token opens its path and nothing else; a service answers only through an act
that was judged, charged and written down; a cut drops what is buffered and resets the connection.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import suppress

import msgspec
import structlog

from corridor import telemetry
from corridor.engine import Engine
from corridor.engine.ground import Home
from corridor.engine.sessions import Admitted
from corridor.errors import (
    CODES,
    BudgetSpent,
    CorridorError,
    Ended,
    FetchFailed,
    Invalid,
    NotFound,
    PeerMustWait,
    QueryRefused,
    Refused,
    RemoteProtocolError,
    StoreUnavailable,
    Unauthenticated,
)
from corridor.http.routes import Anyone, APeer, Call, Route, TheSession, respond
from corridor.http.server import read_body
from corridor.services import Act, Answer, PlaneRequest, Visit

STATUS: Mapping[type[CorridorError], int] = {
    Unauthenticated: 401,
    BudgetSpent: 429,
    Ended: 403,
    Refused: 403,
    NotFound: 404,
    PeerMustWait: 503,
    StoreUnavailable: 503,
    FetchFailed: 504,
    Invalid: 400,
    RemoteProtocolError: 400,
}
PROBLEM = "application/problem+json"
_ACTOR = re.compile(r"[A-Za-z0-9._~-]{1,128}")
log = structlog.get_logger()


def bearer(header: str | None) -> str | None:
    """The session's token in an Authorization header: with the word Bearer or without, or Basic.

    One function for all services, since foreign clients differ (dsp.md 8.5).
    """
    if not header:
        return None
    kind, _, rest = header.strip().partition(" ")
    if not rest:
        return kind
    if kind.lower() == "bearer":
        return rest.strip()
    if kind.lower() == "basic":
        with suppress(binascii.Error, UnicodeDecodeError):
            return base64.b64decode(rest, validate=True).decode().partition(":")[2] or None
    return None


def _actor(header: str | None) -> str | None:
    """The consumer's pseudonym of a person, which will stand in the receipt; raises Invalid."""
    if header is not None and not _ACTOR.fullmatch(header):
        raise Invalid("Corridor-Actor is a pseudonym of 1 to 128 letters, digits, . _ ~ -")
    return header


class Planes:
    """The data planes of all participants, each under `/<participant>/data/<session>/…`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._streams: dict[str, int] = {}

    def routes(self) -> list[Route]:
        """The one table."""
        session = TheSession()
        keys = Anyone("evidence.md 6: key statements are public")
        return [
            Route("GET", "/{participant}/ledger/v1/keys", self._keys, keys),
            Route("GET", "/{participant}/data/{sid}/receipts/{id}", self._receipt, session),
            Route("POST", "/{participant}/data/{sid}/renew", self._renew, APeer()),
            Route("*", "/{participant}/data/{sid}/{rest*}", self._data, session),
        ]

    def _home(self, call: Call) -> Home:
        home = self._engine.ground.homes.get(call.names["participant"])
        if home is None:
            raise NotFound("no such participant")
        return home

    async def _keys(self, call: Call) -> None:
        try:
            statements = self._engine.keyring.statements(self._home(call))
        except CorridorError as error:
            await self._problem(call, error)
            return
        await respond(call.send, 200, msgspec.json.encode(statements))

    def _admit(self, call: Call) -> Admitted:
        token = bearer(call.headers.get("authorization"))
        return self._engine.sessions.admit(self._home(call), call.names["sid"], token)

    async def _renew(self, call: Call) -> None:
        """The consumer of the agreement proves its DID, and gets the token that follows."""
        engine = self._engine
        try:
            home = self._home(call)
            limits = engine.ground.limits
            raw = await read_body(call.receive, limits.message_bytes_max, limits.body_read_s)
            shown = call.headers.get("authorization")
            try:
                caller = await engine.ear.identify(home, shown, raw, call.source)
            except Unauthenticated:
                engine.strangers.take(call.source)
                raise
            engine.peers_rate.take(caller.did)
            renewed = await engine.renewal.grant(home, call.names["sid"], caller)
        except CorridorError as error:
            await self._problem(call, error)
            return
        headers = {"cache-control": "no-store"}
        await respond(call.send, 200, msgspec.json.encode(renewed), headers=headers)

    async def _receipt(self, call: Call) -> None:
        """A receipt of this session, with its proof, as soon as a checkpoint covers it."""
        try:
            home = self._home(call)
            proven = await self._engine.receipt(
                home,
                call.names["sid"],
                bearer(call.headers.get("authorization")),
                call.names["id"],
            )
        except CorridorError as error:
            await self._problem(call, error)
            return
        body = {
            "leaf": proven.leaf.decode(),
            "proof": proven.proof,
            "salts": proven.salts,
            "keys": proven.statements,
            "provider": home.did,
        }
        await respond(call.send, 200, msgspec.json.encode(body))

    async def _data(self, call: Call) -> None:
        try:
            admitted = self._admit(call)
            limits = self._engine.ground.limits
            body = await read_body(call.receive, limits.message_bytes_max, limits.body_read_s)
            request = PlaneRequest(
                method=call.method,
                path="/" + call.names["rest"],
                query=call.query,
                headers=call.headers,
                body=body,
            )
            visit = self._engine.acts.visit(
                admitted,
                purpose=call.headers.get("corridor-purpose"),
                actor=_actor(call.headers.get("corridor-actor")),
            )
            sid = admitted.session.sid
            if self._streams.get(sid, 0) >= limits.streams_per_session_max:
                raise PeerMustWait("too many streams in this session")
        except CorridorError as error:
            await self._problem(call, error)
            return
        self._streams[sid] = self._streams.get(sid, 0) + 1  # before anything is waited for
        try:
            await self._answer(call, admitted, visit, request)
        finally:
            self._streams[sid] -= 1
            if not self._streams[sid]:
                del self._streams[sid]

    async def _answer(
        self, call: Call, admitted: Admitted, visit: Visit, request: PlaneRequest
    ) -> None:
        try:
            answer = await admitted.service.answer(visit, request)
        except CorridorError as error:
            await self._problem(call, error)
            return
        await self._send(call, admitted, answer)

    async def _send(self, call: Call, admitted: Admitted, answer: Answer) -> None:
        headers = [
            (name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()
        ]
        if answer.act is not None:
            told = answer.act.headers.items()
            headers += [(name.encode(), value.encode("latin-1")) for name, value in told]
        whole = isinstance(answer.body, bytes)
        length = len(answer.body) if isinstance(answer.body, bytes) else answer.length
        if answer.length is not None:
            length = answer.length
        if length is not None and not any(name == b"content-length" for name, _ in headers):
            headers.append((b"content-length", str(length).encode()))
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        if whole:
            if admitted.cut.done:  # between its receipt and now
                if answer.act is not None:
                    await self._close(answer.act, "cut", code=admitted.cut.rule)
                await self._problem(call, Refused("this session has ended", rule=admitted.cut.rule))
                return
            await call.send(start)
            await call.send({"type": "http.response.body", "body": answer.body})
            if answer.act is not None:
                await self._close(answer.act, "answered", record=answer.record)
            return
        await _Stream(call, admitted, answer, start).run(self._close)

    async def _close(
        self, act: Act, outcome: str, *, record: bytes | None = None, code: str = ""
    ) -> None:
        """The receipt; where it cannot be written the act stays open and is closed at a start."""
        try:
            await act.close(outcome, response=record, code=code)
        except StoreUnavailable as away:
            log.warning(telemetry.STORE_UNAVAILABLE, act=act.id, cause=away.cause)

    async def _problem(self, call: Call, error: CorridorError) -> None:
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
        if error.code == "too-large":
            status = 413
        known = CODES.get(error.code)
        told: dict[str, object] = {
            "type": f"/errors/{error.code}",
            "title": known.title if known else "refused",
            "status": status,
            "detail": error.what,
            "code": error.code,
        }
        if isinstance(error, Refused):
            told |= {"rule": error.rule, "reference": error.reference, "bound": error.cause}
        if isinstance(error, QueryRefused):
            told["would_pass"] = error.would_pass
        headers: dict[str, str] = {}
        if isinstance(error, BudgetSpent):
            told["resets_at"] = error.resets_at
            headers["retry-after"] = "60"
        if isinstance(error, Invalid) and error.problems:
            told["errors"] = [{"path": it.path, "message": it.message} for it in error.problems]
        if status == 401:
            headers["www-authenticate"] = "Bearer"
        if status == 503:
            headers["retry-after"] = "1"
        body = msgspec.json.encode({name: value for name, value in told.items() if value != ""})
        self._engine.note_refusal(call.path, error, status)
        await respond(call.send, status, body, media=PROBLEM, headers=headers)


class _Stream:
    """One answer that leaves block by block, while it may."""

    def __init__(
        self, call: Call, admitted: Admitted, answer: Answer, start: dict[str, object]
    ) -> None:
        self._call = call
        self._cut = admitted.cut
        self._answer = answer
        self._start = start
        self._broken = False

    async def run(self, close: object) -> None:
        """Send it; whatever happens, the act gets its receipt."""
        watch = asyncio.create_task(self._watch())
        gone = asyncio.create_task(self._listen())
        outcome, code = "failed", ""
        try:
            outcome, code = await self._blocks()
        except (CorridorError, OSError, asyncio.CancelledError) as error:
            outcome = "broken" if self._broken else "failed"
            code = getattr(error, "rule", "") or getattr(error, "code", "")
            if isinstance(error, Refused):
                outcome = "cut"
            self._abort()
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            watch.cancel()
            gone.cancel()
            record = self._answer.record if outcome == "answered" else None
            if self._answer.act is not None:
                await close(self._answer.act, outcome, record=record, code=code)  # type: ignore[operator]  # Planes._close

    async def _blocks(self) -> tuple[str, str]:
        body = self._answer.body
        assert not isinstance(body, bytes)
        act = self._answer.act
        await self._call.send(self._start)
        async for block in body:
            if act is not None:
                await act.take(block)
            if self._cut.done:
                self._abort()
                return "cut", self._cut.rule
            if self._broken:
                return "broken", ""
            await self._call.send({"type": "http.response.body", "body": block, "more_body": True})
        if self._cut.done:
            self._abort()
            return "cut", self._cut.rule
        if self._broken:
            return "broken", ""
        await self._call.send({"type": "http.response.body", "body": b""})
        return "answered", ""

    async def _watch(self) -> None:
        """A cut bites also while the caller does not read."""
        await self._cut.wait()
        self._abort()

    async def _listen(self) -> None:
        """Notice that the caller went away."""
        while True:
            message = await self._call.receive()
            if message["type"] == "http.disconnect":
                self._broken = True
                return

    def _abort(self) -> None:
        extensions = self._call.scope.get("extensions") or {}
        abort = extensions.get("corridor.abort")
        if callable(abort):
            abort()
        elif abort is not None and callable(abort.get("abort")):
            abort["abort"]()
