# SPDX-License-Identifier: Apache-2.0
"""The people of a run: what they want, when, all drawn from the seed (node.md i).

A `Person` is a node's set of management verbs; `join` maps it to the engine's desk. What a wish
is about is chosen when its time has come, among what that node then knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from corridor.sim.record import NodeRecord, Row
from corridor.sim.words import FINAL
from corridor.sim.world import draw


class Person(Protocol):
    """What can be asked of a node. Each raises CorridorError where it is refused."""

    async def request(self, provider: str) -> str:
        """Ask a provider (a DID) for its asset; the negotiation's pid."""
        ...

    async def counter(self, pid: str) -> None:
        """Answer an offer with a wish of our own."""
        ...

    async def accept(self, pid: str) -> None:
        """Accept the offer that lies before us."""
        ...

    async def terminate(self, pid: str) -> None:
        """End a negotiation or a transfer."""
        ...

    async def transfer(self, agreement_id: str) -> str:
        """Ask for the data; the transfer's pid."""
        ...

    async def fetch(self, agreement_id: str) -> int:
        """Read something under an agreement; how many bytes came."""
        ...

    async def suspend(self, pid: str) -> None:
        """Pause a transfer."""
        ...

    async def resume(self, pid: str) -> None:
        """Go on with it."""
        ...

    async def complete(self, pid: str) -> None:
        """Call it done."""
        ...

    async def withdraw(self, agreement_id: str) -> None:
        """Take back what was granted."""
        ...

    async def give_back(self, agreement_id: str) -> None:
        """Hand back what was got."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Somebody at `node` wants something at a moment (seconds).

    `verb`: what; empty for whatever is possible then, `mood` in [0, 1) picking among it. `choice`
    in [0, 1) picks of what.
    """

    at: float
    node: str
    verb: str = ""
    mood: float = 0.0
    choice: float = 0.0
    number: int = 0


TABLES: Mapping[str, str] = {
    "negotiation": "SELECT * FROM negotiation ORDER BY pk",
    "agreement": "SELECT * FROM agreement ORDER BY pk",
    "transfer": "SELECT * FROM transfer ORDER BY pk",
}


def _going(row: Row) -> bool:
    return row["state"] not in FINAL


def _asking(row: Row) -> bool:
    return _going(row) and row["role"] == "consumer"


def _got(row: Row) -> bool:
    return bool(row["role"] == "consumer")


def _given(row: Row) -> bool:
    return bool(row["role"] == "provider")


# verb -> (weight, where its subject is found, which of them, the column that names it)
VERBS: Mapping[str, tuple[int, str, Callable[[Row], bool], str]] = {
    "request": (6, "", _going, ""),
    "counter": (1, "negotiation", _asking, "pid"),
    "accept": (2, "negotiation", _asking, "pid"),
    "end-negotiation": (1, "negotiation", _going, "pid"),
    "transfer": (6, "agreement", _got, "agreement_id"),
    "fetch": (6, "agreement", _got, "agreement_id"),
    "suspend": (4, "transfer", _going, "pid"),
    "resume": (4, "transfer", _going, "pid"),
    "complete": (2, "transfer", _going, "pid"),
    "end-transfer": (1, "transfer", _going, "pid"),
    "withdraw": (1, "agreement", _given, "agreement_id"),
    "give-back": (1, "agreement", _got, "agreement_id"),
}


CROSSING = (
    ("suspend", "resume", "complete", "end-transfer", "fetch", "suspend", "resume", "withdraw"),
    ("end-negotiation", "accept", "counter"),
)


def wishes(seed: object, nodes: Sequence[str], until: float) -> list[Wish]:
    """A run's wishes, in the order of their times; the first is always a request."""
    chance = draw(seed, "wishes")
    count = chance.randint(3, 24)
    times = sorted(chance.uniform(0.0, until) for _ in range(count))
    found = [Wish(at=0.1, node=chance.choice(nodes), verb="request", number=0)]
    for number, at in enumerate(times, start=1):
        # People come in bursts: what crosses is what is wanted at nearly the same moment.
        close = found[-1].at + chance.uniform(0.0, 0.2)
        if len(nodes) > 1 and chance.random() < 0.35:
            found += _crossing(chance, nodes, max(at, close), number)
            continue
        found.append(
            Wish(
                at=close if chance.random() < 0.4 else max(at, close),
                node=chance.choice(nodes),
                mood=chance.random(),
                choice=chance.random(),
                number=number,
            )
        )
    return sorted(found, key=lambda wish: wish.at)


def _crossing(chance: Random, nodes: Sequence[str], at: float, number: int) -> list[Wish]:
    """Two who want something of the newest transfer (or negotiation) at nearly one moment."""
    verbs = CROSSING[chance.random() < 0.2]
    return [
        Wish(
            at=at + chance.uniform(0.0, 0.06),
            node=node,
            verb=chance.choice(verbs),
            choice=0.999,
            number=number,
        )
        for node in chance.sample(list(nodes), 2)
    ]


def settle(wish: Wish, node: NodeRecord) -> tuple[Wish, Row | None]:
    """The wish with its verb, and what it is about; None where there is nothing of the kind."""
    found = {name: node.rows(sql) for name, sql in TABLES.items()}
    subjects = {
        verb: [row for row in found[table] if fits(row)] if table else []
        for verb, (_, table, fits, _) in VERBS.items()
    }
    if not wish.verb:
        open_ = [verb for verb, rows in subjects.items() if rows or not VERBS[verb][1]]
        left = wish.mood * sum(VERBS[verb][0] for verb in open_)
        for verb in open_:
            left -= VERBS[verb][0]
            if left < 0:
                wish = replace(wish, verb=verb)
                break
    rows = subjects[wish.verb]
    return wish, rows[int(wish.choice * len(rows))] if rows else None


async def ask(person: Person, wish: Wish, found: Row | None, providers: Sequence[str]) -> str:
    """Do what is wished; what came of it, in a word."""
    if wish.verb == "request":
        return await person.request(providers[int(wish.choice * len(providers))])
    if found is None:
        return "nothing"
    name = str(found[VERBS[wish.verb][3]])
    match wish.verb:
        case "transfer":
            return await person.transfer(name)
        case "fetch":
            return f"{await person.fetch(name)} bytes"
        case "end-negotiation" | "end-transfer":
            await person.terminate(name)
        case verb:
            await getattr(person, verb.replace("-", "_"))(name)
    return name
