# SPDX-License-Identifier: Apache-2.0
"""What is remembered: tables, statements, and the writer that runs a unit whole or not at all."""

from corridor.store.rows import Record, after, instant, micros
from corridor.store.store import Participant, Store, open_store
from corridor.store.unit import Conflict, Leaf, Payload, Statement, Unit, Write

__all__ = [
    "Conflict",
    "Leaf",
    "Participant",
    "Payload",
    "Record",
    "Statement",
    "Store",
    "Unit",
    "Write",
    "after",
    "instant",
    "micros",
    "open_store",
]
