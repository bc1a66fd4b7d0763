# SPDX-License-Identifier: Apache-2.0
"""The management API: `/api/v1` for the node's own people (node.md g).

Every operation stands in `wire.home.OPERATIONS`, who may do it in `roles.ROLES`, what it does in
the desk; here they are joined. A request passes: (1) the Host is ours  (2) a token  (3) the
participant and a role there  (4) query and body  (5) an Idempotency-Key, where one came  (6) the
verb. Tokens only, no cookies. ETags are not in this version: what changes is guarded by the store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from corridor import telemetry
from corridor.engine import Engine
from corridor.engine.desk import Account, Desk
from corridor.engine.ground import Home
from corridor.errors import (
    CorridorError,
    NotAllowed,
    NotFound,
)
from corridor.http import problems
from corridor.http.asked import Asked, Cursors, read_body, read_limit, read_query
from corridor.http.health import Health, Meters
from corridor.http.keys import Once, Ticket
from corridor.http.openapi import openapi
from corridor.http.relay import Relay
from corridor.http.roles import ROLES
from corridor.http.routes import ARole, Call, Route, respond
from corridor.http.server import read_body as receive_body
from corridor.wire.home import BYTES, OPERATIONS, PROBLEM, DealView, Found, Operation, Page

BODY_FREE = frozenset({"GET", "DELETE"})
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Told:
    """What a verb answers; `body` None is none."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Verb = Callable[[Asked], Awaitable[Told | None]]
"""None: the verb has answered by itself."""


