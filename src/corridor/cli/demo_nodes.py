# SPDX-License-Identifier: Apache-2.0
"""The two nodes of the demonstration: one folder, two processes, nothing left behind.

A lock file in the user's state folder names the demonstration that lives; one whose process is gone
is cleaned up by the next run. The nodes die with the process that started them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from corridor.cli.away import TOKEN_FILE, read_token
from corridor.client.home import Home
from corridor.client.places import Place, profiles_path
from corridor.errors import CorridorError
from corridor.rooms.sandbox import lacking

READY_S = 20.0
STOP_S = 10.0
LOG_LINES = 12
BEGIN, END = "# begin: corridor demo\n", "# end: corridor demo\n"
PEOPLE = {
    "stat": ("statistics office", "Statistics Office", "RS"),
    "institute": ("research institute", "Research Institute", "ID"),
}


@dataclass(slots=True)
class Node:
    """One node of the two."""

    name: str
    folder: Path
    port: int
    other: int
    process: subprocess.Popen[str] | None = None
    ready_s: float = 0.0
    told: Mapping[str, Any] | None = None

    @property
    def url(self) -> str:
        """As partners reach it."""
        return f"http://localhost:{self.port}"

    @property
    def home_url(self) -> str:
        """As its own people reach it."""
        return self.url

    @property
    def did(self) -> str:
        """Who lives there."""
        return f"did:web:localhost%3A{self.port}:{self.name}"

    @property
    def config(self) -> Path:
        """Its settings."""
        return self.folder / "corridor.toml"

    @property
    def log(self) -> Path:
        """What it says of itself."""
        return self.folder / "node.log"

    def place(self) -> Place:
        """The way to it."""
        token = read_token(self.folder / "data" / TOKEN_FILE)
        return Place(url=self.home_url, token=token, participant=self.name)

    def home(self) -> Home:
        """A connection of its own people."""
        return Home(self.place())

    def write(self) -> None:
        """Its settings."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _, title, country = PEOPLE[self.name]
        data = json.dumps(str(self.folder / "data"))
        hosts = [f"localhost:{it}" for it in (self.port, self.other)]
        self.config.write_text(
            f"""\
[node]
public_url = "{self.url}"
peer_listen = "127.0.0.1:{self.port}"
home_listen = "127.0.0.1:{self.port}"
data_dir = {data}
development = true
[database]
migrate = "auto"
[net]
http_hosts = {json.dumps(hosts)}
[rooms]
unsafe_room = {"true" if lacking() else "false"}
[log]
format = "json"
[[participant]]
id = "{self.name}"
title = {{ en = "{title}" }}
country = "{country}"
""",
            encoding="utf-8",
        )

    def start(self) -> None:
        """Begin; `wait` says when it is ready."""
        self.write()
        arguments = [
            "up",
            "--config",
            str(self.config),
            "--quiet",
            "--with-parent",
            str(os.getpid()),
        ]
        # What this user has set for a node of their own is not for these two.
        environ = {it: os.environ[it] for it in os.environ if not it.startswith("CORRIDOR_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "corridor.cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env=environ,
                text=True,
                start_new_session=True,
            )

    def wait(self, begin: float) -> None:
        """Until it is ready; CorridorError with the end of its log where it is not."""
        process = self.process
        assert process is not None, "it was started"
        assert process.stdout is not None, "its output is read"
        lines: list[str] = []
        reader = threading.Thread(target=_first_line, args=(process.stdout, lines), daemon=True)
        reader.start()
        reader.join(READY_S)
        if not lines or not lines[0].strip():
            raise CorridorError(
                f"the node {self.name} did not become ready",
                code="internal",
                cause=_tail(self.log) or "it said nothing",
                mend="corridor demo --keep DIR keeps its log",
            )
        self.told = json.loads(lines[0])
        self.ready_s = time.monotonic() - begin

    def stop(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def gone(self) -> None:
        """Wait for its end; kill it after 10 s."""
        if self.process is None:
            return
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def _first_line(stream: IO[str], lines: list[str]) -> None:
    lines.append(stream.readline())


def _tail(path: Path) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES:])
    return ""


