# SPDX-License-Identifier: Apache-2.0
"""The one machine under both protocols: a table, who we are, and what of ours is under way.

Theory (DSP #contract-negotiation-states, #transfer-process-states; `node.md` c)

The table. A protocol is a set of arrows (state, sender, step) → state, and nothing else is legal.
The sender is data: the same row judges the peer and us, so neither side can have a rule of its
own. The final states are those that no arrow leaves.

Pending. A side that speaks moves when the other has acknowledged (2xx); a side that hears moves
before it answers. So between saying and acknowledgement the peer may already be where our word
leads, or may not have heard it. One field, `pending`, holds our one word that is under way; the
protocol's states stay the specification's.

What the peer says meanwhile is judged in this order.

1. Our creation message is pending (state None): any word of the peer acknowledges it, since
   nobody could know of the process otherwise. This comes before the table: an overtaking OFFER
   would else take the arrow None → OFFERED of an offer that nobody asked for.
2. Legal only after our word: the peer has heard it. It counts as acknowledged.
3. Legal both before and after our word (an end, always): accepted, ours is superseded.
4. Legal only before our word: the two words crossed. Each side decides alone and both must decide
   alike, so the rank of the steps decides: an end outranks a completion outranks a pause outranks
   all else. The lower word is dropped where it was to be said and asked to come again (503) where
   it was heard. Two equal steps are one wish, except START: the provider's START carries the
   address, so taking the consumer's for its acknowledgement could lose the address. There, and
   for different steps of one rank, the provider asks to wait and the consumer yields.
5. Otherwise illegal (400).

After a resume. A consumer that resumes gets a second START of the provider, with a new address,
in STARTED: the arrows of `resumed`, legal only where the caller says that one is still to come.
The provider, while that START is on its way, takes an end but lets a SUSPEND wait: else the START
could arrive after it, where it is a resume that nobody wished. A consumer with a word of its own
pending cannot tell this START from a new resume by a provider that has heard the word. It takes
the START and makes its word a wish again, to be said anew under a new id, which fits both.

What no machine can tell. The protocol numbers nothing. A SUSPEND that both had already agreed on
(4) and that is still on its way when the provider's next START is pending, reads as the answer to
that START (2). The sides then differ until the next word is refused and its sender looks at the
peer's state (`node.md` c, delivery).

Intent. While a word is pending the wish to say another can only be kept if it is one of those
with a rank. It is said when the pending word clears, where it is still legal then.

Not here: whether a message is a duplicate (engine, before asking), and delivery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from corridor.errors import LocalProtocolError, PeerMustWait, RemoteProtocolError
from corridor.limits import Limits


class Role(StrEnum):
    """The two sides of every process; fixed when it is created."""

    CONSUMER = "consumer"
    PROVIDER = "provider"

    @property
    def other(self) -> Role:
        """The counter-party's role."""
        return Role.PROVIDER if self is Role.CONSUMER else Role.CONSUMER


Arrow = tuple[str | None, Role, str]


