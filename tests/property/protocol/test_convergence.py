# SPDX-License-Identifier: Apache-2.0
"""Both sides end alike: every order of words, answers and losses that two machines can meet.

The search is exhaustive. Each side may say a few words at any moment. One request of each side is
on its way at a time: it arrives or is lost, its answer arrives or is lost, and what is still
pending is sent again under the same id. A word that was dropped while it was on its way arrives
all the same. At rest, that is with nothing left to deliver, both must show the same state.

One bound: nobody begins a new word while a dropped one is on its way. A SUSPEND that outlives a
whole exchange and meets the START after it reads as its successor; the protocol numbers nothing,
so no machine can tell. The next word is then refused, and the sender's GET mends it (node.md c).
For the same reason a transfer is searched with three words on one side only; with three on both
the one end that differs is held below.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields, replace

import pytest

from corridor.errors import PeerMustWait, RemoteProtocolError
from corridor.protocol import negotiation, transfer
from corridor.protocol.machine import Heard, Machine, Process, Role

C, P = Role.CONSUMER, Role.PROVIDER


@dataclass(frozen=True)
class Side:
    process: Process
    words_left: int
    word: int = 0  # the id of our pending word
    out: tuple[int, str] | None = None  # our request that is on its way: id and step
    back: tuple[int, bool] | None = None  # its answer on the way back: id and whether it was taken
    heard: int = 0  # the id of the last word of the peer that we took
    resumed: bool = False  # as consumer: an address is still to come
    address_due: bool = False  # as provider: an address is still to be sent
    address: bool = False  # as consumer: we have the address of this start


Both = dict[Role, Side]
Key = tuple[Side, Side]


def spoken(machine: Machine, steps: list[str], side: Side) -> list[Side]:
    """What this side may do by itself: say a word, or one that it wished to say."""
    out = []
    if side.process.pending is None:
        if side.process.intent is not None:
            said = machine.say(side.process, side.process.intent)
            return [replace(side, process=said, word=side.word + 1)]
        if side.address_due:
            if not machine.may_say(side.process, "START", after_resume=True):
                return [replace(side, address_due=False)]
            said = machine.say(side.process, "START", after_resume=True)
            return [replace(side, process=said, word=side.word + 1, address_due=False)]
    for step in steps:
        if side.words_left and machine.may_say(side.process, step):
            said = machine.say(side.process, step)
            if said == side.process:
                continue
            new = said.pending != side.process.pending
            out.append(
                replace(
                    side,
                    process=said,
                    words_left=side.words_left - 1,
                    word=side.word + new,
                    resumed=side.resumed or (new and step == "START" and said.us is C),
                )
            )
    return out


def travelled(machine: Machine, both: Both, us: Role) -> list[Both]:
    """Our request leaves, arrives or is lost; its answer arrives or is lost."""
    ours, theirs = both[us], both[us.other]
    if ours.out is not None:
        word, _ = ours.out
        address_only = (ours.process.state, ours.process.pending) == ("STARTED", "START")
        taken, heard = arrived(machine, theirs, ours.out)
        home = replace(ours, out=None)
        if taken is None:  # refused
            if dropped(ours):
                pass
            elif address_only:  # node.md c: ignored, the consumer has an address of ours
                home = replace(home, process=machine.lost(ours.process))
            else:  # node.md c: a GET shows that the peer is where our word leads, or at an end
                shown = machine.shown(theirs.process)
                led = machine.acked(ours.process).state
                assert shown == led or shown in machine.final, f"refused: {ours} by {theirs}"
                home = replace(home, process=Process(us, shown))
            return [{us: home, us.other: theirs}]
        return [
            {us: home, us.other: theirs},
            {us: home, us.other: heard},
            {us: replace(home, back=(word, taken)), us.other: heard},
        ]
    if ours.back is not None:
        word, taken = ours.back
        home = replace(ours, back=None)
        if taken and word == ours.word and ours.process.pending is not None:
            paused = ours.process.pending == "SUSPEND"
            return [
                {
                    us: replace(
                        home,
                        process=machine.acked(ours.process),
                        address=ours.address and not paused,
                    ),
                    us.other: theirs,
                }
            ]
        return [{us: home, us.other: theirs}]
    if ours.process.pending is not None:
        return [{us: replace(ours, out=(ours.word, ours.process.pending)), us.other: theirs}]
    return []


def arrived(machine: Machine, theirs: Side, request: tuple[int, str]) -> tuple[bool | None, Side]:
    """The peer hears a request, for the first time or again."""
    word, step = request
    if theirs.heard == word:
        return True, theirs
    try:
        heard = machine.hear(theirs.process, step, after_resume=theirs.resumed)
    except PeerMustWait:
        return False, theirs
    except RemoteProtocolError:
        return None, theirs
    start = step == "START"
    return True, replace(
        theirs,
        process=heard.process,
        heard=word,
        resumed=theirs.resumed and not start,
        address_due=theirs.address_due or (start and theirs.process.us is P),
        address=theirs.process.us is C and (start or (theirs.address and step != "SUSPEND")),
    )


def dropped(side: Side) -> bool:
    """What is on its way is no longer this side's pending word."""
    return side.out is not None and (side.process.pending is None or side.out[0] != side.word)


