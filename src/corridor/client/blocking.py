# SPDX-License-Identifier: Apache-2.0
"""Drives flows with one kept-alive connection of the standard library: no event loop, no thread."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from corridor.client.exchange import (
    ANSWER_BYTES_MAX,
    Ask,
    Emit,
    Emitting,
    Flow,
    Got,
    More,
    Pause,
    Shut,
    Step,
)
from corridor.client.places import Place
from corridor.errors import NotReachable, Unreadable

CONNECT_S = 5.0
BLOCK_BYTES = 1 << 20
_WENT_AWAY = (
    http.client.RemoteDisconnected,
    http.client.CannotSendRequest,
    BrokenPipeError,
    ConnectionResetError,
)
T = TypeVar("T")


class Blocking:
    """One node, one connection. Not for several threads at once."""

    def __init__(self, place: Place, *, timeout_s: float, language: str) -> None:
        """`timeout_s`: the longest silence; connecting takes at most 5 s."""
        self._place = place
        parts = urlsplit(place.url)
        self._prefix = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_S)
        self._headers = {"accept-language": language}
        if place.token:
            self._headers["authorization"] = f"Bearer {place.token.reveal()}"
        self._open: http.client.HTTPResponse | None = None

    def run(self, flow: Flow[T]) -> T:
        """What the flow returns; raises what it raises."""
        pump = self._pump(flow)
        while True:
            try:
                next(pump)
            except StopIteration as done:
                result: T = done.value
                return result

    def each(self, flow: Emitting) -> Iterator[Any]:
        """What the flow emits, as it comes."""
        yield from self._pump(flow)

    def close(self) -> None:
        """Drop the connection."""
        self._shut()
        self._connection.close()

    def _pump(self, flow: Any) -> Any:
        answer: Any = None
        failure: NotReachable | None = None
        try:
            while True:
                try:
                    step = flow.throw(failure) if failure is not None else flow.send(answer)
                except StopIteration as done:
                    return done.value
                answer = failure = None
                if isinstance(step, Emit):
                    yield step.value
                    continue
                try:
                    answer = self._do(step)
                except NotReachable as lost:
                    failure = lost
        finally:
            flow.close()
            self._shut()

    def _do(self, step: Step) -> Any:
        match step:
            case Ask():
                return self._ask(step)
            case More():
                return self._more()
            case Shut():
                self._shut()
                return None
            case Pause():
                time.sleep(step.seconds)
                return None

    def _ask(self, it: Ask) -> Got:
        self._shut()
        try:
            try:
                answer = self._send(it)
            except _WENT_AWAY:
                # A kept connection that the node closed meanwhile: nothing was read on it, and only
                # what may be repeated is sent on it again.
                if it.method not in ("GET", "HEAD"):
                    raise
                self._connection.close()
                answer = self._send(it)
            headers = {name.lower(): value for name, value in answer.getheaders()}
            if it.streamed and answer.status < 400:
                self._open = answer
                return Got(status=answer.status, headers=headers)
            body = answer.read(ANSWER_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._lost(error) from error
        if len(body) > ANSWER_BYTES_MAX:
            self._connection.close()
            raise Unreadable(f"the node answered more than {ANSWER_BYTES_MAX} bytes")
        return Got(status=answer.status, headers=headers, body=body)

    def _send(self, it: Ask) -> http.client.HTTPResponse:
        wire = self._connection
        if wire.sock is None:
            wire.timeout = CONNECT_S
            wire.connect()
        elif it.method not in ("GET", "HEAD"):
            # The node closes idle connections after some seconds; what changes something must not
            # be lost on one that is about to end.
            wire.close()
            wire.timeout = CONNECT_S
            wire.connect()
        wire.sock.settimeout(self._timeout_s + it.wait_s)
        path = self._prefix + it.path + (f"?{urlencode(it.query)}" if it.query else "")
        wire.request(it.method, path, body=it.body or None, headers={**self._headers, **it.headers})
        return wire.getresponse()

    def _more(self) -> bytes:
        assert self._open is not None, "a flow opens before it reads"
        try:
            block = self._open.read1(BLOCK_BYTES)
            if not block and self._open.length:
                raise http.client.IncompleteRead(b"", self._open.length)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._shut()
            raise self._lost(error) from error
        if not block:
            self._open.close()
            self._open = None
        return block

    def _shut(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
            self._connection.close()

    def _lost(self, error: Exception) -> NotReachable:
        return NotReachable(
            f"no answer from {self._place.url}",
            side="home",
            code="home-unreachable",
            cause=str(error) or type(error).__name__,
        )
