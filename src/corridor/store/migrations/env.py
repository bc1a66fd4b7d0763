# SPDX-License-Identifier: Apache-2.0
"""Runs Alembic's revisions on the database file that `upgrade.py` names. Only Alembic loads it."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, event, pool

from corridor.store import schema, schema_ledger
from corridor.store.tables import METADATA

assert schema.META.metadata is METADATA
assert schema_ledger.LEDGER.metadata is METADATA


def run() -> None:
    """One transaction over all revisions: all of them or none."""
    path = context.config.attributes["path"]
    engine = create_engine(f"sqlite:///{path}", poolclass=pool.NullPool)

    # the driver's own transactions would leave DDL outside of them
    event.listen(engine, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
