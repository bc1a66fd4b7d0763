# SPDX-License-Identifier: Apache-2.0
"""What node and worker say to each other: length-prefixed msgpack, at most a block a frame.

Order: node `Job`, `Args`; then worker `Data` … `End` (or `Fault`), while the node gives `Credit`.
`Job` is read before the sandbox stands, `Args` (which hold what a peer wrote) after it.
"""

from __future__ import annotations

import os
import struct
from typing import Any, TypeAlias

import msgspec

HEADER = struct.Struct(">I")
BLOCK_BYTES_MAX = 1 << 20
# The zygote's words, on a socket of their own.
READY, MISSING, THREADS = b"ready", b"missing", b"threads"
FORKED, FAILED = b"forked", b"failed"
FRAME_BYTES_MAX = BLOCK_BYTES_MAX + 4096


class Job(msgspec.Struct, frozen=True, array_like=True, tag="job"):
    """What to run and in which walls. `lacks`: walls that this kernel cannot build."""

    work: str
    reads: list[str]
    cpu_s: int
    memory_bytes: int
    files_max: int
    credit: int
    lacks: list[str]


class Args(msgspec.Struct, frozen=True, array_like=True, tag="args"):
    """The arguments of the work."""

    args: dict[str, Any]


class Credit(msgspec.Struct, frozen=True, array_like=True, tag="credit"):
    """So many more `Data` frames may be sent."""

    frames: int


class Data(msgspec.Struct, frozen=True, array_like=True, tag="data"):
    """A block of the answer, at most 1 MiB."""

    content: bytes


class End(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    """The work is done."""


class Fault(msgspec.Struct, frozen=True, array_like=True, tag="fault"):
    """The work ended otherwise. `kind`: refused, query, invalid, memory or fault.

    Texts are our own sentences; what an engine said never stands here.
    """

    kind: str
    code: str = ""
    what: str = ""
    rule: str = ""
    would_pass: str = ""


FromNode: TypeAlias = Job | Args | Credit
FromWorker: TypeAlias = Data | End | Fault

from_node = msgspec.msgpack.Decoder(FromNode)
from_worker = msgspec.msgpack.Decoder(FromWorker)
_encoder = msgspec.msgpack.Encoder()


def encode(frame: FromNode | FromWorker) -> bytearray:
    """Header and body in one piece; ValueError where it is longer than a frame may be."""
    whole = bytearray(HEADER.size)
    _encoder.encode_into(frame, whole, HEADER.size)
    size = len(whole) - HEADER.size
    if size > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {size} bytes")
    HEADER.pack_into(whole, 0, size)
    return whole


def length(header: bytes | bytearray) -> int:
    """The body's length; ValueError where it is longer than a frame may be."""
    (size,) = HEADER.unpack(header)
    if size > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {size} bytes")
    return int(size)


def write(descriptor: int, frame: FromNode | FromWorker) -> None:
    """Write all of a frame to a blocking descriptor."""
    left = memoryview(encode(frame))
    while left:
        left = left[os.write(descriptor, left) :]


def read(descriptor: int) -> FromNode:
    """Read one frame of the node from a blocking descriptor; EOFError where it hung up."""
    frame: FromNode = from_node.decode(
        _exactly(descriptor, length(_exactly(descriptor, HEADER.size)))
    )
    return frame


def _exactly(descriptor: int, count: int) -> bytes:
    parts = []
    while count:
        part = os.read(descriptor, count)
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
