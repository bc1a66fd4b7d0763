# SPDX-License-Identifier: Apache-2.0
"""The way from a command to the node: profile or environment, else the node of this computer.

A local node is found by its configuration; its `operator.token` in the data folder is read only
where nobody else can read it.
"""

from __future__ import annotations

import importlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from corridor.cli.talk import Talk, talk_of
from corridor.client.home import Home
from corridor.client.places import Place, Secret, find_place
from corridor.errors import Invalid, NotSignedIn

TOKEN_FILE = "operator.token"  # noqa: S105 - the name of a file
TOKEN_BYTES_MAX = 4096
USUAL = (Path("corridor.toml"), Path("/etc/corridor/corridor.toml"))


@contextmanager
def home_of(context: typer.Context) -> Iterator[Home]:
    """Our own node, for one command."""
    talk = talk_of(context)
    language = talk.options.lang or "en"
    with Home(place_of(talk), language=language) as home:
        yield home


def place_of(talk: Talk) -> Place:
    """Which node, with which token; NotSignedIn where nothing says so."""
    options = talk.options
    if options.config and not options.profile:
        return local_place(talk)
    try:
        return find_place(
            profile=options.profile or None,
            participant=options.participant or None,
            environ=talk.environ,
        )
    except NotSignedIn as nowhere:
        if config_path(talk) is None:
            raise NotSignedIn(
                nowhere.what,
                cause="no profile, no CORRIDOR_URL, no corridor.toml here",
                mend="export CORRIDOR_CONFIG=FILE for this computer's node; else "
                "corridor help profiles",
            ) from None
        return local_place(talk)


def local_place(talk: Talk) -> Place:
    """The node that runs from the configuration of this computer."""
    config = load_config(talk)
    token = read_token(config.node.data_dir / TOKEN_FILE)
    participant = talk.options.participant
    if not participant and len(config.participants) == 1:
        participant = config.participants[0].id
    return Place(url=f"http://{config.node.home_listen}", token=token, participant=participant)


def read_token(path: Path) -> Secret:
    """The operator's token; NotSignedIn where there is none, or where others can read it."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise NotSignedIn(
            f"{path} cannot be read",
            cause=error.strerror or "",
            mend="corridor up makes it; run this as the node's own user, or set CORRIDOR_TOKEN",
        ) from error
    with os.fdopen(number, "rb") as file:
        found = os.fstat(number)
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise NotSignedIn(f"{path} can be read by others", mend=f"chmod 600 {path}")
        return Secret(file.read(TOKEN_BYTES_MAX).decode("ascii", "replace").strip())


def config_path(talk: Talk) -> Path | None:
    """The configuration that is meant: named, or one of the usual places."""
    named = talk.options.config or talk.environ.get("CORRIDOR_CONFIG", "")
    if named:
        return Path(named)
    return next((it for it in USUAL if it.is_file()), None)


def load_config(talk: Talk, overrides: Mapping[str, Any] | None = None) -> Any:
    """Settings of this computer's node: `corridor.settings.Config`; Invalid with all faults.

    Loaded by name: a command that talks to a node elsewhere does not pay for reading settings.
    """
    path = config_path(talk)
    if path is None and not overrides:
        raise Invalid(
            "there is no configuration",
            code="setting-unreadable",
            cause=f"looked for {', '.join(map(str, USUAL))}",
            mend="corridor init writes one; or name it: --config FILE",
        )
    config = importlib.import_module("corridor.config")
    return config.load(path, dict(talk.environ), overrides)
