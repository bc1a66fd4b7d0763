# SPDX-License-Identifier: Apache-2.0
"""The tables of the ledger (evidence.md 2.3). `pk` of an entry is the order of its commit."""

from __future__ import annotations

from sqlalchemy import Index, LargeBinary, UniqueConstraint, text

from corridor.store.tables import Number, fixed, free, maybe, owned, table

LEDGER = owned(
    "ledger",
    fixed("epoch", Number),
    fixed("origin"),
    free("state"),
    free("size", Number),
    free("root", LargeBinary),
    free("last_time", Number),
    Index("ledger_open", "participant", unique=True, sqlite_where=text("state <> 'closed'")),
    one_of="epoch",
)
LEDGER_ENTRY = table(
    "ledger_entry",
    fixed("ledger", Number),
    fixed("id"),
    fixed("type"),
    fixed("thread", null=True),
    fixed("time", Number),
    fixed("body", LargeBinary),
    maybe("index", Number),
    maybe("number", Number),
    maybe("prior", LargeBinary),
    maybe("leaf", LargeBinary),
    UniqueConstraint("ledger", "index", name="ledger_entry_index"),
    Index("ledger_entry_unplaced", "index", "pk", sqlite_where=text('"index" IS NULL')),
    Index(
        "ledger_entry_thread",
        "ledger",
        "thread",
        "number",
        unique=True,
        sqlite_where=text("number IS NOT NULL"),
    ),
    one_of="id",
)
LEDGER_CHAIN = table(
    "ledger_chain",
    fixed("ledger", Number),
    fixed("thread"),
    free("number", Number),
    free("leaf", LargeBinary),
    one_of="ledger thread",
)
LEDGER_TILE = table(
    "ledger_tile",
    fixed("ledger", Number),
    fixed("level", Number),
    fixed("n", Number),
    free("hashes", LargeBinary),
    one_of="ledger level n",
)
LEDGER_CHECKPOINT = table(
    "ledger_checkpoint",
    fixed("ledger", Number),
    fixed("size", Number),
    fixed("note", LargeBinary),
    fixed("at", Number),
    one_of="ledger size",
)
LEDGER_PAYLOAD = table(
    "ledger_payload",
    fixed("ledger", Number),
    fixed("entry"),
    fixed("slot"),
    fixed("digest"),
    maybe("sealed", LargeBinary),
    maybe("erased", Number),
    Index("ledger_payload_entry", "ledger", "entry"),
    one_of="ledger digest",
)

# what is placed stays placed (evidence.md 2.4, step 6), bodies never change, nothing is taken out
TRIGGERS = {
    "sqlite": (
        """\
CREATE TRIGGER ledger_entry_placed BEFORE UPDATE ON ledger_entry
WHEN OLD."index" IS NOT NULL OR NEW.body IS NOT OLD.body OR NEW.ledger <> OLD.ledger
BEGIN SELECT RAISE(ABORT, 'a ledger entry never changes'); END""",
        """\
CREATE TRIGGER ledger_entry_kept BEFORE DELETE ON ledger_entry
BEGIN SELECT RAISE(ABORT, 'a ledger entry stays'); END""",
    ),
}
