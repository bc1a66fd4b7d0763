# SPDX-License-Identifier: Apache-2.0
"""Canonical conversations: what a sweep runs once for every point at which a node may die.

Their people are patient: they ask again until they got what they wanted, so each run must reach
its goal whatever died on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from corridor.sim.people import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Wishes in order, and where both sides must have come in the end: (table, state)."""

    wishes: tuple[Wish, ...]
    goals: tuple[tuple[str, str], ...]


def _wishes(*verbs: tuple[str, str]) -> tuple[Wish, ...]:
    """One after another, each as soon as the one before has come true."""
    return tuple(
        Wish(at=0.1 + 2.0 * number, node=node, verb=verb, choice=0.999, number=number)
        for number, (node, verb) in enumerate(verbs)
    )


_ASK = ("b", "request")
_USE = (_ASK, ("b", "transfer"), ("b", "fetch"))
FINALIZED, COMPLETED = ("negotiation", "FINALIZED"), ("transfer", "COMPLETED")

CONVERSATIONS: Mapping[str, Conversation] = {
    "agree": Conversation(wishes=_wishes(_ASK), goals=(FINALIZED,)),
    "use": Conversation(
        wishes=_wishes(*_USE, ("b", "fetch"), ("b", "complete")), goals=(FINALIZED, COMPLETED)
    ),
    "pause": Conversation(
        wishes=_wishes(
            *_USE[:2], ("b", "suspend"), ("b", "resume"), ("b", "fetch"), ("a", "complete")
        ),
        goals=(FINALIZED, COMPLETED),
    ),
    "provider pauses": Conversation(
        wishes=_wishes(*_USE[:2], ("a", "suspend"), ("a", "resume"), ("a", "complete")),
        goals=(FINALIZED, COMPLETED),
    ),
    "withdraw": Conversation(
        wishes=_wishes(*_USE, ("a", "withdraw")), goals=(FINALIZED, ("agreement", "withdrawn"))
    ),
    "give back": Conversation(
        wishes=_wishes(*_USE, ("b", "give-back")), goals=(FINALIZED, ("agreement", "returned"))
    ),
    "end": Conversation(
        wishes=_wishes(*_USE[:2], ("b", "end-transfer")),
        goals=(FINALIZED, ("transfer", "TERMINATED")),
    ),
}
