# SPDX-License-Identifier: Apache-2.0
"""`corridor init`: the files of a new node (experience.md 3.4)."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from corridor.cli.packaging import CONTAINERFILE, PEERS, unit
from corridor.cli.talk import Talk, talk_of
from corridor.errors import Invalid
from corridor.rooms.sandbox import lacking

app = typer.Typer(rich_markup_mode=None, add_completion=False)
ANSWERS_BYTES_MAX = 1 << 16


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its option, what is asked, why, and the default."""

    name: str
    words: str
    default: str | None = None

    @property
    def option(self) -> str:
        """The option that answers it."""
        return f"--{self.name.replace('_', '-')}"


QUESTIONS = (
    Question("data", "Folder for the database, keys and uploads", "/var/lib/corridor"),
    Question("domain", "Public name, as partners will reach this node"),
    Question("tls", "TLS: a proxy in front (proxy), or an own certificate (own)", "proxy"),
    Question("peer_listen", "Where to listen for partners", "127.0.0.1:7000"),
    Question("home_listen", "Where to listen for your own people", "127.0.0.1:7001"),
    Question("participant", "Short name of the first participant (a-z, 0-9, -)"),
    Question("title", "Its name", ""),
    Question("country", "Its country, two letters (ISO 3166)", ""),
)
OWN_TLS = (
    Question("certificate", "Certificate file (PEM, with its chain)"),
    Question("key", "Its key file (PEM)"),
)


@app.command()
def init(
    context: typer.Context,
    *,
    folder: Path = typer.Argument(Path("/etc/corridor"), metavar="[DIR]", help="Where to."),
    data: str = typer.Option("", help="Folder for the database, keys and uploads."),
    domain: str = typer.Option("", help="Public name: corridor.stat.example."),
    tls: str = typer.Option("", help="proxy, or own."),
    certificate: str = typer.Option("", help="Certificate file, with --tls own."),
    key: str = typer.Option("", help="Its key file."),
    peer_listen: str = typer.Option("", help="HOST:PORT for partners."),
    home_listen: str = typer.Option("", help="HOST:PORT for our own people."),
    title: str = typer.Option("", help="Its name."),
    country: str = typer.Option("", help="Its country, two letters."),
    answers: Path = typer.Option(None, help="A TOML file that answers: domain = …"),
    development: bool = typer.Option(False, "--development", help="Loopback, no certificate."),
    near: list[str] = typer.Option([], help="Another development node: localhost:7002."),
) -> None:
    """Write configuration, master key and service file of a new node.

    Nothing is written before the summary is confirmed; what is there already is kept. The first
    participant's short name is --participant.

    corridor init

    corridor init node/ --domain corridor.stat.example --participant stat --no-input --yes

    corridor init stat/ --development --peer-listen 127.0.0.1:7001 --near localhost:7002
    """
    talk = talk_of(context)
    given = {
        "data": data, "domain": domain, "tls": tls, "certificate": certificate, "key": key,
        "peer_listen": peer_listen, "home_listen": home_listen,
        "participant": talk.options.participant, "title": title, "country": country,
    }  # fmt: skip
    target = folder / "corridor.toml"
    module = importlib.import_module("corridor.config")
    if target.exists():
        talk.say(f"{target} is there: what it says stands, nothing is asked")
        config = module.load(target, {})
    else:
        told = _answers(answers) | {name: it for name, it in given.items() if it}
        told = local(folder, told) | told if development else told
        found = overrides(ask(talk, told))
        if development:
            found |= developing(near)
        config = module.load(None, {}, found)
    files = plan(folder, config, module.to_toml(config))
    for line in summary(files, config):
        talk.say(line)
    missing = [it for it in files if not it.path.exists()]
    if missing:
        talk.confirm("Write these files?")
        for it in missing:
            it.write()
    document = {
        "folder": str(folder),
        "written": [str(it.path) for it in missing],
        "kept": [str(it.path) for it in files if it not in missing],
        "participants": {it.id: it.did for it in config.participants},
    }
    talk.object(document, lambda: [*(str(it.path) for it in missing)] or ["nothing to do"])
    for line in remaining(folder, config):
        talk.say(line)


def _answers(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    known = {it.name for it in (*QUESTIONS, *OWN_TLS)}
    try:
        with path.open("rb") as file:
            told = tomllib.loads(file.read(ANSWERS_BYTES_MAX).decode())
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} cannot be read", code="usage", cause=str(error)) from error
    strange = sorted(told.keys() - known)
    if strange or not all(isinstance(it, str) for it in told.values()):
        raise Invalid(
            f"{path} answers what is not asked: {', '.join(strange) or 'needs texts'}",
            code="usage",
            cause=f"questions are: {', '.join(sorted(known))}",
        )
    return told


