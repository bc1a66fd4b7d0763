# SPDX-License-Identifier: Apache-2.0
"""Every statement, in SQLAlchemy Core. `compile.py` writes them down as text for each dialect.

A statement is named `<table>.<verb>`. `insert`, `update`, `get` and `page` are made for every table
alike; what else a table needs stands below it. Statements that look over all participants are
named `<table>.node-<verb>` and are only within reach of `Store.node`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)

from corridor.store import schema as s
from corridor.store import schema_ledger as sl
from corridor.store.tables import METADATA

Insert = Callable[[Table], Any]
Statements = dict[str, Any]

P = bindparam


def word(value: str) -> ColumnElement[Any]:
    """A fixed word, as it stands in the text."""
    return literal_column(f"'{value}'")


def one_of(column: ColumnElement[Any], *words: str) -> ColumnElement[bool]:
    """The column is one of these fixed words."""
    return column.in_([word(each) for each in words])


def bound(table: Table, *names: str) -> ColumnElement[bool]:
    """Each named column equals the parameter of its name; the participant's always does."""
    owner = ("participant",) if "participant" in table.c else ()
    each = dict.fromkeys((*owner, *names))
    return and_(true(), *(table.c[name] == P(name) for name in each))


def rows(table: Table, *where: ColumnElement[bool]) -> Select[Any]:
    """All columns, in the table's order, oldest first."""
    return select(*table.c).where(*where).order_by(table.c.pk)


def at_most(query: Select[Any]) -> Select[Any]:
    """No more than `:limit` rows."""
    return query.limit(P("limit")).offset(literal_column("0"))


def page(table: Table, *where: ColumnElement[bool]) -> Select[Any]:
    """The next `:limit` rows behind row number `:after`."""
    return at_most(rows(table, table.c.pk > P("after"), *where))


def page_back(table: Table, *where: ColumnElement[bool]) -> Select[Any]:
    """The last `:limit` rows before row number `:before`, the newest first."""
    found = select(*table.c).where(bound(table), table.c.pk < P("before"), *where)
    return at_most(found.order_by(table.c.pk.desc()))


def purge(table: Table, age: str, *where: ColumnElement[bool]) -> Any:
    """Delete at most `:limit` rows whose `age` is before `:before`, oldest first."""
    time = table.c[age]
    old = select(table.c.pk).where(bound(table), time < P("before"), *where).order_by(time)
    return delete(table).where(bound(table), table.c.pk.in_(at_most(old)))


def counted(table: Table, *where: ColumnElement[bool]) -> Select[Any]:
    """How many rows there are."""
    return select(func.count()).select_from(table).where(*where)


def _usual(table: Table) -> Statements:
    """What every table has: insert, get by its key, page; update where something may change."""
    key = table.info["key"]
    name = table.name
    columns = [column for column in table.c if column.name != "pk"]
    made: Statements = {
        f"{name}.insert": insert(table).values({c.name: P(c.name) for c in columns}),
    }
    if "participant" not in table.c or any(it.name == f"{name}_page" for it in table.indexes):
        made[f"{name}.page"] = page(table, bound(table))
    if key:
        made[f"{name}.get"] = select(*table.c).where(bound(table, *key))
    free = [c for c in columns if not c.info.get("fixed") and c.name != "ver"]
    if key and free:
        values: dict[str, Any] = {c.name: P(c.name) for c in free}
        guard = bound(table, *key)
        if "ver" in table.c:
            values["ver"] = table.c.ver + literal_column("1")
            guard = and_(guard, table.c.ver == P("ver"))
        made[f"{name}.update"] = update(table).where(guard).values(values)
    return made


def _processes(table: Table) -> Statements:
    """Negotiations and transfers: by the peer's pid, by state, how many are under way."""
    name = table.name
    final = ("FINALIZED", "TERMINATED", "COMPLETED")
    open_now = or_(table.c.state.is_(None), table.c.state.not_in([word(each) for each in final]))
    return {
        f"{name}.by-peer-pid": select(*table.c).where(bound(table, "peer", "role", "peer_pid")),
        f"{name}.page-of-state": page(table, bound(table, "state")),
        f"{name}.open": page(table, bound(table), open_now),
        f"{name}.count-open": counted(table, bound(table), open_now),
        f"{name}.count-open-of-peer": counted(table, bound(table, "peer"), open_now),
        f"{name}.stuck": rows(
            table,
            bound(table),
            open_now,
            table.c.pending.is_not(null()),
            ~exists()
            .where(
                s.OUTBOX.c.participant == table.c.participant,
                s.OUTBOX.c.process == table.c.pid,
                one_of(s.OUTBOX.c.state, "queued", "sending", "dead"),
            )
            .correlate(table),
        ),
    }


