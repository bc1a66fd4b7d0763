# SPDX-License-Identifier: Apache-2.0
"""The process that workers are forked from: one thread, everything imported, nothing opened.

Started by exec (`python -m corridor.rooms.zygote MODULE …`), never forked off the node, since a
process with threads cannot be forked safely. Its standard input is the node's control socket: each
packet brings the socket of one new worker, the answer brings the worker's pidfd.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
from pathlib import Path

from corridor.rooms import inside, sandbox
from corridor.rooms.frames import FAILED, FORKED, MISSING, READY, THREADS


def main(modules: list[str]) -> int:
    """Import, check, and fork until the node hangs up."""
    sandbox.die_with_parent(os.getppid())
    control = socket.socket(fileno=os.dup(0))
    try:
        for module in modules:
            importlib.import_module(module)
    except ImportError:
        control.send(MISSING)
        return 1
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        control.send(THREADS)
        return 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps: no worker stays a zombie
    gc.collect()
    gc.freeze()  # what is imported is never looked at again, so its pages stay shared
    control.send(READY)
    while _next(control, frozenset(modules)):
        pass
    return 0


def _next(control: socket.socket, modules: frozenset[str]) -> bool:
    packet, descriptors, _, _ = socket.recv_fds(control, 16, 1)
    if not packet or not descriptors:
        return False
    (worker,) = descriptors
    parent = os.getpid()
    try:
        child = os.fork()
    except OSError:
        os.close(worker)
        control.send(FAILED)
        return True
    if child == 0:
        os.dup2(worker, inside.NODE)
        inside.live(modules, parent)
    os.close(worker)
    try:
        watched = os.pidfd_open(child)
    except ProcessLookupError:  # it is over already; the node sees that on its socket
        control.send(FAILED)
        return True
    socket.send_fds(control, [FORKED], [watched])
    os.close(watched)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
