# SPDX-License-Identifier: Apache-2.0
"""What the desk works with, and who sits at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from corridor.engine.engine import Engine
from corridor.engine.ground import Ground, Home, stamp
from corridor.engine.ground import moment as moment_of
from corridor.engine.who import Who
from corridor.policy.profile import PURPOSES
from corridor.store.peers import Peer
from corridor.store.store import Participant
from corridor.store.unit import Leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person (or a program in its name): what it is called, and its roles for a participant.

    Roles: operator, steward, analyst, auditor. Which verb takes which role stands in the route
    table; a verb looks at them only where it depends on the thing itself.
    """

    user: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The engine, who resolves partners, and what the settings say.

    `floors`: least values of limits in terms; `purposes`: by participant, slugs of its own and
    their IRIs; `modes`: by participant, how callers are known.
    """

    engine: Engine
    who: Who
    version: str
    public_url: str
    floors: Mapping[str, int] = field(default_factory=dict)
    purposes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    modes: Mapping[str, str] = field(default_factory=dict)

    @property
    def ground(self) -> Ground:
        """What the engine stands on."""
        return self.engine.ground

    def store(self, home: Home) -> Participant:
        """A participant's tables."""
        return self.ground.store.of(home.slug)

    def known_purposes(self, home: Home) -> dict[str, str]:
        """Slugs and their IRIs: the profile's and the participant's."""
        return {**PURPOSES, **self.purposes.get(home.slug, {})}

    def purpose_iri(self, home: Home, purpose: str) -> str:
        """What a person wrote, as the IRI that it means."""
        return self.known_purposes(home).get(purpose, purpose)

    def purpose_word(self, home: Home, iri: str) -> str:
        """An IRI as the slug that people know; itself where there is none."""
        words = {whole: slug for slug, whole in self.known_purposes(home).items()}
        return words.get(iri, iri)

    def peer(self, home: Home, did: str) -> Peer | None:
        """What is written down of a partner."""
        return self.store(home).peers.get(did)

    def handle(self, home: Home, did: str) -> str:
        """What people call a partner: its handle, or its DID where nobody gave it one."""
        known = self.peer(home, did)
        return known.handle if known is not None else did

    def acted(self, home: Home, actor: Actor, action: str, target: str, **told: Any) -> Leaf:
        """The entry of what a person did; the name is sealed beside it."""
        told.setdefault("outcome", "done")
        return self.engine.clerk.leaf(
            home,
            "admin.acted",
            action=action,
            target=target,
            payloads={"person": actor.user.encode()},
            **told,
        )


def when(micros: int) -> str:
    """A stored moment as people and programs read it."""
    return stamp(moment_of(micros))


def when_or_none(micros: int | None) -> str | None:
    """The same for what may not be known."""
    return None if micros is None else when(micros)