def _agreements() -> Statements:
    agreement, approval, duty = s.AGREEMENT, s.APPROVAL, s.DUTY
    return {
        "agreement.by-id": rows(agreement, bound(agreement, "agreement_id")),
        "agreement.page-of-state": page(agreement, bound(agreement, "state")),
        "agreement.live-of-asset": rows(
            agreement, bound(agreement, "asset", "peer", "role"), one_of(agreement.c.state, "live")
        ),
        "agreement.ending-before": at_most(
            select(*agreement.c)
            .where(
                bound(agreement),
                one_of(agreement.c.state, "live", "withdrawn"),
                agreement.c.ends_at < P("before"),
            )
            .order_by(agreement.c.ends_at, agreement.c.pk)
        ),
        "approval.by-subject": rows(approval, bound(approval, "subject")),
        "approval.page-of-state": page(approval, bound(approval, "state")),
        "approval.count-of-state": counted(approval, bound(approval, "state")),
        "duty.of-agreement": rows(duty, bound(duty, "agreement_id")),
        "duty.page-of-state": page(duty, bound(duty, "state")),
    }


def _offers() -> Statements:
    offer, terms, asset = s.OFFER, s.TERMS, s.ASSET
    return {
        "offer.published": page(offer, bound(offer), one_of(offer.c.state, "published")),
        "offer.published-back": page_back(offer, one_of(offer.c.state, "published")),
        "offer.by-asset": rows(offer, bound(offer, "asset")),
        "terms.by-sha256": select(*terms.c).where(bound(terms, "sha256")),
        "asset.count": counted(asset, bound(asset)),
        "offer.count": counted(offer, bound(offer)),
    }


def _sessions() -> Statements:
    transfer, session, act, revoked = s.TRANSFER, s.SESSION, s.ACT, s.REVOCATION
    opened = one_of(act.c.state, "open")
    return {
        "transfer.of-agreement": rows(transfer, bound(transfer, "agreement_id")),
        "session.by-transfer": select(*session.c).where(bound(session, "transfer")),
        "session.of-agreement": rows(session, bound(session, "agreement_id")),
        "session.of-state": rows(session, bound(session, "state")),
        "session.count-open-of-agreement": counted(
            session, bound(session, "agreement_id"), session.c.state.not_in([word("closed")])
        ),
        "session.hold": update(session)
        .where(bound(session, "sid"), one_of(session.c.state, "open"))
        .values(ver=session.c.ver),
        "act.close": update(act).where(bound(act, "act_id"), opened).values(state=word("closed")),
        "act.open-of-session": rows(act, bound(act, "sid"), opened),
        "act.open": rows(act, bound(act), opened),
        "revocation.of-subject": rows(revoked, bound(revoked, "subject")),
        "revocation.node-last": select(func.coalesce(func.max(revoked.c.pk), literal_column("0"))),
        "revocation.node-after": at_most(rows(revoked, revoked.c.pk > P("after"))),
    }


def _counters(new: Insert) -> Statements:
    """Compare and add in one write: 0 rows where it would not fit."""
    counter, reservation = s.COUNTER, s.RESERVATION
    keys = counter.info["key"]
    started = bound(counter, *keys)

    def add(used: Any, held: Any) -> Any:
        names = [*keys, "used", "held", "cap", "ver"]
        first: Any = select(
            *(P(key) for key in keys), used, held, P("cap"), literal_column("1")
        ).where(P("amount") <= P("cap"))
        put = new(counter).from_select(names, first)
        fits = counter.c.used + counter.c.held + P("amount") <= P("cap")
        values = {
            "used": counter.c.used + put.excluded.used,
            "held": counter.c.held + put.excluded.held,
            "cap": put.excluded.cap,
            "ver": counter.c.ver + literal_column("1"),
        }
        return put.on_conflict_do_update(index_elements=list(keys), set_=values, where=fits)

    zero: Any = literal_column("0")
    held = reservation.c.state == word("held")
    return {
        "counter.charge": add(P("amount"), zero),
        "counter.reserve": add(zero, P("amount")),
        "counter.settle": update(counter)
        .where(started, counter.c.held >= P("held_amount"))
        .values(
            held=counter.c.held - P("held_amount"),
            used=counter.c.used + P("used_amount"),
            ver=counter.c.ver + literal_column("1"),
        ),
        "counter.of-scope": rows(counter, bound(counter, "scope")),
        "reservation.finish": update(reservation)
        .where(bound(reservation, *reservation.info["key"]), held)
        .values(state=P("state")),
        "reservation.held": rows(reservation, bound(reservation), held),
        "reservation.of-request": rows(reservation, bound(reservation, "request_id")),
    }


