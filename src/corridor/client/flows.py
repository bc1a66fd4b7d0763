# SPDX-License-Identifier: Apache-2.0
"""Every call to our own node as a generator: which operation, which body, what comes back.

The interface is `wire.home.OPERATIONS`; nothing here knows how bytes travel.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from corridor.client.exchange import Ask, Emit, Emitting, Flow, More, Pause, ask, blocks
from corridor.errors import Ended, NotAllowed, NotFound, NotReachable, Pending, Refused, Unreadable
from corridor.wire.home import (
    BYTES,
    JSON,
    OPERATIONS,
    PROBLEM,
    DealView,
    EventView,
    FindAsk,
    Found,
    Me,
    Page,
    QueryAsk,
    RequestAsk,
)

PAGE = 100
LOOK_S = (0.2, 2.0)
EVENT_BYTES_MAX = 1 << 20
_NAME = re.compile(r"\{(\w+)(\*?)\}")


class Line:
    """Which participant of the node the calls are about: given, or learned at the first call."""

    def __init__(self, participant: str = "") -> None:
        self.participant = participant


def slug(line: Line) -> Flow[str]:
    """The participant; NotAllowed where the token is good for none, or for several."""
    if not line.participant:
        me: Me = yield from call(line, "me")
        known = sorted(name for name in me.roles if name not in ("", "*"))
        if len(known) != 1:
            raise NotAllowed(
                "say for which participant",
                cause=f"this token is good for: {', '.join(known) or 'none'}",
                mend="--participant NAME, or participant in the profile",
            )
        line.participant = known[0]
    return line.participant


def path_of(operation: str, names: Mapping[str, str]) -> str:
    """The operation's path; a name is one segment, `{name*}` keeps its slashes."""

    def fill(found: re.Match[str]) -> str:
        return quote(names[found[1]], safe="/" if found[2] else "")

    return _NAME.sub(fill, OPERATIONS[operation].path)


def call(
    line: Line,
    operation: str,
    /,
    *,
    body: Any = None,
    query: Mapping[str, str] | None = None,
    wait_s: float = 0.0,
    **names: str,
) -> Flow[Any]:
    """One operation of the table, its answer decoded; names in its path as keywords."""
    return operate(line, operation, names, body=body, query=query, wait_s=wait_s)


def operate(
    line: Line,
    operation: str,
    names: Mapping[str, str],
    *,
    body: Any = None,
    query: Mapping[str, str] | None = None,
    wait_s: float = 0.0,
) -> Flow[Any]:
    """The same, with the names as a mapping. What changes something may be repeated: it is named.

    `wait_s`: how long the node may take beyond the usual silence.
    """
    known = OPERATIONS[operation]
    if "{participant}" in known.path:
        participant = yield from slug(line)
        names = {**names, "participant": participant}
    content = b"" if body is None else body if isinstance(body, bytes) else encode(body)
    headers = {"accept": f"application/json, {PROBLEM}"}
    if content:
        headers["content-type"] = BYTES if isinstance(body, bytes) else JSON
    if known.method == "POST":
        headers["idempotency-key"] = secrets.token_hex(16)
    it = Ask(
        method=known.method,
        path=path_of(operation, names),
        query=query or {},
        headers=headers,
        body=content,
        wait_s=wait_s,
    )
    got = yield from ask(it, again=True)
    return None if known.answer is None else decode(got.body, known.answer)


def encode(body: Any) -> bytes:
    """A body without what is not set: the other side has the same defaults."""
    told = {
        it.name: getattr(body, it.name)
        for it in msgspec.structs.fields(body)
        if getattr(body, it.name) is not None
    }
    return msgspec.json.encode(told)


def decode(content: bytes, shape: Any) -> Any:
    """An answer of our own node; Unreadable where it is none."""
    try:
        if isinstance(shape, str):  # a media type: JSON without a type of its own
            return msgspec.json.decode(content)
        return msgspec.json.decode(content, type=shape)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Unreadable("the node's answer cannot be read", cause=str(error)) from error


def page(
    line: Line, operation: str, query: Mapping[str, str], after: str | None, **names: str
) -> Flow[Page[Any]]:
    """One page of a list."""
    asked = dict(query)
    if "limit" in OPERATIONS[operation].query:
        asked["limit"] = str(PAGE)
    if after is not None:
        asked["after"] = after
    found: Page[Any] = yield from operate(line, operation, names, query=asked)
    return found


def find_page(line: Line, body: FindAsk, after: str | None) -> Flow[Found]:
    """One page of what partners offer."""
    query = {"limit": str(PAGE)} | ({} if after is None else {"after": after})
    found: Found = yield from call(line, "find", body=body, query=query, wait_s=30.0)
    return found


