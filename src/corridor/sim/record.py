# SPDX-License-Identifier: Apache-2.0
"""What is left of a run when it is over: the trace, and each node's database, read by plain SQL.

The checkers see nodes only through this; no code of the store or the engine is between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from corridor.sim.trace import Event

Row = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class NodeRecord:
    """One node's database, read only. `unseal(context, bytes)` opens what its own keys sealed."""

    name: str
    did: str
    database: Path
    unseal: Callable[[str, bytes], bytes] | None = None
    _held: sqlite3.Connection | None = None

    def rows(self, sql: str, *params: Any) -> list[Row]:
        """What a query gives now."""
        if self._held is None:
            self._held = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
            self._held.row_factory = sqlite3.Row
        return [dict(row) for row in self._held.execute(sql, params)]

    def close(self) -> None:
        """Let go of the file."""
        if self._held is not None:
            self._held.close()
            self._held = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A whole run.

    `broken`: what apps threw; `faults`: what tasks threw and nobody took; `logs`: one line an
    event, `key=value` with the keys in order.
    """

    events: Sequence[Event]
    nodes: Mapping[str, NodeRecord] = field(default_factory=dict)
    broken: Sequence[str] = ()
    faults: Sequence[str] = ()
    logs: Sequence[str] = ()


class Checker(Protocol):
    """Holds one promise of node.md i."""

    name: str

    def check(self, record: Record) -> Iterator[str]:
        """One line for each thing that is wrong."""
        ...
