# SPDX-License-Identifier: Apache-2.0
"""The system calls that a worker may make: an allow-list, and the BPF program made of it.

Not on it: socket, execve, ptrace, fork, kill, unlink, ioctl … `clone` makes threads only; `clone3`,
whose flags a filter cannot see, answers ENOSYS, so that libc falls back to `clone`. Everything else
answers EPERM: libraries probe, and a probe must not end the process.
"""

from __future__ import annotations

import errno
import struct

ALLOW = 0x7FFF0000
KILL = 0x80000000
ERRNO = 0x00050000

_LOAD, _EQUAL, _SET, _RETURN = 0x20, 0x15, 0x45, 0x06  # BPF_LD|W|ABS, JEQ, JSET, RET
_NUMBER, _ARCH, _ARGS = 0, 4, 16  # offsets in struct seccomp_data
_X32 = 0x40000000
_CLONE_THREAD = 0x00010000
_PR_SET_NAME = 15

_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# (x86_64, aarch64); None: that machine has no such call. The frequent ones first.
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "futex": (202, 98),
    "pread64": (17, 67),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "madvise": (28, 233),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "brk": (12, 214),
    "clock_gettime": (228, 113),
    "readv": (19, 65),
    "writev": (20, 66),
    "preadv": (295, 69),
    "lseek": (8, 62),
    "close": (3, 57),
    "open": (2, None),
    "openat": (257, 56),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "fcntl": (72, 25),
    "fadvise64": (221, 223),
    "readahead": (187, 213),
    "poll": (7, None),
    "ppoll": (271, 73),
    "pselect6": (270, 72),
    "eventfd2": (290, 19),
    "pipe2": (293, 59),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "set_tid_address": (218, 96),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "clock_nanosleep": (230, 115),
    "clock_getres": (229, 114),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "getcpu": (309, 168),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "membarrier": (324, 283),
    "restart_syscall": (219, 128),
}
_CLONE = {"x86_64": 56, "aarch64": 220}
_PRLIMIT = {"x86_64": 302, "aarch64": 261}
_PRCTL = {"x86_64": 157, "aarch64": 167}
_CLONE3 = 435


def knows(machine: str) -> bool:
    """Whether there is a list for this machine (`uname -m`)."""
    return machine in _ARCHES


def program(machine: str) -> bytes:
    """The filter as an array of `struct sock_filter`; KeyError for a machine without a list."""
    column = 0 if machine == "x86_64" else 1
    ops = [
        _op(_LOAD, _ARCH),
        _op(_EQUAL, _ARCHES[machine], yes=1),
        _op(_RETURN, KILL),
        _op(_LOAD, _NUMBER),
        _op(_SET, _X32, no=1),  # the x32 numbers would be a second door to the same calls
        _op(_RETURN, KILL),
    ]
    for numbers in _CALLS.values():
        number = numbers[column]
        if number is not None:
            ops += [_op(_EQUAL, number, no=1), _op(_RETURN, ALLOW)]
    ops += [_op(_EQUAL, _CLONE3, no=1), _op(_RETURN, ERRNO | errno.ENOSYS)]
    refuse = _op(_RETURN, ERRNO | errno.EPERM)
    allow = _op(_RETURN, ALLOW)
    # clone: threads only
    ops += [_op(_EQUAL, _CLONE[machine], no=4), _op(_LOAD, _ARGS), _op(_SET, _CLONE_THREAD, no=1)]
    ops += [allow, refuse]
    # prlimit64: reading only, that is a null pointer for the new limit (both halves)
    ops += [_op(_EQUAL, _PRLIMIT[machine], no=6), _op(_LOAD, _ARGS + 16), _op(_EQUAL, 0, no=3)]
    ops += [_op(_LOAD, _ARGS + 20), _op(_EQUAL, 0, no=1), allow, refuse]
    # prctl: naming a thread only
    ops += [_op(_EQUAL, _PRCTL[machine], no=3), _op(_LOAD, _ARGS), _op(_EQUAL, _PR_SET_NAME, no=1)]
    ops += [allow, refuse]
    return b"".join(ops)


def _op(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)
