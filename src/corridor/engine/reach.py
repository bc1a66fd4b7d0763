# SPDX-License-Identifier: Apache-2.0
"""Uses what a partner agreed to: the consumer's side of a session (node.md d, g).

The node keeps one started transfer for each agreement and format, asks for a new one where the old
one ended or its token ran out, and relays requests so that people hold no partner's token.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from corridor.engine.decide import Speak
from corridor.engine.ground import Ground, Home
from corridor.engine.reception import Reception
from corridor.engine.renewal import Renewal
from corridor.engine.transfer import Transfers
from corridor.engine.voice import Voice
from corridor.errors import (
    BudgetSpent,
    Changed,
    CorridorError,
    Ended,
    FetchFailed,
    Invalid,
    NotAllowed,
    NotFound,
    NotReachable,
    PeerMustWait,
    Pending,
    QueryRefused,
    Refused,
)
from corridor.protocol.machine import Role
from corridor.protocol.transfer import State, Step
from corridor.store.agreements import Agreement
from corridor.store.transfers import Transfer
from corridor.wire.transfer import DataAddress
from corridor.world import Request, Streamed

PROBLEM_BYTES_MAX = 64 << 10
# What a partner may call the fault of a question; any other code would speak for our own node.
QUESTION_CODES = frozenset({"query", "query-type", "filter", "row-filter", "unsupported"})
# The decision stands in the partner's ledger: our own node cannot look its reference up.
SEE = "corridor explain --deal ID tells what it would allow; the partner can look the reference up"
PLAIN: Mapping[int, type[CorridorError]] = {
    401: NotAllowed,
    404: NotFound,
    503: PeerMustWait,
    504: PeerMustWait,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """Where a partner serves an agreement, and with which token."""

    endpoint: str
    authorization: str
    pid: str


class Reach:
    """Requests of ours to partners' data planes."""

    def __init__(
        self,
        ground: Ground,
        reception: Reception,
        transfers: Transfers,
        renewal: Renewal,
        voice: Voice,
    ) -> None:
        self._renewal = renewal
        self._voice = voice
        self._ground = ground
        self._reception = reception
        self._transfers = transfers

    async def plane(self, home: Home, agreement: Agreement, *, fresh: bool = False) -> Plane:
        """A started transfer of this agreement; raises Pending, Refused, Ended, NotReachable."""
        self._live(agreement)
        format_ = self._format(agreement)
        it = None if fresh else self._started(home, agreement, format_)
        if it is None:
            base = await self._address(home, agreement)
            begun = await self._reception.transfer(
                home,
                agreement_id=agreement.agreement_id,
                peer=agreement.peer,
                base=base,
                format_=format_,
                purpose=agreement.purpose,
            )
            it = await self._until_started(home, begun.pid)
        assert it.data_address is not None
        address = self._transfers.address(home, it.data_address)
        return _plane(await self._renewal.address(home, agreement.peer, it, address), it.pid)

    def _live(self, agreement: Agreement) -> None:
        if agreement.role != Role.CONSUMER:
            raise Invalid("you provide under this agreement; there is nothing to fetch")
        if agreement.state != "live":
            code = "agreement-withdrawn" if agreement.state == "withdrawn" else "agreement-ended"
            raise Ended(
                f"the agreement is {agreement.state}", code=code, why=agreement.reason or ""
            )

    def _format(self, agreement: Agreement) -> str:
        service = self._ground.services.get(agreement.service)
        if service is None or not service.pull_formats:
            raise Invalid(f"this node does not know the service {agreement.service}")
        return service.pull_formats[0]

    def _started(self, home: Home, agreement: Agreement, format_: str) -> Transfer | None:
        transfers = self._ground.store.of(home.slug).transfers.of_agreement(agreement.agreement_id)
        for it in reversed(transfers):
            ours = it.role == Role.CONSUMER and it.format == format_
            if ours and it.state == State.STARTED and it.data_address is not None:
                return it
        return None

    async def _address(self, home: Home, agreement: Agreement) -> str:
        record = self._ground.store.of(home.slug).negotiations.get(agreement.negotiation or "")
        if record is None or not record.callback:
            raise NotFound("nobody knows where this partner is")
        return record.callback

    async def _until_started(self, home: Home, pid: str) -> Transfer:
        store = self._ground.store.of(home.slug)

        def look() -> Transfer | None:
            it = store.transfers.get(pid)
            over = it is not None and it.state in (State.STARTED, *self._transfers.machine.final)
            return it if over else None

        it = await self._ground.bells.until(pid, look, self._ground.limits.transfer_start_wait_s)
        if it is None:
            raise Pending(
                "the partner has not started the transfer yet", waiting_for="the partner's node"
            )
        if it.state != State.STARTED or it.data_address is None:
            code, _, why = (it.reason or "refused").partition(": ")
            if code.startswith("agreement-"):
                raise Ended("the agreement is over", code=code, why=why)
            raise Refused("the partner did not start the transfer", rule=code, cause=why)
        return it

    @asynccontextmanager
    async def request(
        self,
        home: Home,
        agreement: Agreement,
        *,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        beside: str = "",
    ) -> AsyncIterator[Streamed]:
        """One request to the partner's plane; `path` is added to the session's endpoint.

        `beside` takes the place of the endpoint's last segment (`…/sql` has `…/explain` beside it).

        Raises what the partner's answer means, and NotReachable where there is none.
        """
        for fresh in (False, True):
            plane = await self.plane(home, agreement, fresh=fresh)
            asked = Request(
                purpose="plane",
                method=method,
                url=_place(plane.endpoint, beside) + path,
                headers={**headers, "authorization": plane.authorization},
                body=body,
                answer_bytes_max=self._ground.limits.read_result_bytes_max,
                timeout_s=self._ground.limits.stream_stall_s,
            )
            try:
                async with self._ground.world.net.stream(asked) as answer:
                    if answer.status == 401 and not fresh:
                        await self._over(home, plane.pid)
                        continue
                    if answer.status >= 400 and answer.status != 416:
                        raise await self._refusal(answer)
                    yield answer
                    return
            except FetchFailed as failure:
                raise NotReachable(
                    "the partner's data plane did not answer", cause=failure.what
                ) from failure

    async def _over(self, home: Home, pid: str) -> None:
        """A transfer whose token is good no more is done: it would hold a session for ever."""
        try:
            await self._voice.wish(home, self._transfers, pid, Speak(step=Step.COMPLETE))
        except (Changed, NotFound, PeerMustWait):
            return  # it ended already, or another one asks

    async def _refusal(self, answer: Streamed) -> CorridorError:
        """What a refusing plane says, as our own error."""
        told = bytearray()
        async for block in answer.blocks():
            told += block
            if len(told) > PROBLEM_BYTES_MAX:
                break
        try:
            problem = msgspec.json.decode(bytes(told), type=dict[str, object])
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            problem = {}
        code, rule = str(problem.get("code", "")), str(problem.get("rule", ""))
        what = str(problem.get("detail", "")) or f"the partner answered {answer.status}"
        told_all = {
            "rule": rule,
            "cause": str(problem.get("bound", "")),
            "reference": str(problem.get("reference", "")),
            "mend": SEE,
        }
        would_pass = str(problem.get("would_pass", ""))
        if answer.status == 429 or code == "budget-spent":
            return BudgetSpent(what, resets_at=str(problem.get("resets_at", "")), **told_all)
        if code.startswith("agreement-"):
            return Ended(what, code=code, why=told_all["cause"])
        if answer.status == 400 or would_pass:
            own = code if code in QUESTION_CODES else QueryRefused.code
            return QueryRefused(what, code=own, would_pass=would_pass, **told_all)
        known = PLAIN.get(answer.status)
        return known(what) if known is not None else Refused(what, **told_all)


def _place(endpoint: str, beside: str) -> str:
    plain = endpoint.rstrip("/")
    return f"{plain.rpartition('/')[0]}/{beside}" if beside else plain


def _plane(address: DataAddress, pid: str) -> Plane:
    endpoint = address.property("endpoint") or ""
    token = address.property("authorization") or ""
    bearer = (address.property("authType") or "").lower() == "bearer"
    named = token.lower().startswith("bearer ")
    value = f"Bearer {token}" if bearer and not named and token.startswith("c1.") else token
    return Plane(endpoint=endpoint, authorization=value, pid=pid)
