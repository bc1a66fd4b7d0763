# SPDX-License-Identifier: Apache-2.0
"""The node's data folder: SQLite connections, small files written whole, and free space."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path, PurePosixPath
from typing import Final

from corridor.errors import Refused, StoreUnavailable

# SQLite needs locks and shared memory that these do not keep their word about.
_REMOTE: Final = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
    ]
)
_MOUNTS: Final = Path("/proc/self/mountinfo")
_BUSY_S: Final = 5.0
_SETTINGS: Final = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)


class FolderDisk:
    """Files below `root`, which is made (mode 0700) where it is not there."""

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root = root.resolve()

    def connect(self, name: str, *, read_only: bool = False) -> sqlite3.Connection:
        """A bare connection in autocommit mode, with the settings of node.md b.

        It may be used by another thread than the one that made it, by one at a time.
        """
        path = self.path(name)
        if not read_only:
            # Its owner's alone, in a folder that was there before too; the log files follow it.
            with contextlib.suppress(OSError):  # it is there, or SQLite says what is wrong
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        address = path.as_uri() + ("?mode=ro" if read_only else "?mode=rwc")
        connection = sqlite3.connect(
            address,
            uri=True,
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")
            for setting in _SETTINGS:
                connection.execute(setting)
            if read_only:
                connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def read(self, name: str) -> bytes | None:
        """The whole small file, None where there is none."""
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            return None

    def write_atomic(self, name: str, data: bytes) -> None:
        """Write, sync, rename, sync the folder; StoreUnavailable where the disk does not take it.

        Two writers of one name must not run at once.
        """
        target = self.path(name)
        draft = target.with_name(f".{target.name}.new")
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
            _sync(target.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise StoreUnavailable(f"{name} cannot be written", cause=str(error)) from error

    def delete(self, name: str) -> None:
        """Remove the file if it is there, for good."""
        target = self.path(name)
        try:
            target.unlink()
        except FileNotFoundError:
            return
        _sync(target.parent)

    def free(self) -> int:
        """Free bytes of the file system, for us."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def path(self, name: str) -> Path:
        """Where it lies; Refused for a name that leads out of the folder, links followed."""
        parts = PurePosixPath(name)
        if not name or "\0" in name or parts.is_absolute() or ".." in parts.parts:
            raise Refused("a file name that leads out of the data folder")
        target = self.root / parts
        if not target.resolve().is_relative_to(self.root) or target == self.root:
            raise Refused("a file name that leads out of the data folder")
        return target


def _sync(folder: Path) -> None:
    """Make a rename or removal in the folder last."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def is_local(path: Path, *, mounts: Path = _MOUNTS) -> bool:
    """Whether a database may lie there: the file system is this machine's own.

    Read from the mount table (Linux). Another system has none, and its operator must know;
    network file systems and user-space ones (`fuse.…`) are not local.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return True
    place = path.resolve()
    best, kind = -1, ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = Path(_unescaped(fields.split(" ")[4]))
        # A later mount at the same place covers the earlier one.
        if place.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), rest.split(" ")[0]
    return bool(kind) and kind not in _REMOTE and kind.partition(".")[0] != "fuse"


def _unescaped(text: str) -> str:
    """A mount point: blanks, tabs, line ends and backslashes stand in octal."""
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, sign)
    return text
