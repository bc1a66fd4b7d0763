# SPDX-License-Identifier: Apache-2.0
"""The speech checker: what nodes said and took, judged by the tables of `words` (node.md i).

It follows each process of each node through the trace, as the set of states that the node may be
in: a message sent and not yet answered for may or may not have counted. What no state of the set
allows, the node should not have said, or should not have taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from corridor.sim.trace import Event
from corridor.sim.words import ARROWS, Word, other, own_key, read

RETRIED = frozenset({408, 425, 429})
GIVE_UP_S = 24 * 3600.0


@dataclass(slots=True)
class _Said:
    """A message of ours that nobody has answered for yet."""

    word: Word
    first_at: float
    reached: set[str]
    before: set[str]
    exchanges: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Process:
    """One process of one node, as far as the trace tells."""

    role: str
    kind: str
    states: set[str] = field(default_factory=lambda: {""})
    open: _Said | None = None
    last: _Said | None = None
    heard: set[str] = field(default_factory=set)
    unanswered: dict[str, Word] = field(default_factory=dict)

    def believe(self) -> None:
        """Count what was heard and never answered: the node wrote it down, and died."""
        for mark, word in list(self.unanswered.items()):
            reached = self.moved(word.sender, word.step)
            if reached and mark not in self.heard:
                self.heard.add(mark)
                self.states |= reached
                self.open = None
        self.unanswered.clear()

    def moved(self, sender: str, step: str) -> set[str]:
        """Where a step leads from any of the states."""
        arrows = ARROWS[self.kind]
        return {
            arrows[state, sender, step] for state in self.states if (state, sender, step) in arrows
        }


def _mark(word: Word, body: bytes) -> str:
    return word.message_id or hashlib.sha256(body).hexdigest()


class Speech:
    """Nothing said or taken that the table forbids; one unanswered message; one body per `@id`."""

    name = "speech"

    def __init__(self, nodes: Iterable[str]) -> None:
        self._nodes = frozenset(nodes)
        self._processes: dict[tuple[str, str], _Process] = {}
        self._bodies: dict[tuple[str, str], bytes] = {}
        self._sent: dict[int, tuple[str, Word]] = {}
        self._asked: dict[int, str] = {}
        self._requests: dict[int, Event] = {}
        self._unborn: dict[tuple[str, str], Word] = {}

    def check(self, events: Iterable[Event]) -> Iterator[str]:
        """What is wrong, in the order of the trace."""
        for event in events:
            if event.kind == "sent" and event.purpose == "dsp":
                yield from self._on_sent(event)
            elif event.kind == "got":
                self._on_got(event)
            elif event.kind == "heard" and event.method == "POST":
                self._requests[event.exchange] = event
                self._on_heard(event)
            elif event.kind == "answered" and event.node in self._nodes:
                yield from self._on_answered(event)

    def _process(self, node: str, pid: str, word: Word, role: str) -> _Process:
        return self._processes.setdefault((node, pid), _Process(role, word.kind))

    def _on_sent(self, event: Event) -> Iterator[str]:
        if event.node not in self._nodes:
            return
        if event.method == "GET":
            self._asked[event.exchange] = event.path
            return
        word = read(event.path, event.body)
        if word is None:
            return
        where = f"{event.node} at {event.at:.3f} said {word.step} in {word.sender_pid}"
        if not word.message_id:
            yield f"{where} without @id"
            return
        mark = (event.node, word.message_id)
        again = mark in self._bodies
        if self._bodies.setdefault(mark, event.body) != event.body:
            yield f"{where}: another body under {word.message_id}"
        it = self._process(event.node, word.sender_pid, word, word.sender)
        self._sent[event.exchange] = (event.node, word)
        if it.open is not None and it.open.word.message_id == word.message_id:
            it.open.exchanges.add(event.exchange)
        elif again and it.open is None and it.last is not None and it.last.word == word:
            # The node died before it wrote the answer down: it may still stand where it stood.
            it.states |= it.last.before
            it.open = it.last
            it.open.exchanges.add(event.exchange)
        elif not again:  # said again after it was settled is harmless: the same bytes
            yield from self._new_word(it, event, word, where)

    def _new_word(self, it: _Process, event: Event, word: Word, where: str) -> Iterator[str]:
        """A message that was never said before."""
        creation = self._unborn.get((event.node, word.receiver_pid)) if word.receiver_pid else None
        if it.states == {""} and creation is not None and creation.kind == word.kind:
            # Born of a creation that was written down and never answered.
            it.states = it.moved(creation.sender, creation.step)
            it.heard.add("creation")
        reached = it.moved(word.sender, word.step)
        if not reached or it.open is not None:
            it.believe()
            reached = it.moved(word.sender, word.step)
        if it.open is not None and event.at - it.open.first_at < GIVE_UP_S:
            yield f"{where} while {it.open.word.step} was not answered"
        if not reached:
            yield f"{where} in {sorted(it.states)}"
        before = set(it.states)
        it.states |= reached
        it.last = it.open = _Said(word, event.at, reached, before, {event.exchange})

    def _on_got(self, event: Event) -> None:
        if event.exchange in self._asked and event.status:
            for (node, _), it in self._processes.items():
                if node == event.node and it.open is not None:
                    pid = it.open.word.receiver_pid
                    if pid and pid in self._asked[event.exchange]:
                        it.open = None
            return
        node, word = self._sent.get(event.exchange, ("", None))
        if word is None or node != event.node:
            return
        it = self._processes[node, word.sender_pid]
        settled = 200 <= event.status < 300 or (
            300 <= event.status < 500 and event.status not in RETRIED
        )
        if it.open is not None and event.exchange in it.open.exchanges and settled:
            if event.status < 300:
                it.states = set(it.open.reached)
            it.open = None

    def _on_heard(self, event: Event) -> None:
        word = read(event.path, event.body)
        if word is not None and event.node in self._nodes and not word.receiver_pid:
            self._unborn[event.node, word.sender_pid] = word
        if word is not None and event.node in self._nodes and word.receiver_pid:
            it = self._processes.get((event.node, word.receiver_pid))
            if it is not None:
                it.unanswered[_mark(word, event.body)] = word

    def _on_answered(self, event: Event) -> Iterator[str]:
        heard = self._requests.get(event.exchange)
        word = read(heard.path, heard.body) if heard and heard.node == event.node else None
        if heard is None or word is None:
            return
        known = self._processes.get((event.node, word.receiver_pid))
        if known is not None:
            known.unanswered.pop(_mark(word, heard.body), None)
        if not 200 <= event.status < 300:
            return
        pid = word.receiver_pid or self._born(event, word)
        if not pid:
            return
        it = self._process(event.node, pid, word, other(word.sender))
        # A creation said again is the same one, whatever its bytes: DSP #transfer-request-message.
        # The same bytes under one @id are a repeat; other bytes, or none, where it is illegal now.
        mark = _mark(word, heard.body) if word.receiver_pid else "creation"
        exact = hashlib.sha256(heard.body).hexdigest()
        reached = it.moved(word.sender, word.step)
        known_id = bool(word.message_id) and exact in it.heard
        if mark in it.heard and (known_id or mark == "creation" or not reached):
            return
        it.heard |= {mark, exact}
        if not reached:
            it.believe()
            reached = it.moved(word.sender, word.step)
        if not reached:
            yield (
                f"{event.node} at {event.at:.3f} took {word.step} of {word.sender} "
                f"in {sorted(it.states)} of {pid}"
            )
            return
        it.states = reached
        it.open = None

    def _born(self, event: Event, word: Word) -> str:
        """The pid that a creation was answered with."""
        with contextlib.suppress(ValueError):
            answer = json.loads(event.body)
            if isinstance(answer, dict):
                return str(answer.get(own_key(other(word.sender)), ""))
        return ""