def _boxes() -> Statements:
    inbox, outbox = s.INBOX, s.OUTBOX
    alive = one_of(outbox.c.state, "queued", "sending")
    me = bound(outbox, "message_id")

    def become(state: str, **values: Any) -> Any:
        told: dict[str, Any] = {name: P(name) for name in values}
        clear = {"claim": null(), "claim_until": null()}
        return update(outbox).values(state=word(state), **clear, **told)

    return {
        "inbox.seen": at_most(rows(inbox, bound(inbox, "process", "message_id"))),
        "inbox.seen-digest": at_most(rows(inbox, bound(inbox, "process", "sha256"))),
        "inbox.count-of-process": counted(inbox, bound(inbox, "process")),
        "inbox.purge": purge(inbox, "at"),
        "inbox.purge-of-process": delete(inbox).where(bound(inbox, "process")),
        "outbox.of-process": rows(outbox, bound(outbox, "process"), alive),
        "outbox.count": counted(outbox, bound(outbox, "peer"), alive),
        "outbox.page-of-state": page(outbox, bound(outbox, "state")),
        "outbox.done": become("done").where(me, alive),
        "outbox.retry": become("queued", attempts=1, next_at=1, error=1).where(me, alive),
        "outbox.supersede": become("superseded").where(me, alive),
        "outbox.dead": become("dead", error=1).where(me, alive),
        "outbox.revive": become("queued", next_at=1).where(me, one_of(outbox.c.state, "dead")),
        "outbox.claim": update(outbox)
        .where(me, alive)
        .values(state=word("sending"), claim=P("claim"), claim_until=P("claim_until")),
        "outbox.purge": purge(outbox, "created", outbox.c.state == P("state")),
        "outbox.node-pending": select(*outbox.c)
        .where(alive)
        .order_by(outbox.c.next_at, outbox.c.pk),
        "outbox.node-count-of-state": select(outbox.c.state, func.count()).group_by(outbox.c.state),
    }


def _wakes(new: Insert) -> Statements:
    wake, job = s.WAKE, s.JOB
    key = wake.info["key"]
    put = new(wake).values({c.name: P(c.name) for c in wake.c if c.name != "pk"})
    return {
        "wake.put": put.on_conflict_do_update(
            index_elements=list(key),
            set_={"at": put.excluded.at, "claim_until": put.excluded.claim_until},
        ),
        "wake.delete": delete(wake).where(bound(wake, *key)),
        "wake.of-subject": rows(wake, bound(wake, "subject")),
        "wake.delete-of-subject": delete(wake).where(bound(wake, "subject")),
        "wake.node-all": select(*wake.c).order_by(wake.c.at, wake.c.pk),
        "wake.node-due": at_most(
            select(*wake.c).where(wake.c.at <= P("now")).order_by(wake.c.at, wake.c.pk)
        ),
        "wake.node-first": at_most(select(*wake.c).order_by(wake.c.at, wake.c.pk)),
        "job.page-of-state": page(job, bound(job, "state")),
        "job.node-open": rows(job, one_of(job.c.state, "queued", "running")),
    }


