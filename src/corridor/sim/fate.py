# SPDX-License-Identifier: Apache-2.0
"""What the network does with a message, drawn from the seed and the message's number alone.

So taking one fault away leaves all the others as they were: that is what shrinking does. Each run
draws which kinds of fault it has at all, and how often: runs with one kind find what a mixture
hides. node.md i.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from corridor.sim.world import draw

KINDS = (
    "lose-request",
    "lose-answer",
    "delay",
    "repeat",
    "cut",
    "answer",
    "hang",
)
STATUSES = (500, 503, 503, 401, 404, 409)
DELAY_S_MAX = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """One message's. Times are virtual seconds; `copies`: when the request arrives once more."""

    kind: str = "deliver"
    there_s: float = 0.0
    back_s: float = 0.0
    copies: tuple[float, ...] = ()
    status: int = 0
    cut_after: int = 0
    slow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """No message between two nodes for a while."""

    number: int
    pair: frozenset[str]
    begin: float
    end: float


@dataclass(slots=True)
class Fates:
    """The seed's decisions. `until`: the network is kind from then on. `removed`: faults left out.

    `met` lists the numbers of the faults that a run met, in order: what shrinking may remove.
    Message n has number n, partition n has number -1 - n.
    """

    seed: object
    until: float
    nodes: tuple[str, ...] = ()
    removed: frozenset[int] = frozenset()
    kinds: tuple[str, ...] | None = None
    rate: float | None = None
    met: list[int] = field(default_factory=list)
    partitions: list[Partition] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = draw(self.seed, "kinds")
        if self.kinds is None:
            self.kinds = tuple(kind for kind in KINDS if chance.random() < 0.5) or KINDS
        if self.rate is None:
            self.rate = chance.choice((0.05, 0.15, 0.3, 0.5))
        self.let_loose(0.0, self.until)

    def let_loose(self, begin: float, until: float) -> None:
        """Faults from now to `until`, partitions among them."""
        self.until = until
        chance = draw(self.seed, "partitions")
        if len(self.nodes) > 1 and until > begin and chance.random() < 0.4:
            self._cut_off(chance, begin)

    def _cut_off(self, chance: Random, since: float) -> None:
        for number in range(chance.randint(1, 3)):
            begin = chance.uniform(since, self.until)
            self.partitions.append(
                Partition(
                    number=-1 - number,
                    pair=frozenset(chance.sample(self.nodes, 2)),
                    begin=begin,
                    end=min(self.until, begin + chance.uniform(1.0, (self.until - since) / 2)),
                )
            )

    def parted(self, one: str, other: str, now: float) -> bool:
        """Whether these two cannot reach each other now."""
        for partition in self.partitions:
            if partition.number in self.removed or not partition.begin <= now < partition.end:
                continue
            if partition.pair == {one, other}:
                if partition.number not in self.met:
                    self.met.append(partition.number)
                return True
        return False

    def of(self, number: int, now: float) -> Fate:
        """The fate of message `number`, sent now."""
        chance = draw(self.seed, "fate", number)
        there, back = chance.uniform(0.001, 0.05), chance.uniform(0.001, 0.05)
        kind_to_it = Fate(there_s=there, back_s=back)
        struck = chance.random() < (self.rate or 0.0)
        if now >= self.until or not struck or number in self.removed or not self.kinds:
            return kind_to_it
        self.met.append(number)
        kind = chance.choice(self.kinds)
        slow = chance.random() < 0.5
        late = chance.uniform(0.0, DELAY_S_MAX) if slow else chance.uniform(0.0, 12.0)
        if kind == "delay":
            if chance.random() < 0.5:
                return Fate(kind=kind, there_s=late, back_s=back)
            return Fate(kind=kind, there_s=there, back_s=late)
        if kind == "repeat":
            copies = tuple(chance.uniform(0.0, late) for _ in range(chance.randint(1, 3)))
            return Fate(kind=kind, there_s=there, back_s=back, copies=copies)
        return Fate(
            kind=kind,
            there_s=there,
            back_s=back,
            status=chance.choice(STATUSES),
            cut_after=chance.randrange(256),
            slow=slow,
        )
