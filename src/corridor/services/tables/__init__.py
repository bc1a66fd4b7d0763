# SPDX-License-Identifier: Apache-2.0
"""Tables: agreed columns and rows of a CSV, Parquet, DuckDB or SQLite table, as an Arrow stream.

The node checks, judges and relays (`plane`, `question`, `shape`); engines run in rooms (`work`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corridor.limits import Limits
from corridor.services.tables.plane import Tables
from corridor.world import Rooms

WORKS = ("corridor.services.tables.work",)

__all__ = ["WORKS", "Tables", "connect"]


def connect(*, rooms: Rooms, limits: Limits, roots: Sequence[Path]) -> Tables:
    """The service. `rooms` must have imported `WORKS`; `roots`: where sources may lie."""
    return Tables(rooms=rooms, limits=limits, roots=tuple(roots))