def _people(new: Insert) -> Statements:
    user, grant, token, answer = s.USER, s.GRANT, s.API_TOKEN, s.IDEMPOTENCY
    granted = new(grant).values({c.name: P(c.name) for c in grant.c if c.name != "pk"})
    return {
        "user.by-login": select(*user.c).where(user.c.login == P("login")),
        "user.by-oidc": select(*user.c).where(
            user.c.oidc_iss == P("oidc_iss"), user.c.oidc_sub == P("oidc_sub")
        ),
        "user.count": counted(user),
        "grant.put": granted.on_conflict_do_nothing(),
        "grant.delete": delete(grant).where(bound(grant, *grant.info["key"])),
        "grant.of-user": rows(grant, bound(grant, "user_id")),
        "grant.node-of-user": rows(grant, grant.c.user_id == P("user_id")),
        "grant.node-delete-of-user": delete(grant).where(grant.c.user_id == P("user_id")),
        "api_token.by-sha256": select(*token.c).where(token.c.sha256 == P("sha256")),
        "api_token.of-user": rows(token, token.c.user_id == P("user_id")),
        "api_token.used": update(token)
        .where(token.c.token_id == P("token_id"))
        .values(last_used=P("last_used")),
        "api_token.delete": delete(token).where(token.c.token_id == P("token_id")),
        "api_token.delete-of-user": delete(token).where(token.c.user_id == P("user_id")),
        "api_token.purge": purge(token, "expires"),
        "idempotency.finish": update(answer)
        .where(bound(answer, *answer.info["key"]), answer.c.status.is_(None))
        .values(status=P("status"), answer=P("answer")),
        "idempotency.delete": delete(answer).where(
            bound(answer, *answer.info["key"]), answer.c.status.is_(None)
        ),
        "idempotency.purge": purge(answer, "expires"),
    }


def _rest(new: Insert) -> Statements:
    meta, peer, key, token, event = s.META, s.PEER, s.SIGNING_KEY, s.SEEN_TOKEN, s.EVENT
    beat, held = s.NODE_PROCESS, s.PARTICIPANT
    put = new(meta).values(name=P("name"), value=P("value"))
    newest = select(func.max(event.c.pk)).scalar_subquery()
    known = new(peer).values({c.name: P(c.name) for c in peer.c if c.name != "pk"})
    told: list[str] = [
        c.name for c in peer.c if not c.info.get("fixed") and c.name not in ("pk", "ver")
    ]
    return {
        "meta.put": put.on_conflict_do_update(
            index_elements=["name"], set_={"value": put.excluded.value}
        ),
        "node_process.delete": delete(beat).where(beat.c.process_id == P("process_id")),
        "participant.by-did": select(*held.c).where(held.c.did == P("did")),
        "peer.put": known.on_conflict_do_update(
            index_elements=list(peer.info["key"]),
            set_={
                **{name: known.excluded[name] for name in told},
                "ver": peer.c.ver + literal_column("1"),
            },
        ),
        "peer.by-handle": select(*peer.c).where(bound(peer, "handle")),
        "peer.count": counted(peer, bound(peer)),
        "peer.delete": delete(peer).where(bound(peer, "did", "ver")),
        "signing_key.all": rows(key, bound(key)),
        "signing_key.of-use": rows(key, bound(key, "use")),
        "seen_token.purge": purge(token, "expires"),
        # the newest stays, so that row numbers only grow (Last-Event-ID is one)
        "event.purge": purge(event, "at", event.c.pk < newest),
        "event.of-subject": rows(event, bound(event, "subject")),
        "event.last": select(func.coalesce(func.max(event.c.pk), literal_column("0"))).where(
            bound(event)
        ),
    }


