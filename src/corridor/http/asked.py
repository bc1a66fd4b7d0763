# SPDX-License-Identifier: Apache-2.0
"""One request of a person: who, for which participant, with what; read and checked once."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from corridor.engine import Engine
from corridor.engine.desk import Account, Actor
from corridor.engine.ground import Home
from corridor.errors import Invalid, MalformedMessage, Problem
from corridor.http.routes import Call
from corridor.limits import Limits
from corridor.wire.codec import parse
from corridor.wire.home import Operation

PAGE_DEFAULT = 100
MAC_BYTES = 9
QUERY_CHARS_MAX = 8192
TRUE = frozenset({"true", "1", "yes"})


class Cursors:
    """Positions in lists, so that nobody has to know what they are: signed, opaque."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _mac(self, path: str, position: str) -> bytes:
        slug = next(iter(self._engine.ground.homes))
        key = self._engine.keyring.active(slug, "session")
        told = f"cursor|{path}|{position}".encode()
        return self._engine.ground.world.keys.hmac(key, told)[:MAC_BYTES]

    def write(self, path: str, position: str) -> str:
        """A position as it is handed out, good for this path only."""
        return base64.urlsafe_b64encode(self._mac(path, position) + position.encode()).decode()

    def read(self, path: str, cursor: str) -> str:
        """The position; raises Invalid where it is not ours, or of another list."""
        if not cursor:
            return ""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii"))
            position = raw[MAC_BYTES:].decode()
        except (binascii.Error, ValueError) as error:
            raise Invalid("`after` is no position of this list") from error
        if not hmac.compare_digest(raw[:MAC_BYTES], self._mac(path, position)):
            raise Invalid("`after` is no position of this list")
        return position


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a verb gets. `after` is the plain position, `body` of the operation's type."""

    call: Call
    account: Account
    names: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    raw: bytes
    after: str
    limit: int
    participant: Home | None

    @property
    def home(self) -> Home:
        """The participant of the path."""
        assert self.participant is not None, "only paths with a participant ask for it"
        return self.participant

    @property
    def actor(self) -> Actor:
        """The person at this participant's desk."""
        return self.account.of(self.home.slug)

    def text(self, name: str) -> str:
        """A word of the query; empty where it is not there."""
        return self.query.get(name, "")

    def flag(self, name: str) -> bool:
        """A yes or no of the query."""
        return self.text(name).lower() in TRUE


def read_query(call: Call, operation: Operation) -> dict[str, str]:
    """The query's words; raises Invalid for one that this operation does not know."""
    if len(call.query) > QUERY_CHARS_MAX:
        raise Invalid("the query is too long")
    try:
        pairs = parse_qsl(call.query, keep_blank_values=True, max_num_fields=32)
    except ValueError as error:
        raise Invalid("the query cannot be read") from error
    found: dict[str, str] = {}
    problems = []
    for name, value in pairs:
        if name not in operation.query:
            known = ", ".join(operation.query) or "none"
            problems.append(Problem(name[:100], f"no such word here; known: {known}", "invalid"))
        elif name in found:
            problems.append(Problem(name, "stands twice", "invalid"))
        found[name] = value
    if problems:
        raise Invalid("the query holds what is not known here", problems=problems)
    return found


def read_limit(query: Mapping[str, str], limits: Limits) -> int:
    """How many items a page shall have."""
    text = query.get("limit", "")
    if not text:
        return min(PAGE_DEFAULT, limits.list_page_max)
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= limits.list_page_max:
        raise Invalid(f"limit is a number from 1 to {limits.list_page_max}")
    return int(text)


def read_body(raw: bytes, operation: Operation, limits: Limits) -> Any:
    """The body as the operation's type; raises Invalid naming the place of the first fault.

    No body at all is an empty one, for an operation that needs nothing of it.
    """
    try:
        value = parse(raw, limits=limits) if raw.strip() else {}
        return msgspec.convert(value, operation.ask, strict=True)
    except MalformedMessage as error:
        raise Invalid("the body cannot be read", cause=error.what) from error
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `")
        problem = Problem(place.rstrip("`") or "$", what, "invalid")
        raise Invalid("the body does not fit", problems=[problem]) from error
