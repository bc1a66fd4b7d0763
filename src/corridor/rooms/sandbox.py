# SPDX-License-Identifier: Apache-2.0
"""The walls of a worker, in the order of node.md a, and the test that they stand.

(1) descriptors closed but three  (2) dies with the zygote  (3) rlimits  (4) no new privileges
(5) Landlock: reads its job's files and the cgroup's, nothing else  (6) seccomp  (7) self-test.
All of it before an engine connects, since threads inherit what stands when they start.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import socket
import stat
import struct
from collections.abc import Sequence

from corridor.rooms import seccomp
from corridor.rooms.frames import Job

_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_ADD, _SYS_LANDLOCK_RESTRICT = 444, 445, 446
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 1, 38, 4
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights a version knows; 16 since 5
# duckdb 2.0 reads its memory limit here and aborts the process where it cannot.
_ALWAYS_READ = ("/proc/self/cgroup", "/sys/fs/cgroup")


class WallMissing(Exception):
    """A wall could not be built, or does not hold. The worker must not go on."""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _landlock_version() -> int:
    return int(_libc().syscall(_SYS_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1))


def lacking() -> tuple[str, ...]:
    """What this kernel lacks of `landlock` and `seccomp`. Asks only, changes nothing."""
    lacks = []
    if _landlock_version() < 1:
        lacks.append("landlock")
    machine = platform.machine()
    action = ctypes.c_uint32(seccomp.ERRNO)
    get_action_avail = (_SYS_SECCOMP.get(machine), 2, 0, ctypes.byref(action))
    if not seccomp.knows(machine) or _libc().syscall(*get_action_avail) != 0:
        lacks.append("seccomp")
    return tuple(lacks)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, also when it has ended already."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def build(job: Job, parent: int) -> None:
    """Build all walls round this process and test them. Raises WallMissing."""
    libc = _libc()
    machine = platform.machine()  # asked before files are out of reach
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])  # (1)
    die_with_parent(parent)  # (2)
    _limit(job)  # (3)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:  # (4)
        raise WallMissing("no_new_privs")
    if "landlock" not in job.lacks:  # (5)
        _landlock(libc, [*_ALWAYS_READ, *job.reads])
    if "seccomp" not in job.lacks:  # (6)
        _seccomp(libc, machine)
    _test(job.lacks)  # (7)


def _limit(job: Job) -> None:
    for what, wanted in (
        (resource.RLIMIT_AS, job.memory_bytes),
        (resource.RLIMIT_CPU, job.cpu_s),
        (resource.RLIMIT_NOFILE, job.files_max),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(what, (most, most))


def _landlock(libc: ctypes.CDLL, paths: Sequence[str]) -> None:
    version = _landlock_version()
    files = (1 << _FS_BITS.get(version, 16)) - 1
    net = 0b11 if version >= 4 else 0  # bind and connect of TCP
    scoped = 0b11 if version >= 6 else 0  # abstract sockets and signals to others
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = struct.pack("=QQQ", files, net, scoped)
    ruleset = libc.syscall(_SYS_LANDLOCK_CREATE, rules, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        raise WallMissing("landlock_create_ruleset")
    try:
        for path in paths:
            _may_read(libc, ruleset, path)
        if libc.syscall(_SYS_LANDLOCK_RESTRICT, ruleset, 0) != 0:
            raise WallMissing("landlock_restrict_self")
    finally:
        os.close(ruleset)


def _may_read(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # what is not there cannot be read; the work says so in its own words
    try:
        folder = stat.S_ISDIR(os.fstat(beneath).st_mode)
        rights = _READ_FILE | _READ_DIR if folder else _READ_FILE
        rule = struct.pack("=Qi", rights, beneath)
        if libc.syscall(_SYS_LANDLOCK_ADD, ruleset, 1, rule, 0) != 0:
            raise WallMissing("landlock_add_rule")
    finally:
        os.close(beneath)


def _seccomp(libc: ctypes.CDLL, machine: str) -> None:
    code = seccomp.program(machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    # SECCOMP_SET_MODE_FILTER; this process has one thread, so nothing is to be synchronised
    if libc.syscall(_SYS_SECCOMP[machine], 1, 0, header) != 0:
        raise WallMissing("seccomp")


def _test(lacks: Sequence[str]) -> None:
    """Knock at three walls. A wall that gives way ends the worker before it has seen its args."""
    if "landlock" not in lacks:
        try:
            os.close(os.open("/", os.O_RDONLY))
        except PermissionError:
            pass
        else:
            raise WallMissing("landlock lets through")
    if "seccomp" not in lacks:
        try:
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()
        except PermissionError:
            pass
        else:
            raise WallMissing("seccomp lets a socket through")
        try:
            # No such program: without the wall this fails with ENOENT, and runs nothing.
            os.execve("/nonexistent/corridor", ["corridor"], {})  # noqa: S606  # the test of the wall
        except OSError as error:
            if error.errno != errno.EPERM:
                raise WallMissing("seccomp lets execve through") from None
