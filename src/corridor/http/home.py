# SPDX-License-Identifier: Apache-2.0
"""The face for the node's own people and for whatever watches over it."""

from __future__ import annotations

from collections.abc import Sequence

from corridor.http import problems
from corridor.http.face import Face
from corridor.http.health import Health
from corridor.http.management import Management
from corridor.http.routes import Route
from corridor.wire.home import PROBLEM


def routes(management: Management, health: Health) -> list[Route]:
    """Every route that the home listener answers."""
    return [*health.routes(), *management.routes()]


def home_face(management: Management, health: Health, *, more: Sequence[Route] = ()) -> Face:
    """The ASGI app of the listener for people; `more`: the peers' routes, on a shared port."""
    return Face([*routes(management, health), *more], problems.words, media=PROBLEM)
