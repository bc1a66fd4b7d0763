# SPDX-License-Identifier: Apache-2.0
"""Where heavy or hostile work runs: a zygote, workers, their limits and sandbox.

A service gets a `world.Rooms`; only `app` names this one. What a work is: `inside`.
"""

from corridor.rooms.real import RealRooms

__all__ = ["RealRooms"]