@dataclass(frozen=True, slots=True)
class Process:
    """Where a negotiation or transfer stands, seen from our side.

    `state` is None until the creation message is acknowledged; `pending` is the step of our word
    that is under way; `intent` is the step that we wish to say after it.
    """

    us: Role
    state: str | None
    pending: str | None = None
    intent: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What a heard step makes of a process, and of our pending word: at most one of the three.

    `acknowledged`: the peer has heard it. `superseded`: it has no meaning any more.
    `yielded`: theirs goes first; where it was a wish that is still legal it became the intent.
    """

    process: Process
    acknowledged: str | None = None
    superseded: str | None = None
    yielded: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a side waits for the other: a name in Limits, and the code it then ends with."""

    limit: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One protocol: its table and what follows from it. Without state; safe to use everywhere."""

    arrows: Mapping[Arrow, str]
    ranks: Mapping[str, int]
    same_is_one_wish: frozenset[str]
    final: frozenset[str]
    waits: Mapping[tuple[str, Role], Wait]
    resumed: Mapping[Arrow, str] = field(default_factory=dict)
    end: str = "TERMINATED"

    def next_state(self, state: str | None, sender: Role, step: str) -> str | None:
        """Look the arrow up; None where there is none: the step is illegal."""
        return self.arrows.get((state, sender, step))

    def rank(self, step: str) -> int:
        """Return which of two crossing steps goes first: the higher."""
        return self.ranks.get(step, 0)

    # hearing

    def hear(self, process: Process, step: str, *, after_resume: bool = False) -> Heard:
        """Judge a step of the peer, in the order of the theory above.

        `after_resume`: as consumer we said START, and no START of the provider came since. Raises
        RemoteProtocolError (illegal-transition) or PeerMustWait.
        """
        sender, pending = process.us.other, process.pending
        if pending is None:
            state = self._legal(process.state, sender, step, after_resume=after_resume)
            if state is None:
                raise self._illegal(process.state, sender, step)
            return Heard(self._moved(process, state))
        if process.state is None:  # (1)
            created = self.acked(process)
            return replace(self.hear(created, step), acknowledged=pending)
        before = self.next_state(process.state, sender, step)
        if before is None and after_resume and (process.state, sender, step) in self.resumed:
            moved = self._moved(process, self.resumed[process.state, sender, step])
            wish = max(pending, process.intent or pending, key=self.rank)
            return Heard(self._wishing(moved, wish), yielded=pending)
        if before is not None and (process.state, process.us, pending) in self.resumed:
            if before not in self.final:
                raise PeerMustWait(f"{pending} is on its way to you; send {step} again after it")
            return Heard(self._moved(process, before), superseded=pending)
        after = self.next_state(self._target(process), sender, step)
        if before is None:
            if after is None:  # (5)
                raise self._illegal(process.state, sender, step)
            return Heard(self._moved(process, after), acknowledged=pending)  # (2)
        if after is not None:  # (3)
            return Heard(self._moved(process, before), superseded=pending)
        return self._crossed(process, step, before)  # (4)

    def _crossed(self, process: Process, step: str, state: str) -> Heard:
        pending = process.pending
        assert pending is not None
        moved = self._moved(process, state)
        ours, theirs = self.rank(pending), self.rank(step)
        if theirs > ours:
            return Heard(moved, superseded=pending)
        if theirs == ours and step == pending and step in self.same_is_one_wish:
            return Heard(moved, acknowledged=pending)
        if theirs == ours and process.us is Role.CONSUMER:
            return Heard(self._wishing(moved, pending), yielded=pending)
        raise PeerMustWait(f"{pending} is on its way to you; send {step} again after it")

    # saying

    def may_say(self, process: Process, step: str, *, after_resume: bool = False) -> bool:
        """Say whether `say` would take this step, now or as the intent."""
        try:
            self.say(process, step, after_resume=after_resume)
        except LocalProtocolError:
            return False
        return True

    def say(self, process: Process, step: str, *, after_resume: bool = False) -> Process:
        """Make a step ours: it is pending now, or kept as the intent while another is pending.

        Compare `pending` and `intent` of the result to see which. `after_resume`: we are the
        provider, the consumer resumed, and this START carries the new address. Raises
        LocalProtocolError where the protocol does not let us say it.
        """
        if process.pending is None:
            legal = self._legal(process.state, process.us, step, after_resume=after_resume)
            if legal is None:
                raise self._unspeakable(process, step)
            spoken = replace(process, pending=step, intent=None)
            if process.intent in (None, step):
                return spoken
            return self._wishing(spoken, process.intent)
        return self._kept(process, step)

    def _kept(self, process: Process, step: str) -> Process:
        """Keep a wish for later; of two wishes the one of higher rank."""
        wishing = self._wishing(process, step)
        if wishing.intent is None:
            raise self._unspeakable(process, step)
        if process.intent is not None and self.rank(process.intent) > self.rank(step):
            return process
        return wishing

    def acked(self, process: Process) -> Process:
        """Move on: the peer has acknowledged our pending word. Without one nothing changes.

        That happens: a late 2xx for a word that the peer's own words acknowledged before.
        """
        if process.pending is None:
            return process
        return self._moved(process, self._target(process))

    def lost(self, process: Process) -> Process:
        """Give our pending word up: refused for good, or superseded before it was tried.

        A process that never began ends with it: there is nobody to tell.
        """
        if process.pending is None:
            return process
        return self._moved(process, self.end if process.state is None else process.state)

    # showing and waiting

    def shown(self, process: Process) -> str:
        """Return the state that a GET of the peer shows; never None.

        While our creation message is pending that is the state it leads to: a status without
        `state` is no valid message.
        """
        if process.state is not None:
            return process.state
        if process.pending is None:
            raise LocalProtocolError("a process that nobody has begun has no state to show")
        return self._target(process)

    def wait_s(self, process: Process, limits: Limits) -> float | None:
        """Return how many seconds this state may last; None where nobody waits for the peer.

        In a REQUESTED transfer the provider waits for its own service.
        """
        wait = self._wait(process)
        return None if wait is None else float(getattr(limits, wait.limit))

    def wait_code(self, process: Process) -> str | None:
        """Return the code to end with when `wait_s` is over."""
        wait = self._wait(process)
        return None if wait is None else wait.code

    def _wait(self, process: Process) -> Wait | None:
        if process.state is None or process.pending is not None:
            return None  # delivery has its own end
        return self.waits.get((process.state, process.us))

    # parts

    def _legal(
        self, state: str | None, sender: Role, step: str, *, after_resume: bool
    ) -> str | None:
        legal = self.next_state(state, sender, step)
        if legal is None and after_resume:
            return self.resumed.get((state, sender, step))
        return legal

    def _target(self, process: Process) -> str:
        """Find where our pending word leads. It was legal when it was said, so there is one."""
        assert process.pending is not None
        target = self._legal(process.state, process.us, process.pending, after_resume=True)
        if target is None:
            raise self._unspeakable(process, process.pending)
        return target

    def _moved(self, process: Process, state: str) -> Process:
        """Arrive in a state with nothing pending; the intent stays where it is still legal."""
        arrived = Process(process.us, state)
        return arrived if process.intent is None else self._wishing(arrived, process.intent)

    def _wishing(self, process: Process, step: str | None) -> Process:
        """Set the intent, if it has a rank and a chance.

        It has one where it is legal once our pending word is heard, or outranks that word and is
        legal if the word is lost.
        """
        if step is None or self.rank(step) == 0:
            return replace(process, intent=None)
        legal = process.pending is None or self.rank(step) > self.rank(process.pending)
        legal = legal and self.next_state(process.state, process.us, step) is not None
        if not legal and process.pending is not None:
            target = self._target(process)
            legal = self.next_state(target, process.us, step) is not None
        return replace(process, intent=step if legal else None)

    def _illegal(self, state: str | None, sender: Role, step: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"the {sender} cannot say {step} in {state or 'no state'}")

    def _unspeakable(self, process: Process, step: str) -> LocalProtocolError:
        under_way = f" while {process.pending} is pending" if process.pending else ""
        return LocalProtocolError(
            f"as {process.us} we cannot say {step} in {process.state or 'no state'}{under_way}"
        )