class Pair:
    """Both nodes, their folder, and what is undone at the end."""

    def __init__(self, folder: Path, ports: tuple[int, int], *, keep: bool) -> None:
        self.folder = folder
        self.keep = keep
        self.stat = Node("stat", folder / "stat", *ports)
        self.institute = Node("institute", folder / "institute", *ports[::-1])
        self.nodes = (self.stat, self.institute)

    def start(self) -> None:
        """Both at once."""
        begin = time.monotonic()
        for it in self.nodes:
            it.start()
        for it in self.nodes:
            it.wait(begin)

    def stop(self) -> int:
        """End both and delete what they wrote; how many bytes that was."""
        for it in self.nodes:
            it.stop()
        for it in self.nodes:
            it.gone()
        size = folder_size(self.folder)
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        return size


def folder_size(folder: Path) -> int:
    """Bytes of all files below."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size if path.is_file() else 0
    return total


# the lock


def state_path(environ: Mapping[str, str]) -> Path:
    """Where the living demonstration is named."""
    given = environ.get("XDG_STATE_HOME", "")
    folder = Path(given) if given else Path(environ.get("HOME") or Path.home()) / ".local/state"
    return folder / "corridor" / "demo.json"


def living(environ: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The demonstration that runs. One that is gone is cleaned up: folder, profiles, lock."""
    path = state_path(environ)
    try:
        with path.open("r+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                told: Mapping[str, Any] = json.loads(file.read() or "{}")
                return told
            told = json.loads(file.read() or "{}")
            _clean(told, environ)
            path.unlink(missing_ok=True)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        pass
    return None


def _clean(told: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    folder = Path(str(told.get("folder", "")))
    if told.get("keep") is False and folder.name.startswith("corridor-demo-"):
        shutil.rmtree(folder, ignore_errors=True)
    remove_profiles(environ)


@contextlib.contextmanager
def alive(pair: Pair, environ: Mapping[str, str]) -> Iterator[None]:
    """Name this demonstration while it lives; without a home folder, do without."""
    path = state_path(environ)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("w", encoding="utf-8")
    except OSError:
        yield
        return
    with file:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        told = {
            "process": os.getpid(),
            "folder": str(pair.folder),
            "keep": pair.keep,
            "nodes": {it.name: it.url for it in pair.nodes},
        }
        json.dump(told, file)
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def new_folder(keep: Path | None) -> Path:
    """The one folder of a demonstration."""
    if keep is not None:
        keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        return keep.absolute()
    return Path(tempfile.mkdtemp(prefix="corridor-demo-"))


# profiles


def write_profiles(pair: Pair, environ: Mapping[str, str]) -> bool:
    """Profiles `demo` and `demo-stat`; False where they cannot be written."""
    path = profiles_path(environ)
    try:
        remove_profiles(environ)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before and not before.endswith("\n"):
            before += "\n"
        block = BEGIN
        for name, node in (("demo", pair.institute), ("demo-stat", pair.stat)):
            place = node.place()
            block += (
                f'[{name}]\nurl = "{place.url}"\nparticipant = "{place.participant}"\n'
                f"token = {json.dumps(place.token.reveal())}\n"
            )
        _replace(path, before + block + END)
    except OSError:
        return False
    return True


def remove_profiles(environ: Mapping[str, str]) -> None:
    """Take them out again; what the user wrote stays as it is."""
    path = profiles_path(environ)
    with contextlib.suppress(OSError):
        text = path.read_text(encoding="utf-8")
        begin, end = text.find(BEGIN), text.find(END)
        if 0 <= begin < end:
            rest = text[:begin] + text[end + len(END) :]
            if rest.strip():
                _replace(path, rest)
            else:
                path.unlink()


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, readable by the owner alone."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    beside.replace(path)
