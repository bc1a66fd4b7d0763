# SPDX-License-Identifier: Apache-2.0
"""Ending deals: what would follow, in numbers, and then the end itself."""

from __future__ import annotations

from datetime import timedelta

from corridor.engine.desk.deals import Deals
from corridor.engine.desk.means import Actor, Means, when
from corridor.engine.desk.story import Story
from corridor.engine.desk.words import minute
from corridor.engine.ground import Home, micros, stamp
from corridor.errors import Changed, Invalid
from corridor.policy.plain import span_words
from corridor.protocol.machine import Role
from corridor.store.agreements import Agreement
from corridor.wire.home import Consequences

REASON_CHARS_MAX = 2000
NOW = timedelta()


class Ending:
    """Withdrawals by the provider, and agreements given back by the consumer."""

    def __init__(self, means: Means, deals: Deals, story: Story) -> None:
        self._means = means
        self._deals = deals
        self._story = story

    async def withdraw(
        self, home: Home, actor: Actor, name: str, *, reason: str, dry_run: bool
    ) -> Consequences:
        """End it as its provider, at once or after the notice that was agreed.

        A reason is obligatory: the partner reads it, and the ledger keeps it.
        """
        it = self._live(home, name, Role.PROVIDER)
        leaving = self._deals.leaving(home, it)
        if leaving is not None:
            raise Changed("it was withdrawn already", cause=f"it ends at {minute(leaving)}")
        notice = self._means.engine.library.permit(home, it).notice
        follows = self._follows(home, it, notice)
        if dry_run:
            return follows
        ended = await self._means.engine.endings.withdraw(
            home, it.agreement_id, reason=_reason(reason), notice=notice, person=actor.user
        )
        return self._done(home, ended, follows, "agreement.withdrawn")

    async def give_back(
        self, home: Home, actor: Actor, name: str, *, reason: str, dry_run: bool
    ) -> Consequences:
        """End it as its consumer, at once."""
        it = self._live(home, name, Role.CONSUMER)
        follows = self._follows(home, it, NOW)
        if dry_run:
            return follows
        ended = await self._means.engine.endings.give_back(
            home, it.agreement_id, reason=_reason(reason), person=actor.user
        )
        return self._done(home, ended, follows, "agreement.returned")

    def _live(self, home: Home, name: str, role: Role) -> Agreement:
        it = self._deals.agreement(home, name, role)
        if it.state != "live":
            raise Changed(f"the agreement is {it.state}", cause=it.reason or "")
        return it

    def _follows(self, home: Home, it: Agreement, notice: timedelta) -> Consequences:
        """What ending it now would do; nothing is done."""
        store = self._means.store(home)
        machine = self._means.engine.transfers.machine
        sessions = [
            session
            for session in store.sessions.of_agreement(it.agreement_id)
            if session.state not in ("closed", "closing")
        ]
        streams = sum(len(store.acts.open_of_session(session.sid)) for session in sessions)
        transfers = [
            transfer
            for transfer in store.transfers.of_agreement(it.agreement_id)
            if transfer.role == it.role and transfer.state not in machine.final
        ]
        partner = self._means.handle(home, it.peer)
        at_once = notice <= NOW
        effect = stamp(self._means.ground.now() + notice)
        goes = "are cut" if at_once else "may go on until then"
        words = [
            "It ends at once."
            if at_once
            else f"It ends after {span_words(notice)}, at {minute(effect)}.",
            f"{_count(len(sessions), 'session')}, {_count(streams, 'answer')} under way: {goes}.",
            f"{_count(len(transfers), 'transfer')} end{'s' if len(transfers) == 1 else ''}.",
            f"{partner} is told, with your reason; both ledgers keep it. It cannot be undone.",
        ]
        return Consequences(
            deal=it.agreement_id,
            done=False,
            takes_effect=effect,
            sessions=len(sessions),
            streams=streams,
            transfers=len(transfers),
            words=words,
        )

    def _done(self, home: Home, ended: Agreement, follows: Consequences, kind: str) -> Consequences:
        entry = ""
        for each in self._story.thread(home, ended.agreement_id):
            entry = each.id if each.type == kind else entry
        gone = ended.state != "live"
        return Consequences(
            deal=follows.deal,
            done=True,
            takes_effect=when(micros(self._means.ground.now())) if gone else follows.takes_effect,
            sessions=follows.sessions,
            streams=follows.streams,
            transfers=follows.transfers,
            words=follows.words,
            entry=entry,
            view=self._deals.view(home, ended),
        )


def _reason(given: str) -> str:
    reason = given.strip()
    if not reason:
        raise Invalid("a reason is needed", cause="the partner and the ledger keep it")
    if len(reason) > REASON_CHARS_MAX:
        raise Invalid(f"a reason has at most {REASON_CHARS_MAX} characters")
    return reason


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
