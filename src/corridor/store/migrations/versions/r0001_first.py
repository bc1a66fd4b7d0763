# SPDX-License-Identifier: Apache-2.0
"""Revision 0001: the first tables. Its SQL lies beside it and never changes."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from corridor.store.texts import parts

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    text = Path(__file__).with_name("r0001.sqlite.sql").read_text(encoding="utf-8")
    connection = op.get_bind()
    for sql in parts(text):
        connection.exec_driver_sql(sql)
