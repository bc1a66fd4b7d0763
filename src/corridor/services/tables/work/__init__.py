# SPDX-License-Identifier: Apache-2.0
"""What runs in a room, and nowhere else: the only place of `tables` with engines.

`look` and `read` are works of `rooms.inside`; the zygote imports this package.
"""

from corridor.services.tables.work.engine import look, read

__all__ = ["look", "read"]
