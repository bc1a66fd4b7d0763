# SPDX-License-Identifier: Apache-2.0
"""What a node runs is what the schema says; every statement is bound to its participant."""

from __future__ import annotations

import inspect
import re
import sqlite3
import subprocess
import sys

import pytest

from corridor.store import compile as compiler
from corridor.store import node, schema, schema_ledger, store, texts
from corridor.store.rows import Record, Rows
from corridor.store.tables import METADATA

# looks over all participants, each on purpose; only Store.node has them
OVER_ALL = {
    "grant.node-delete-of-user",
    "grant.node-of-user",
    "job.node-open",
    "ledger.node-all",
    "outbox.node-count-of-state",
    "outbox.node-pending",
    "revocation.node-after",
    "revocation.node-last",
    "wake.node-all",
    "wake.node-due",
    "wake.node-first",
    # by the ledger's row number, within the sequencer
    "ledger.grow",
    "ledger.head",
}

# small tables, or looks at everything by its nature
MAY_SCAN = {
    "ledger.node-all",
    "outbox.node-count-of-state",
    "user.count",
    "wake.node-all",
    "wake.node-first",  # along its index, the first row only
}

ALL = texts.statements("sqlite")


@pytest.fixture(scope="module")
def empty():
    connection = sqlite3.connect(":memory:")
    for sql in texts.schema("sqlite"):
        connection.execute(sql)
    yield connection
    connection.close()


def test_committed_is_what_the_schema_gives():
    for name, text in compiler.written("sqlite").items():
        assert (texts.FOLDER / name).read_text() == text, "python -m corridor.store.compile"


def test_every_statement_is_written_for_postgres_too():
    made = compiler.statements("postgresql")
    assert made.keys() == ALL.keys()
    assert "%(participant)s" in made["negotiation.get"]


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_statement_is_bound_to_a_participant(name):
    sql = ALL[name].sql
    tables = {t.name for t in METADATA.tables.values() if "participant" in t.c}
    used = set(re.findall(r'(?:FROM|INTO|UPDATE|JOIN) "?(\w+)"?', sql)) & tables
    if not used or name in OVER_ALL or name == "ledger_entry.unplaced":
        return
    assert ":participant" in sql
    if not sql.startswith("INSERT INTO"):
        table = name.split(".")[0]
        assert re.search(rf'"?{table}"?\.participant = :participant', sql)


def test_only_the_node_looks_over_all():
    within = {name for name in OVER_ALL if ".node-" in name}
    assert within == {
        name for name in ALL if ".node-" in name and name != "ledger_entry.node-count-unplaced"
    }


@pytest.mark.parametrize("name", sorted(ALL))
def test_no_statement_reads_a_whole_table(name, empty):
    params = dict.fromkeys(re.findall(r":(\w+)", ALL[name].sql), 0)
    plan = [row[3] for row in empty.execute(f"EXPLAIN QUERY PLAN {ALL[name].sql}", params)]
    scans = [step for step in plan if step.startswith("SCAN") and "CONSTANT ROW" not in step]
    assert not scans or name in MAY_SCAN, plan
    if ".page" in name and name not in {"job.page-of-state", "outbox.page-of-state"}:
        assert not [step for step in plan if "TEMP B-TREE" in step], plan


def _records() -> list[tuple[str, type[Record]]]:
    found = {}

    class Reads:
        dialect = "sqlite"
        last_commit = 0.0

        def read(self, statement, params):
            raise AssertionError

        async def scan(self, statement, params):
            raise AssertionError

    bound = store.Bound(Reads(), ALL, "stat")
    holders = [store.Participant(Reads(), ALL, "stat"), node.Node(bound)]
    for holder in [*holders, holders[0].ledger]:
        for each in vars(holder).values():
            if isinstance(each, Rows):
                found[each._table] = each._record
    return sorted(found.items())


def test_records_have_the_columns_of_their_tables():
    records = _records()
    assert len(records) >= 28
    for table, record in records:
        columns = [column.name for column in METADATA.tables[table].c]
        assert list(record.__struct_fields__) == columns, table


def test_every_table_has_a_record_or_belongs_to_the_ledger():
    assert METADATA.tables.keys() - {table for table, _ in _records()} == {
        "ledger_chain",
        "ledger_tile",
    }
    assert schema.META.metadata is schema_ledger.LEDGER.metadata


def test_every_statement_is_used():
    used = "".join(
        inspect.getsource(module)
        for name, module in sys.modules.items()
        if name.startswith("corridor.store.") and name != "corridor.store.statements"
    )
    generic = {"insert", "get", "page", "update"}
    for name in ALL:
        verb = name.split(".")[1]
        assert verb in generic or f'"{verb}"' in used or f'"{name}"' in used, name


def test_a_node_that_opens_a_store_loads_neither_sqlalchemy_nor_alembic():
    code = (
        "import sys, corridor.store; "
        "sys.exit(bool({'sqlalchemy', 'alembic'} & {m.split('.')[0] for m in sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