def _ledger_writing(new: Insert) -> Statements:
    """Entries come in unplaced, are placed, and the tree grows by them; payloads can be erased."""
    ledger, entry, chain, tile = sl.LEDGER, sl.LEDGER_ENTRY, sl.LEDGER_CHAIN, sl.LEDGER_TILE
    payload = sl.LEDGER_PAYLOAD
    of = bound(ledger)
    open_now = one_of(ledger.c.state, "open")
    names = ["ledger", "id", "type", "thread", "time", "body"]
    leaf = select(ledger.c.pk, *(P(name) for name in names[1:])).where(of, open_now)
    beside = select(
        ledger.c.pk, *(P(name) for name in ("entry", "slot", "digest", "sealed"))
    ).where(of, open_now)
    head = new(chain).values({c.name: P(c.name) for c in chain.c if c.name != "pk"})
    edge = new(tile).values({c.name: P(c.name) for c in tile.c if c.name != "pk"})
    return {
        "ledger.set-state": update(ledger)
        .where(bound(ledger, "epoch"), ledger.c.state == P("old"))
        .values(state=P("state")),
        "ledger_entry.append": insert(entry).from_select(names, leaf),
        "ledger_payload.append": insert(payload).from_select(
            ["ledger", "entry", "slot", "digest", "sealed"], beside
        ),
        "ledger_entry.place": update(entry)
        .where(entry.c.pk == P("pk"))
        .values({name: P(name) for name in ("index", "number", "prior", "leaf")}),
        "ledger.grow": update(ledger)
        .where(ledger.c.pk == P("ledger"), ledger.c.size == P("old"), open_now)
        .values(size=P("size"), root=P("root"), last_time=P("last_time")),
        "ledger_chain.put": head.on_conflict_do_update(
            index_elements=["ledger", "thread"],
            set_={"number": head.excluded.number, "leaf": head.excluded.leaf},
        ),
        "ledger_tile.put": edge.on_conflict_do_update(
            index_elements=["ledger", "level", "n"], set_={"hashes": edge.excluded.hashes}
        ),
        "ledger_payload.erase": update(payload)
        .where(
            payload.c.ledger == P("ledger"),
            payload.c.digest == P("digest"),
            payload.c.sealed.is_not(None),
        )
        .values(sealed=null(), erased=P("erased")),
    }


def _ledger_reading() -> Statements:
    """What is to be placed, and what is shown and proven."""
    ledger, entry = sl.LEDGER, sl.LEDGER_ENTRY
    note, payload = sl.LEDGER_CHECKPOINT, sl.LEDGER_PAYLOAD
    mine = entry.c.ledger == P("ledger")
    notes = select(*note.c).where(note.c.ledger == P("ledger"))
    return {
        "ledger.current": select(*ledger.c).where(bound(ledger), ledger.c.state != word("closed")),
        "ledger.node-all": rows(ledger),
        "ledger.head": select(ledger.c.size, ledger.c.last_time).where(ledger.c.pk == P("ledger")),
        "ledger_entry.unplaced": at_most(
            select(entry.c.pk, entry.c.ledger, entry.c.thread, entry.c.time, entry.c.body)
            .where(
                entry.c.index.is_(None),
                exists()
                .where(ledger.c.pk == entry.c.ledger, one_of(ledger.c.state, "open"))
                .correlate(entry),
            )
            .order_by(entry.c.pk)
        ),
        "ledger_entry.by-id": select(*entry.c).where(mine, entry.c.id == P("id")),
        "ledger_entry.by-index": select(*entry.c).where(mine, entry.c.index == P("index")),
        "ledger_entry.from-index": at_most(
            select(*entry.c).where(mine, entry.c.index >= P("start")).order_by(entry.c.index)
        ),
        "ledger_entry.of-thread": at_most(
            select(*entry.c)
            .where(mine, entry.c.thread == P("thread"), entry.c.number > P("after"))
            .order_by(entry.c.number)
        ),
        "ledger_entry.node-count-unplaced": counted(entry, entry.c.index.is_(None)),
        "ledger_entry.unplaced-of-thread": counted(
            entry, mine, entry.c.thread == P("thread"), entry.c.index.is_(None)
        ),
        "ledger_checkpoint.latest": notes.order_by(note.c.size.desc())
        .limit(literal_column("1"))
        .offset(literal_column("0")),
        "ledger_checkpoint.at-least": notes.where(note.c.size >= P("size"))
        .order_by(note.c.size)
        .limit(literal_column("1"))
        .offset(literal_column("0")),
        "ledger_payload.of-entry": rows(
            payload, payload.c.ledger == P("ledger"), payload.c.entry == P("entry")
        ),
    }


def build(new: Insert) -> Statements:
    """All statements by name. `new` is the dialect's own insert, which knows ON CONFLICT."""
    made: Statements = {}
    groups = [_usual(table) for table in METADATA.sorted_tables]
    groups += [
        _processes(s.NEGOTIATION),
        _processes(s.TRANSFER),
        _agreements(),
        _offers(),
        _sessions(),
        _counters(new),
        _boxes(),
        _wakes(new),
        _people(new),
        _rest(new),
        _ledger_writing(new),
        _ledger_reading(),
    ]
    for group in groups:
        assert not made.keys() & group.keys()
        made.update(group)
    return made
