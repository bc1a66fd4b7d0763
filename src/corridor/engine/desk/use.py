# SPDX-License-Identifier: Apache-2.0
"""Using a deal: questions and files relayed through our node, so that people hold no secret.

What passes is hashed on the way; the receipt that the partner names in a header is remembered with
that digest, so that it can be fetched and compared afterwards (evidence.md 3.3).
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from urllib.parse import quote

import msgspec

from corridor.engine.desk.deals import Deals
from corridor.engine.desk.means import Actor, Means
from corridor.engine.ground import Home, micros
from corridor.errors import Invalid, Unreadable
from corridor.evidence.entry import SALT_BYTES
from corridor.protocol.machine import Role
from corridor.store.agreements import Agreement
from corridor.store.events import Event
from corridor.store.unit import Unit
from corridor.wire.home import QueryAsk
from corridor.world import Streamed

SEEN = "receipt.seen"
EXPLAINED_BYTES_MAX = 1 << 20
_RECEIPT = re.compile(r'"([0-9A-Za-z-]{1,64})"(?:;salt=:([A-Za-z0-9+/=]{1,88}):)?')
_SESSION = re.compile(r"/data/([a-z2-7]{16})/")
PASSED = (
    "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range",
)  # fmt: skip
"""Headers of a person's request for a file that the partner gets."""


class Passing:
    """An answer on its way through; `blocks` may be taken once."""

    def __init__(self, answer: Streamed, *, act: str) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self.act = act
        self.size = 0
        self.whole = False
        self._answer = answer
        self._plain = sha256()
        self._salted = sha256(_salt(answer.headers))

    async def blocks(self) -> AsyncIterator[bytes]:
        """The body, hashed as it passes."""
        async for block in self._answer.blocks():
            self.size += len(block)
            self._plain.update(block)
            self._salted.update(block)
            yield block
        self.whole = True

    def seen(self) -> dict[str, object] | None:
        """What to remember; None where no receipt was named."""
        named = _RECEIPT.match(self.headers.get("corridor-receipt", ""))
        if named is None:
            return None
        session = _SESSION.search(self.headers.get("link", ""))
        return {
            "act": self.act,
            "bytes": self.size,
            "receipt": named[1],
            "salted": self._salted.hexdigest(),
            "sha256": self._plain.hexdigest(),
            "sid": session[1] if session else "",
            "status": self.status,
            "whole": self.whole,
        }


class Use:
    """Requests of people to partners' data planes."""

    def __init__(self, means: Means, deals: Deals) -> None:
        self._means = means
        self._deals = deals

    @asynccontextmanager
    async def query(
        self, home: Home, actor: Actor, name: str, body: bytes
    ) -> AsyncIterator[Passing]:
        """Ask a question: the body goes to the partner as it came."""
        it = self._of_rows(home, name)
        headers = self._headers(home, actor, it, _purpose(body))
        headers["content-type"] = "application/json"
        async with self._means.engine.reach.request(
            home, it, method="POST", path="", headers=headers, body=body
        ) as answer:
            passing = Passing(answer, act="query")
            try:
                yield passing
            finally:
                await self._note(home, actor, it, passing)

    async def explain(self, home: Home, actor: Actor, name: str, body: bytes) -> bytes:
        """What the partner would say to a question; JSON. Nothing is charged."""
        it = self._of_rows(home, name)
        headers = self._headers(home, actor, it, _purpose(body))
        headers["content-type"] = "application/json"
        told = bytearray()
        async with self._means.engine.reach.request(
            home, it, method="POST", path="", beside="explain", headers=headers, body=body
        ) as answer:
            async for block in answer.blocks():
                told += block
                if len(told) > EXPLAINED_BYTES_MAX:
                    raise Unreadable("the partner's explanation is too long")
        return bytes(told)

    @asynccontextmanager
    async def file(
        self, home: Home, actor: Actor, name: str, path: str, given: Mapping[str, str]
    ) -> AsyncIterator[Passing]:
        """A file, or what a Range asks of it. `path` is plain text; empty: the only file."""
        it = self._deals.agreement(home, name, Role.CONSUMER)
        if it.service == "tables":
            raise Invalid(f"{it.asset} is a table", mend=f"corridor query {it.asset}")
        if any(part in (".", "..") for part in path.split("/")):
            raise Invalid("a path has no dot segments")
        headers = self._headers(home, actor, it, given.get("corridor-purpose"))
        headers |= {key: given[key] for key in PASSED if key in given}
        async with self._means.engine.reach.request(
            home, it, method="GET", path=f"/{quote(path)}", headers=headers
        ) as answer:
            passing = Passing(answer, act="file")
            try:
                yield passing
            finally:
                await self._note(home, actor, it, passing)

    def _of_rows(self, home: Home, name: str) -> Agreement:
        """The agreement, where it is about rows; raises Invalid where it is about files."""
        it = self._deals.agreement(home, name, Role.CONSUMER)
        if it.service == "files":
            raise Invalid(f"{it.asset} is no table", mend=f"corridor fetch {it.asset}")
        return it

    def _headers(
        self, home: Home, actor: Actor, it: Agreement, purpose: str | None
    ) -> dict[str, str]:
        """The purpose as an IRI, and who asks as a pseudonym of this deal (node.md d)."""
        key = self._means.engine.keyring.active(home.slug, "session")
        told = f"actor|{home.slug}|{it.agreement_id}|{actor.user}".encode()
        found = {"corridor-actor": self._means.ground.world.keys.hmac(key, told)[:16].hex()}
        meant = self._means.purpose_iri(home, purpose) if purpose else it.purpose
        if meant and meant.isascii() and meant.isprintable():
            found["corridor-purpose"] = meant
        return found

    async def _note(self, home: Home, actor: Actor, it: Agreement, passing: Passing) -> None:
        seen = passing.seen()
        if seen is None:
            return
        event = Event(
            participant=home.slug,
            kind=SEEN,
            subject=it.agreement_id,
            data=msgspec.json.encode({**seen, "user": actor.user}, order="sorted"),
            at=micros(self._means.ground.now()),
        )
        write = self._means.store(home).events.insert(event)
        await self._means.ground.store.run(Unit((write,)))
        self._means.ground.bells.ring("events")


def _salt(headers: Mapping[str, str]) -> bytes:
    named = _RECEIPT.match(headers.get("corridor-receipt", ""))
    try:
        salt = b64decode(named[2] or "", validate=True) if named else b""
    except (NotBase64, ValueError):
        return b""
    return salt if len(salt) == SALT_BYTES else b""


def _purpose(body: bytes) -> str | None:
    """The purpose that a question names; raises Invalid where the body is no question."""
    try:
        return msgspec.json.decode(body, type=QueryAsk).purpose
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Invalid("this question cannot be read", code="query", cause=str(error)) from error