def search(
    machine: Machine, steps: list[str], creator: Role, words: tuple[int, int]
) -> tuple[int, set]:
    start = {role: Side(Process(role, None), words[role is P]) for role in Role}
    seen: set[Key] = set()
    ends: set[tuple[str | None, str | None]] = set()
    queue = deque([start])
    while queue:
        both = queue.popleft()
        calm = not any(dropped(side) for side in both.values())
        key = (both[C], both[P])
        if key in seen:
            continue
        seen.add(key)
        following: list[Both] = []
        for us in Role:
            if calm and (us is creator or both[us].process.state is not None):
                following += [
                    {us: side, us.other: both[us.other]}
                    for side in spoken(machine, steps, both[us])
                ]
            following += travelled(machine, both, us)
        quiet = all(
            both[us].process.pending is None
            and both[us].process.intent is None
            and not both[us].address_due
            and both[us].out is None
            and both[us].back is None
            for us in Role
        )
        if quiet:
            ends.add((both[C].process.state, both[P].process.state))
            if both[C].process.state == both[P].process.state == "STARTED":
                assert both[C].address, f"started without an address: {both}"
        moving = [each for each in following if (each[C], each[P]) != key]
        assert moving or quiet, f"stuck: {both}"
        queue += moving
    return len(seen), ends


@pytest.mark.parametrize(
    ("module", "creator", "words"),
    [
        (negotiation, C, (4, 4)),
        (negotiation, P, (4, 4)),
        (transfer, C, (2, 2)),
        (transfer, C, (2, 3)),
        (transfer, C, (2, 4)),
        (transfer, C, (3, 2)),
    ],
)
def test_both_sides_end_alike(module, creator: Role, words: tuple[int, int]) -> None:
    looked_at, ends = search(module.MACHINE, list(module.Step), creator, words)
    assert looked_at > 300
    assert {"TERMINATED"} <= {consumer for consumer, _ in ends}
    assert [end for end in ends if end[0] != end[1]] == []


def test_the_one_end_that_is_known_to_differ() -> None:
    """See the machine's docstring, what no machine can tell: an old SUSPEND taken for a new one."""
    _, ends = search(transfer.MACHINE, list(transfer.Step), C, (3, 3))
    assert [end for end in ends if end[0] != end[1]] == [("STARTED", "SUSPENDED")]


class Rude(Machine):
    """Takes whatever crosses its own word."""

    def _crossed(self, process: Process, step: str, state: str) -> Heard:
        return Heard(self._moved(process, state), superseded=process.pending)


def rude(machine: Machine) -> Machine:
    return Rude(**{each.name: getattr(machine, each.name) for each in fields(machine)})


def test_the_search_finds_a_rule_that_is_not_the_same_for_both() -> None:
    """What holds above for (2, 3) does not hold without the rule for crossing."""
    _, ends = search(rude(transfer.MACHINE), list(transfer.Step), C, (2, 3))
    assert [end for end in ends if end[0] != end[1]] != []
