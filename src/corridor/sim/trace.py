# SPDX-License-Identifier: Apache-2.0
"""What happened in a run: the events that checkers read and that a trace file holds.

Kinds of the network, `exchange` numbering one attempt of one request:
`sent` left its sender · `heard` reached the app of its target · `answered` that app's answer ·
`got` what the sender was told (status 0: FetchFailed, `note` its code) · `block` data left a node.
Others: `crash` · `start` · `wish` (what a person asked for) · `fault` (what the network did).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from corridor.sim.loop import SimLoop

# Anything signed, and the tokens of sessions: worthless outside of a run, but nobody should have
# to know that when he finds one in a file.
TOKEN = re.compile(r"eyJ[\w.-]{8,}|\bc1\.[a-z2-7]{16}\.[\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the trace. `at`: virtual seconds; `wall`: the node's own clock, microseconds."""

    at: float
    kind: str
    node: str = ""
    other: str = ""
    exchange: int = 0
    purpose: str = ""
    method: str = ""
    path: str = ""
    status: int = 0
    body: bytes = b""
    wall: int = 0
    note: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def line(self) -> str:
        """As one line of JSON; tokens never go into a file."""
        told: dict[str, Any] = {"at": round(self.at, 6), "kind": self.kind}
        for name in ("node", "other", "exchange", "purpose", "method", "path", "status", "note"):
            if value := getattr(self, name):
                told[name] = value
        if self.body:
            told["body"] = TOKEN.sub("…", self.body[:4096].decode("utf-8", "replace"))
        return json.dumps(told, ensure_ascii=False)


class Trace:
    """The events of one run, in order; each is part of the loop's hash."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.events: list[Event] = []

    def add(self, kind: str, **told: Any) -> Event:
        """Write down what happens now."""
        event = Event(at=self._loop.time(), kind=kind, **told)
        self.events.append(event)
        digest = hashlib.sha256(event.body).hexdigest()[:16] if event.body else ""
        self._loop.note(
            f"{kind} {event.node} {event.other} {event.exchange} {event.method} {event.path} "
            f"{event.status} {event.note} {digest}"
        )
        return event

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def lines(self) -> Iterator[str]:
        """The trace as a file holds it."""
        return (event.line() for event in self.events)
