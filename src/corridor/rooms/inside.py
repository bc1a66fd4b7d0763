# SPDX-License-Identifier: Apache-2.0
"""What happens in a worker: read the job, build the walls, run the work, say how it ended.

The work is named by a dotted string and must have been imported by the zygote: this floor knows no
service, and a sandboxed process can import nothing. No text of an engine leaves: what is not one of
our own refusals is the one word `fault`, or `memory`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.machinery import BuiltinImporter, FrozenImporter
from typing import Any, NoReturn

from corridor.errors import CorridorError, Invalid, QueryRefused, Refused
from corridor.rooms import frames, sandbox
from corridor.rooms.frames import Args, Credit, Data, End, Fault, Job

NODE = 0  # the descriptor of the node's socket
TEXT_MAX = 500

Send = Callable[[bytes], None]
Work = Callable[[dict[str, Any], Send], None]


def live(allowed: frozenset[str], parent: int) -> NoReturn:
    """Be a worker from here on. Never returns, never raises."""
    status = 1
    try:
        _live(allowed, parent)
        status = 0
    except (EOFError, OSError, sandbox.WallMissing):
        pass  # the node hung up, or a wall is missing: it sees the end without an `End`
    finally:
        os._exit(status)


def _live(allowed: frozenset[str], parent: int) -> None:
    job = frames.read(NODE)
    if not isinstance(job, Job):
        return
    work = _find(job.work, allowed)
    # Libraries look for others at odd times. What the zygote has not imported is not there:
    # a clean "no such module" is what they expect, a file that may not be opened is not.
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter]
    sandbox.build(job, parent)
    args = frames.read(NODE)
    if not isinstance(args, Args):
        return
    frames.write(NODE, _run(work, args.args, _Sender(job.credit)))


def _find(name: str, allowed: frozenset[str]) -> Work:
    module, _, function = name.partition(":")
    if module not in allowed:
        raise sandbox.WallMissing(f"{module} is not for rooms")
    work: Work = getattr(sys.modules[module], function)
    return work


def _run(work: Work, args: dict[str, Any], sender: _Sender) -> End | Fault:
    try:
        work(args, sender.send)
    except MemoryError:
        return Fault("memory")
    except CorridorError as error:
        return _told(error)
    except (EOFError, BrokenPipeError):
        raise
    except BaseException:  # noqa: BLE001  # whatever an engine raises, its words stay here
        return Fault("fault")
    return End()


def _told(error: CorridorError) -> Fault:
    what = error.what[:TEXT_MAX]
    match error:
        case QueryRefused():
            return Fault("query", error.code, what, error.rule, error.would_pass[:TEXT_MAX])
        case Refused():
            return Fault("refused", error.code, what, error.rule)
        case Invalid():
            return Fault("invalid", error.code, what)
        case _:
            return Fault("fault")


class _Sender:
    """Sends blocks while there is credit, else waits for it."""

    def __init__(self, credit: int) -> None:
        self._credit = credit

    def send(self, content: bytes) -> None:
        """Send in blocks of at most 1 MiB; EOFError where the node hung up."""
        for start in range(0, len(content), frames.BLOCK_BYTES_MAX):
            while self._credit == 0:
                frame = frames.read(NODE)
                if not isinstance(frame, Credit):
                    raise EOFError  # noqa: TRY004  # to us the node is gone, whatever it said
                self._credit += frame.frames
            self._credit -= 1
            frames.write(NODE, Data(content[start : start + frames.BLOCK_BYTES_MAX]))