class Management:
    """The home face's API for all participants of an engine."""

    def __init__(
        self,
        engine: Engine,
        desk: Desk,
        *,
        hosts: Collection[str],
        health: Health,
        meters: Meters,
    ) -> None:
        """`hosts`: the Host headers that are answered; empty: all, for tests of parts."""
        self._engine = engine
        self._desk = desk
        self._limits = engine.ground.limits
        self._hosts = frozenset(host.lower() for host in hosts)
        self._health = health
        self._meters = meters
        self._cursors = Cursors(engine)
        self._once = Once(engine.ground)
        self._relay = Relay(engine, desk)

    def drain(self) -> None:
        """Say goodbye to whoever follows events; others end by themselves."""
        self._relay.drain()

    def routes(self) -> list[Route]:
        """One row an operation."""
        verbs = self._verbs()
        return [
            Route(it.method, it.path, self._action(name, it, ROLES[name], verbs[name]), ROLES[name])
            for name, it in OPERATIONS.items()
        ]

    # one request

    def _action(
        self, name: str, operation: Operation, role: ARole, verb: Verb
    ) -> Callable[[Call], Awaitable[None]]:
        async def act(call: Call) -> None:
            try:
                asked = await self._asked(call, operation, role)
                status = await self._answer(call, name, operation, asked, verb)
            except CorridorError as error:
                status = await self._refuse(call, error)
            self._meters.count("home", name, status)

        return act

    async def _asked(self, call: Call, operation: Operation, role: ARole) -> Asked:
        self._check_host(call)  # (1)
        account = await self._desk.tokens.account(call.headers.get("authorization"))  # (2)
        home = self._home(call, account, role)  # (3)
        query = read_query(call, operation)  # (4)
        raw, body = b"", None
        if operation.method not in BODY_FREE and operation.ask != BYTES:
            raw = await receive_body(
                call.receive, self._limits.message_bytes_max, self._limits.body_read_s
            )
            typed = operation.ask is not None and not isinstance(operation.ask, str)
            body = read_body(raw, operation, self._limits) if typed else None
        return Asked(
            call=call,
            account=account,
            names=call.names,
            query=query,
            body=body,
            raw=raw,
            after=self._cursors.read(call.path, query.get("after", "")),
            limit=read_limit(query, self._limits),
            participant=home,
        )

    def _check_host(self, call: Call) -> None:
        """Against DNS rebinding: a page of somebody else's reaches us under its own name."""
        if self._hosts and call.headers.get("host", "").lower() not in self._hosts:
            raise NotFound("this node does not answer to this name", code="wrong-host")

    def _home(self, call: Call, account: Account, role: ARole) -> Home | None:
        slug = call.names.get("participant")
        if slug is None:
            held, home = account.everywhere, None
        else:
            home = self._engine.ground.homes.get(slug)
            held = account.roles.get(slug, frozenset())
            if home is None or not held:
                raise NotFound("no such participant")
        if role.roles and not role.roles & held:
            raise NotAllowed(f"this needs the role {' or '.join(sorted(role.roles))}")
        return home

    async def _answer(
        self, call: Call, name: str, operation: Operation, asked: Asked, verb: Verb
    ) -> int:
        key = call.headers.get("idempotency-key", "")
        ticket: Ticket | None = None
        if key and operation.method == "POST" and asked.participant and name not in STREAMED:
            request = b"\n".join((call.path.encode(), call.query.encode(), asked.raw))
            begun = await self._once.begin(asked.home, asked.account.user, key, request)  # (5)
            if not isinstance(begun, Ticket):
                await respond(call.send, begun[0], begun[1])
                return begun[0]
            ticket = begun
        try:
            told = await verb(asked)  # (6)
        except BaseException:
            if ticket is not None:
                await self._once.failed(ticket)
            raise
        if told is None:
            return 200
        body = self._body(call, told.body)
        if ticket is not None:
            await self._once.done(ticket, told.status, body)
        await respond(call.send, told.status, body, headers=told.headers)
        return told.status

    def _body(self, call: Call, body: Any) -> bytes:
        """A list's position goes out as a cursor."""
        if body is None:
            return b""
        if isinstance(body, bytes):
            return body
        if isinstance(body, (Page, Found)) and body.next is not None:
            body = msgspec.structs.replace(body, next=self._cursors.write(call.path, body.next))
        return msgspec.json.encode(body)

    async def _refuse(self, call: Call, error: CorridorError) -> int:
        status = problems.status_of(error)
        if status == 500:
            log.error(telemetry.HOME_FAILED, path=call.path, code=error.code, why=error.what)
        headers = problems.headers_of(error, status)
        body = problems.body_of(error, status)
        await respond(call.send, status, body, media=PROBLEM, headers=headers)
        return status

    # verbs

    def _verbs(self) -> dict[str, Verb]:
        return {
            **self._node_verbs(),
            **self._offer_verbs(),
            **self._deal_verbs(),
            **self._use_verbs(),
            **self._ledger_verbs(),
        }

    def _node_verbs(self) -> dict[str, Verb]:
        desk, tokens = self._desk.node, self._desk.tokens

        async def node(_: Asked) -> Told:
            return Told(desk.info(ready=(await self._health.look()).ready))

        async def add(it: Asked) -> Told:
            return Told(await tokens.add(it.account, it.body), 201)

        async def revoke(it: Asked) -> Told:
            await tokens.revoke(it.account, it.names["id"])
            return Told(status=204)

        return {
            "node": node,
            "me": _now(lambda it: tokens.me(it.account)),
            "participants": _now(lambda _: Page(items=desk.participants())),
            "openapi": _now(lambda _: openapi(self._desk.means.version)),
            "tokens": _now(lambda it: tokens.page(after=it.after, limit=it.limit)),
            "token.add": add,
            "token.revoke": revoke,
            "keys": _now(lambda it: desk.keys(it.home)),
            "key.rotate": _then(lambda it: desk.rotate(it.home, it.actor, it.body.use)),
            "outbox": _now(
                lambda it: desk.letters(
                    it.home, after=it.after, limit=it.limit, state=it.text("state")
                )
            ),
            "outbox.retry": _then(lambda it: desk.retry(it.home, it.actor, it.names["id"])),
            "outbox.abandon": _then(lambda it: desk.abandon(it.home, it.actor, it.names["id"])),
            "events": self._relay.events,
        }

    def _offer_verbs(self) -> dict[str, Verb]:
        offers, partners, find = self._desk.offers, self._desk.partners, self._desk.find

        async def add_partner(it: Asked) -> Told:
            return Told(await partners.add(it.home, it.actor, it.body), 201)

        async def remove_partner(it: Asked) -> Told:
            await partners.remove(it.home, it.actor, it.names["id"])
            return Told(status=204)

        async def add_offer(it: Asked) -> Told:
            return Told(await offers.add(it.home, it.actor, it.body), 201)

        async def upload(it: Asked) -> Told:
            blocks = self._relay.upload(it)
            names = it.names
            return Told(
                await offers.upload(it.home, it.actor, names["id"], names["name"], blocks), 201
            )

        return {
            "assets": _now(lambda it: offers.assets(it.home, after=it.after, limit=it.limit)),
            "asset": _now(lambda it: offers.asset(it.home, it.names["id"])),
            "asset.upload": upload,
            "asset.look": _then(lambda it: offers.look(it.home, it.body)),
            "terms.check": _then(lambda it: offers.check(it.home, it.body)),
            "offers": _now(
                lambda it: offers.page(
                    it.home,
                    after=it.after,
                    limit=it.limit,
                    asset=it.text("asset"),
                    state=it.text("state"),
                )
            ),
            "offer.add": add_offer,
            "offer": _now(lambda it: offers.show(it.home, it.names["id"])),
            "offer.publish": _then(lambda it: offers.publish(it.home, it.actor, it.names["id"])),
            "offer.hide": _then(lambda it: offers.hide(it.home, it.actor, it.names["id"])),
            "partners": _then(lambda it: partners.page(it.home, after=it.after, limit=it.limit)),
            "partner.add": add_partner,
            "partner": _then(lambda it: partners.show(it.home, it.names["id"])),
            "partner.test": _then(lambda it: partners.test(it.home, it.names["id"])),
            "partner.remove": remove_partner,
            "find": _then(lambda it: find.find(it.home, it.body, after=it.after, limit=it.limit)),
        }

    def _deal_verbs(self) -> dict[str, Verb]:
        asking, deals, ending = self._desk.asking, self._desk.deals, self._desk.ending

        async def request(it: Asked) -> Told:
            deal: DealView = await asking.request(it.home, it.actor, it.body)
            return Told(deal, 202 if deal.pending else 200)

        return {
            "request": request,
            "negotiations": _now(
                lambda it: asking.page(
                    it.home, after=it.after, limit=it.limit, state=it.text("state")
                )
            ),
            "negotiation": _now(lambda it: asking.show(it.home, it.names["id"])),
            "negotiation.accept": _then(
                lambda it: asking.accept(it.home, it.actor, it.names["id"])
            ),
            "negotiation.counter": _then(
                lambda it: asking.counter(it.home, it.actor, it.names["id"], it.body.terms)
            ),
            "negotiation.terminate": _then(
                lambda it: asking.terminate(it.home, it.actor, it.names["id"], it.body.reason)
            ),
            "deals": _now(
                lambda it: deals.page(
                    it.home,
                    after=it.after,
                    limit=it.limit,
                    role=it.text("role"),
                    state=it.text("state"),
                    partner=it.text("partner"),
                    asset=it.text("asset"),
                    on_its_way=it.flag("on_its_way"),
                )
            ),
            "deal": _now(lambda it: deals.show(it.home, it.names["id"])),
            "deal.withdraw": _then(
                lambda it: ending.withdraw(
                    it.home,
                    it.actor,
                    it.names["id"],
                    reason=it.body.reason,
                    dry_run=it.body.dry_run,
                )
            ),
            "deal.give-back": _then(
                lambda it: ending.give_back(
                    it.home,
                    it.actor,
                    it.names["id"],
                    reason=it.body.reason,
                    dry_run=it.body.dry_run,
                )
            ),
        }

    def _use_verbs(self) -> dict[str, Verb]:
        flows, receipts = self._desk.transfers, self._desk.receipts

        async def start(it: Asked) -> Told:
            view = await flows.start(it.home, it.actor, it.body)
            return Told(view, 202 if view.state in ("", "REQUESTED") else 200)

        def act(verb: str) -> Verb:
            return _then(
                lambda it: flows.act(
                    it.home, it.actor, it.names["id"], verb, getattr(it.body, "reason", "")
                )
            )

        return {
            "query": self._relay.query,
            "query.explain": _then(
                lambda it: self._desk.use.explain(it.home, it.actor, it.names["id"], it.raw)
            ),
            "file": self._relay.file,
            "receipts": _now(
                lambda it: receipts.page(it.home, it.names["id"], after=it.after, limit=it.limit)
            ),
            "receipt": _then(
                lambda it: receipts.show(it.home, it.names["id"], it.names["receipt"])
            ),
            "receipt.verify": _then(
                lambda it: receipts.verify(it.home, it.names["id"], it.names["receipt"])
            ),
            "transfers": _now(
                lambda it: flows.page(
                    it.home,
                    after=it.after,
                    limit=it.limit,
                    state=it.text("state"),
                    deal=it.text("deal"),
                )
            ),
            "transfer.start": start,
            "transfer": _now(lambda it: flows.show(it.home, it.names["id"])),
            "transfer.suspend": act("suspend"),
            "transfer.resume": act("resume"),
            "transfer.complete": act("complete"),
            "transfer.terminate": act("terminate"),
            "transfer.address": _then(lambda it: flows.address(it.home, it.actor, it.names["id"])),
        }

    def _ledger_verbs(self) -> dict[str, Verb]:
        evidence = self._desk.evidence
        return {
            "explain": _now(lambda it: evidence.explain(it.home, it.body)),
            "explain.reference": _now(lambda it: evidence.reference(it.home, it.names["id"])),
            "entries": _now(
                lambda it: evidence.entries(
                    it.home,
                    after=it.after,
                    limit=it.limit,
                    since=it.text("since"),
                    kind=it.text("kind"),
                    deal=it.text("deal"),
                    partner=it.text("partner"),
                    order=it.text("order"),
                )
            ),
            "entry": _now(lambda it: evidence.entry(it.home, it.names["id"])),
            "ledger.verify": _then(lambda it: evidence.verify(it.home)),
        }


STREAMED = frozenset({"query", "query.explain", "asset.upload"})
"""A question whose answer broke is not repeated by itself: it may have cost something."""


def _now(verb: Callable[[Asked], Any]) -> Verb:
    """A verb that needs nobody else."""

    async def told(asked: Asked) -> Told:
        return Told(verb(asked))

    return told


def _then(verb: Callable[[Asked], Awaitable[Any]]) -> Verb:
    """A verb that waits."""

    async def told(asked: Asked) -> Told:
        return Told(await verb(asked))

    return told
