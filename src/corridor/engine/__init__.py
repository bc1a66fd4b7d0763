# SPDX-License-Identifier: Apache-2.0
"""Who acts: hears, says, delivers, wakes, and does what people ask."""

from corridor.engine.engine import Engine

__all__ = ["Engine"]
