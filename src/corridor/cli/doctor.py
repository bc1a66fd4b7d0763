# SPDX-License-Identifier: Apache-2.0
"""`corridor doctor`: everything that must be true, a line a check, each red line with its mend.

Checks of this version: settings, file modes, the data folder's space and disk, database, clock,
ports, the kernel's sandbox, libraries; and of a running node its readiness, DID documents and keys,
messages that wait, and partners.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import stat
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import typer

from corridor.cli.away import TOKEN_FILE, load_config, local_place
from corridor.cli.ports import free, holder
from corridor.cli.talk import Talk, size, talk_of
from corridor.cli.upgrade import database_path
from corridor.client.home import Home
from corridor.errors import CorridorError, Exit, Invalid, NotSignedIn
from corridor.rooms.sandbox import lacking

app = typer.Typer(rich_markup_mode=None, add_completion=False)
DOCUMENT_BYTES_MAX = 1 << 16
FETCH_S = 5.0
COLOURS = {"✓": "good", "!": "warning", "✗": "error"}


@dataclass(frozen=True, slots=True)
class Line:
    """One check: ✓ ! or ✗, what was found, what mends it."""

    sign: str
    check: str
    value: str
    mend: str = ""


def good(check: str, value: str) -> Line:
    """All is well."""
    return Line("✓", check, value)


def bad(check: str, value: str, mend: str) -> Line:
    """This must be mended."""
    return Line("✗", check, value, mend)


def hint(check: str, value: str, mend: str) -> Line:
    """This may matter."""
    return Line("!", check, value, mend)


@app.command()
def doctor(
    context: typer.Context,
    *,
    fix: bool = typer.Option(False, "--fix", help="Mend file modes and missing folders."),
    partner: str = typer.Option("", help="Also test the connection to this partner."),
) -> None:
    """Check everything that must be true: exit 0, or 10 where a line is red.

    corridor doctor --config /etc/corridor/corridor.toml

    corridor doctor --partner stat --json
    """
    talk = talk_of(context)
    lines = list(_examine(talk, fix=fix, partner=partner))
    rows = [(talk.colour(it.sign, COLOURS[it.sign]), it.check, it.value, it.mend) for it in lines]
    ok = all(it.sign != "✗" for it in lines)
    document = {"ok": ok, "checks": [asdict(it) for it in lines]}
    if talk.options.json:
        talk.json(document)
    else:
        for sign, check, value, mend in rows:
            if talk.terminal:
                talk.write(f"{sign} {check:22} {value}")
                if mend:
                    talk.write(f"  {'':22} {talk.colour(mend, 'hint')}")
            else:
                talk.write(f"{sign}\t{check}\t{value}\t{mend}")
    if not ok:
        raise typer.Exit(int(Exit.CONFIGURATION))


def _examine(talk: Talk, *, fix: bool, partner: str) -> Iterator[Line]:
    try:
        config = load_config(talk)
    except Invalid as error:
        if not error.problems:
            yield bad("configuration", error.what, error.mend)
        for it in error.problems:
            place = f"{it.source}:{it.line} " if it.line else ""
            yield bad("configuration", f"{place}{it.path}: {it.message}", it.mend or error.mend)
        return
    yield good("configuration", ", ".join(it.id for it in config.participants))
    for check in (_modes, _space, _disk, _database, _clock, _tls):
        yield from check(config, fix)
    yield from _kernel(config)
    yield from _libraries(config)
    yield from _node(talk, config, partner)


Check = Callable[[Any, bool], Iterator[Line]]


def _modes(config: Any, fix: bool) -> Iterator[Line]:  # noqa: FBT001 - a row of a table of checks
    data: Path = config.node.data_dir
    if not data.is_dir():
        if fix:
            data.mkdir(mode=0o700, parents=True)
            yield good("data folder", f"{data} made")
        else:
            yield bad("data folder", f"{data} is not there", f"mkdir -m 700 {data}")
            return
    for path, most in ((data, 0o700), (data / "master.key", 0o600), (data / TOKEN_FILE, 0o600)):
        if not path.exists():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & ~most and fix:
            path.chmod(most)
            mode = most
        if mode & ~most:
            yield bad("file modes", f"{path} is {mode:04o}", f"chmod {most:o} {path}")
        else:
            yield good("file modes", f"{path} is {mode:04o}")
    if not (data / "master.key").exists():
        yield hint("master key", "none yet", "corridor init or corridor up makes it")


def _space(config: Any, _: bool) -> Iterator[Line]:  # noqa: FBT001 - a row of a table of checks
    data = config.node.data_dir
    if not data.is_dir():
        return
    left, least = shutil.disk_usage(data).free, config.limits.disk_free_ready_bytes
    if left < least:
        yield bad("free space", f"{size(left)} of {size(least)} needed", "free some, or move it")
    else:
        yield good("free space", size(left))


def _disk(config: Any, _: bool) -> Iterator[Line]:  # noqa: FBT001 - a row of a table of checks
    data = config.node.data_dir
    if not data.is_dir():
        return
    local: bool = importlib.import_module("corridor.outside.disk").is_local(data)
    if local:
        yield good("disk", "local")
    else:
        yield bad("disk", f"{data} is on a network disk", "node.data_dir on a local one")


def _database(config: Any, _: bool) -> Iterator[Line]:  # noqa: FBT001 - a row of a table of checks
    path = database_path(config)
    if not path.is_file():
        yield hint("database", "none yet", "corridor up makes it")
        return
    store = importlib.import_module("corridor.store.upgrade")
    try:
        found = store.revision(path)
    except CorridorError as error:
        yield bad("database", error.what, error.mend)
        return
    if found == store.HEAD:
        yield good("database", f"revision {found}, {size(path.stat().st_size)}")
    else:
        known = importlib.import_module("corridor.store.revision").REVISIONS
        mend = "corridor upgrade" if found in known else "install the newer version"
        yield bad("database", f"revision {found}, this version writes {store.HEAD}", mend)


def _clock(config: Any, _: bool) -> Iterator[Line]:  # noqa: FBT001 - a row of a table of checks
    del config
    kernel = Path("/run/systemd/timesync/synchronized")
    if kernel.exists():
        yield good("clock", "kept by the system")
    else:
        yield hint(
            "clock",
            "nothing says that it is kept right; partners accept 5 s of difference",
            "timedatectl set-ntp true; corridor partner test compares clocks",
        )


def _tls(config: Any, _: bool) -> Iterator[Line]:  # noqa: FBT001 - a row of a table of checks
    for name in ("certificate_file", "key_file"):
        path = getattr(config.tls, name)
        if path is not None:
            if path.is_file():
                yield good("certificate", f"{path}")
            else:
                yield bad("certificate", f"{path} is not there", f"set tls.{name}")


def _kernel(config: Any) -> Iterator[Line]:
    lacks = lacking()
    if not lacks:
        yield good("sandbox", "Landlock and seccomp")
    elif config.rooms.unsafe_room:
        yield hint("sandbox", f"no {' and '.join(lacks)}: unsafe_room is on", "a newer kernel")
    else:
        yield bad(
            "sandbox",
            f"this kernel lacks {' and '.join(lacks)}",
            "Linux 5.13 or later with both, or leave tables out of services.enabled",
        )


def _libraries(config: Any) -> Iterator[Line]:
    if "tables" not in config.services.enabled:
        return
    missing = [it for it in ("duckdb", "pyarrow") if importlib.util.find_spec(it) is None]
    if missing:
        yield bad("libraries", f"{' and '.join(missing)} missing", "pip install 'corridor[tables]'")
    else:
        yield good("libraries", "duckdb, pyarrow")


def _node(talk: Talk, config: Any, partner: str) -> Iterator[Line]:
    """What only a running node can say."""
    listeners = (config.node.peer_listen, config.node.home_listen)
    if all(free(it.port, it.host) for it in listeners if it.loopback):
        yield hint("node", "does not run", "corridor up")
        return
    try:
        with Home(local_place(talk)) as home:
            node = home.node()
            sign = good if node.ready else _not_ready
            yield sign("node", f"{'ready' if node.ready else 'not ready'}, version {node.version}")
            if node.dead_letters:
                yield hint("messages", f"{node.dead_letters} given up", "see them: outbox")
            else:
                yield good("messages", f"{node.waiting} waiting")
            for it in node.participants:
                yield _document(it.id, it.did, config)
            for known in home.partners():
                if known.down:
                    yield hint(
                        "partner", f"{known.handle} does not answer",
                        f"corridor partner test {known.handle}",
                    )  # fmt: skip
            if partner:
                for check in home.call("partner.test", id=partner).checks:
                    make = {"ok": good, "failed": None}.get(check.state)
                    name = f"{partner}: {check.name}"
                    yield (
                        make(name, check.value)
                        if make
                        else (
                            bad(name, check.value, check.mend)
                            if check.state == "failed"
                            else hint(name, check.value, check.mend)
                        )
                    )
    except NotSignedIn as error:
        yield bad("node", error.what, error.mend)
    except CorridorError as error:
        taken = next((it for it in listeners if not free(it.port, it.host)), listeners[0])
        who = holder(taken.port)
        yield bad("node", f"{taken} is taken{f' by {who}' if who else ''}: {error.what}", "stop it")


def _not_ready(check: str, value: str) -> Line:
    return bad(check, value, "see its log")


def _document(name: str, did: str, config: Any) -> Line:
    """The DID document as partners get it."""
    url = f"{config.node.public_url.rstrip('/')}/{name}/did.json"
    if urlsplit(url).scheme not in ("http", "https"):
        return bad("DID document", url, "node.public_url")
    try:
        with urllib.request.urlopen(url, timeout=FETCH_S) as answer:  # noqa: S310 - http and https only, checked above
            document = msgspec.json.decode(answer.read(DOCUMENT_BYTES_MAX))
    except (OSError, urllib.error.URLError, msgspec.DecodeError) as error:
        why = str(getattr(error, "reason", error))
        return bad("DID document", f"{url}: {why}", "is the public name ours, and the proxy up?")
    if not isinstance(document, dict) or document.get("id") != did:
        return bad("DID document", f"{url} is of another", f"it must be of {did}")
    return good("DID document", did)
