# SPDX-License-Identifier: Apache-2.0
"""Files: a file or a folder, of a disk or an object store, by plain HTTP or pushed.

`plane` answers requests; `disk` and `objects` are where files lie; `ranges` reads conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corridor.limits import Limits
from corridor.services.files.plane import Files
from corridor.world import Rooms

__all__ = ["Files", "connect"]


def connect(*, rooms: Rooms, limits: Limits, roots: Sequence[Path]) -> Files:
    """The service. `roots`: where sources on this disk may lie. No room is used."""
    del rooms
    return Files(limits=limits, roots=tuple(roots))