def asset_of(line: Line, partner: str, asset: str) -> Flow[Any]:
    """What a partner offers by this id; NotFound names the partner."""
    for fresh in (False, True):  # what the node kept may be a minute old
        after: str | None = None
        while True:
            found = yield from find_page(line, FindAsk(partner=partner, fresh=fresh), after)
            for it in found.items:
                if it.id == asset:
                    return it
            for silent in found.silent:
                raise NotReachable(f"{silent.partner} did not answer", code=known(silent.code))
            after = found.next
            if after is None:
                break
    raise NotFound(f"{partner} offers no {asset}", mend=f"corridor find --partner {partner}")


def known(code: str) -> str:
    """The code of a silent partner, where it is one that says so."""
    near = ("partner-unreachable", "unreachable", "timeout", "bad-tls", "refused-address")
    return code if code in near else "partner-unreachable"


def request(line: Line, body: RequestAsk) -> Flow[DealView]:
    """Ask for an agreement; what comes back may still be on its way."""
    deal: DealView = yield from call(line, "request", body=body, wait_s=body.wait_s)
    return deal


def settle(line: Line, deal: DealView, timeout_s: float | None) -> Flow[DealView]:
    """Look again until it is agreed or over; Pending after `timeout_s`."""
    begin, wait = time.monotonic(), LOOK_S[0]
    while deal.pending:
        if timeout_s is not None and time.monotonic() - begin >= timeout_s:
            raise pending(deal)
        yield Pause(wait)
        wait = min(wait * 1.5, LOOK_S[1])
        deal = yield from call(line, "deal", id=deal.id)
    return deal


def pending(deal: DealView) -> Pending:
    """It is somebody else's turn."""
    return Pending(
        deal.what_next or "not agreed yet",
        waiting_for=deal.waiting_for,
        since=deal.since,
        cause=f"waiting for {deal.waiting_for or deal.partner} since {minute(deal.since)}",
        mend=f"corridor deal show {short(deal.id)}",
    )


def usable(deal: DealView) -> None:
    """Raise what stands in the way of using the deal: Pending, Ended, or Refused."""
    if deal.pending:
        raise pending(deal)
    if not deal.agreement:
        raise Refused(
            f"{deal.partner} and we did not agree", code="peer-refused", cause=deal.reason
        )


def ended(deal: DealView) -> Ended | None:
    """The error for a deal that is over; None while it is live."""
    if deal.state == "live" or deal.pending:
        return None
    code = "agreement-withdrawn" if deal.state == "withdrawn" else "agreement-ended"
    how = "was given back" if deal.state == "returned" else f"is {deal.state}"
    return Ended(f"this agreement {how}", code=code, why=deal.reason, cause=deal.reason)


def minute(told: str) -> str:
    """A time of the API (UTC) as a sentence has it."""
    return f"{told[:10]} {told[11:16]} UTC" if told.endswith("Z") else told


def short(identity: str) -> str:
    """What people type of an id."""
    return identity.removeprefix("urn:uuid:")[:13]


def explain_query(line: Line, deal: str, body: QueryAsk) -> Flow[Mapping[str, Any]]:
    """Whether a question would be allowed."""
    told: Mapping[str, Any] = yield from call(line, "query.explain", body=body, id=deal)
    return told


def watch(line: Line, since: str | None, kinds: Collection[str]) -> Emitting:
    """Events as they come. A dropped line resumes behind the last one."""
    last = since
    participant = yield from slug(line)
    quiet = 0
    while True:
        query = {"kind": ",".join(sorted(kinds))} if kinds else {}
        headers = {"accept": "text/event-stream"}
        if last is not None:
            headers["last-event-id"] = last
        path = path_of("events", {"participant": participant})
        try:
            yield from blocks(Ask(method="GET", path=path, query=query, headers=headers))
            rest = b""
            while block := (yield More()):
                rest += block
                *whole, rest = re.split(rb"\r?\n\r?\n", rest)
                if len(rest) > EVENT_BYTES_MAX:
                    raise Unreadable("an event that does not end")
                for told in whole:
                    event = _event(told)
                    if event is not None:
                        last, quiet = event.id, 0
                        yield Emit(event)
        except NotReachable:
            quiet += 1
            if quiet > 10:  # about half a minute without any answer
                raise
        yield Pause(min(0.2 * 2**quiet, 5.0))


def _event(told: bytes) -> EventView | None:
    """An event of a stream; None for a comment."""
    lines = [it.removeprefix(b"data:").strip() for it in told.splitlines() if it[:5] == b"data:"]
    if not lines:
        return None
    event: EventView = decode(b"\n".join(lines), EventView)
    return event
