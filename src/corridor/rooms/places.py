# SPDX-License-Identifier: Apache-2.0
"""Which files may be read at all: those below the roots that the operator configured.

Asked at every use, not once: what a path leads to may have changed since. Blocking; call it in a
thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from corridor.errors import Invalid

PATH_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class State:
    """What tells one content of a file from the next: size in bytes, time in ns, inode."""

    size: int
    modified_ns: int
    inode: int


def resolve(given: object, roots: Sequence[Path]) -> Path:
    """The file or folder itself, all symlinks followed.

    Raises Invalid(source-path) where it is no absolute path, Invalid(source-missing), or
    Invalid(source-outside) where it lies below none of the roots.
    """
    if not isinstance(given, str) or "\0" in given or len(given.encode()) > PATH_BYTES_MAX:
        raise Invalid("the source's path is no path", code="source-path")
    path = Path(given)
    if not path.is_absolute():
        raise Invalid("the source's path must be absolute", code="source-path")
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: symlinks in a circle
        raise Invalid("no such file or folder", code="source-missing") from None
    if not any(_below(real, root) for root in roots):
        raise Invalid("the source lies outside the folders of this node", code="source-outside")
    return real


def state(path: Path) -> State:
    """How the file stands now; Invalid(source-missing) where it is gone."""
    try:
        found = path.stat()
    except OSError:
        raise Invalid("no such file or folder", code="source-missing") from None
    return State(found.st_size, found.st_mtime_ns, found.st_ino)


def _below(real: Path, root: Path) -> bool:
    # What is a prefix of a path without symlinks has none itself: nothing to resolve.
    if real.is_relative_to(root):
        return True
    try:
        return real.is_relative_to(root.resolve(strict=True))
    except OSError:
        return False