def ask(talk: Talk, told: Mapping[str, str]) -> dict[str, str]:
    """An answer to each question, from what was told or by asking."""
    found: dict[str, str] = {}
    for it in QUESTIONS:
        found[it.name] = told.get(it.name) or talk.ask(
            it.words, option=it.option, default=it.default
        )
    if found["tls"] not in ("proxy", "own"):
        raise Invalid(f"tls is proxy or own, not {found['tls']}", code="usage", mend="--tls proxy")
    if found["tls"] == "own":
        for it in OWN_TLS:
            found[it.name] = told.get(it.name) or talk.ask(it.words, option=it.option)
    return found


def local(folder: Path, told: Mapping[str, str]) -> dict[str, str]:
    """Answers of a development node: one port of this machine, its data in its own folder."""
    listen = told.get("peer_listen", "127.0.0.1:7001")
    return {
        "data": str(folder / "data"),
        "domain": f"localhost:{listen.rpartition(':')[2]}",
        "tls": "proxy",
        "peer_listen": listen,
        "home_listen": listen,
    }


def developing(near: Sequence[str]) -> dict[str, Any]:
    """Settings that only a development node has; `near` are others, spoken to without TLS."""
    return {
        "node.development": True,
        "database.migrate": "auto",
        "net.http_hosts": list(near),
        "rooms.unsafe_room": bool(lacking()),
    }


def overrides(told: Mapping[str, str]) -> dict[str, Any]:
    """Answers as settings."""
    domain = told["domain"]
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?", domain):
        raise Invalid(f"{domain} is no name", code="usage", mend="--domain corridor.stat.example")
    scheme = "http" if re.fullmatch(r"localhost:\d+", domain) else "https"
    participant: dict[str, Any] = {"id": told["participant"]}
    if told["title"]:
        participant["title"] = {"en": told["title"]}
    if told["country"]:
        participant["country"] = told["country"].upper()
    found: dict[str, Any] = {
        "node.public_url": f"{scheme}://{domain}",
        "node.peer_listen": told["peer_listen"],
        "node.home_listen": told["home_listen"],
        "node.data_dir": str(Path(told["data"]).absolute()),
        "tls.mode": told["tls"],
        "participant": [participant],
    }
    if told["tls"] == "own":
        found["tls.certificate_file"] = str(Path(told["certificate"]).absolute())
        found["tls.key_file"] = str(Path(told["key"]).absolute())
    return found


@dataclass(frozen=True, slots=True)
class Planned:
    """A file to be there: its mode, and what writes it."""

    path: Path
    mode: int
    about: str
    content: Callable[[], str] | None = None

    def write(self) -> None:
        """Make it, never over one that is there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.content is None:
            self.path.parent.chmod(0o700)
            importlib.import_module("corridor.outside.keys").create_master(self.path)
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(self.path, flags, self.mode), "w", encoding="utf-8") as file:
            file.write(self.content())


def plan(folder: Path, config: Any, toml: str) -> list[Planned]:
    """Every file of a node."""
    data = config.node.data_dir
    typed = Path(sys.argv[0]).absolute()
    found = str(typed) if typed.name == "corridor" else shutil.which("corridor")
    program = found or "/usr/local/bin/corridor"
    where = folder.absolute()
    files = [
        Planned(folder / "corridor.toml", 0o640, "settings", lambda: toml),
        Planned(folder / "peers.toml", 0o640, "facts of partners", lambda: PEERS),
        Planned(data / "master.key", 0o600, "master key: keep a copy elsewhere"),
    ]
    if config.node.development:
        return files
    return [
        *files,
        Planned(
            folder / "corridor.service", 0o644, "systemd unit", lambda: unit(program, where, data)
        ),
        Planned(folder / "Containerfile", 0o644, "container image", lambda: CONTAINERFILE),
    ]


def summary(files: list[Planned], config: Any) -> list[str]:
    """What will be there."""
    lines = [f"{it.id}: {it.did}" for it in config.participants]
    lines.append(f"partners at {config.node.public_url}, people at {config.node.home_listen}")
    for it in files:
        state = "kept   " if it.path.exists() else f"{it.mode:04o}   "
        lines.append(f"  {state}{it.path}   {it.about}")
    return lines


def remaining(folder: Path, config: Any) -> list[str]:
    """The commands that remain."""
    at = folder / "corridor.toml"
    lines = ["", "What remains:"]
    if config.node.development:
        return [
            *lines,
            f"  corridor up --config {at}       (stays; the rest in a second terminal)",
            f"  export CORRIDOR_CONFIG={at.absolute()}",
            "  corridor doctor",
            "  corridor partner add DID",
        ]
    if config.tls.mode == "proxy":
        host = config.node.public_url.removeprefix("https://")
        lines.append(f"  Caddy:  {host} {{ reverse_proxy {config.node.peer_listen} }}")
    return [
        *lines,
        f"  corridor doctor --config {at}",
        f"  corridor up --config {at}       (or: systemctl enable --now corridor)",
        f"  corridor status --config {at}",
        f"  corridor partner add DID --config {at}",
    ]
