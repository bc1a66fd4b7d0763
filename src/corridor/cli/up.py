# SPDX-License-Identifier: Apache-2.0
"""`corridor up`: run the node."""

from __future__ import annotations

import importlib
import os
from typing import Any

import typer

from corridor.cli.away import TOKEN_FILE, load_config
from corridor.cli.ports import holder
from corridor.cli.talk import talk_of
from corridor.errors import CorridorError, Invalid
from corridor.rooms.sandbox import die_with_parent

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def up(
    context: typer.Context,
    *,
    peer_listen: str = typer.Option("", help="HOST:PORT for partners, instead of the setting."),
    home_listen: str = typer.Option("", help="HOST:PORT for our own people."),
    development: bool = typer.Option(False, "--development", help="All on this machine."),
    with_parent: int = typer.Option(0, hidden=True, help="End when this process ends."),
) -> None:
    """Run the node until Ctrl+C or SIGTERM. One JSON line on standard output when it is ready.

    corridor up --config /etc/corridor/corridor.toml

    corridor up --peer-listen 127.0.0.1:7010
    """
    talk = talk_of(context)
    if with_parent:
        die_with_parent(with_parent)
    overrides: dict[str, Any] = {}
    for name, told in (("peer_listen", peer_listen), ("home_listen", home_listen)):
        if told:
            overrides[f"node.{name}"] = told
    if development:
        overrides["node.development"] = True
    config = load_config(talk, overrides)
    for it in config.participants:
        talk.say(f"{it.id}  {it.did}")
    talk.say(f"partners reach it at {config.node.public_url} (here {config.node.peer_listen})")
    talk.say(f"you reach it at http://{config.node.home_listen}, token in "
             f"{config.node.data_dir / TOKEN_FILE}")  # fmt: skip
    if config.node.development:
        talk.warn("development: loopback, no certificate", "note")
    # The node is loaded by name: every other command does without its weight.
    try:
        status: int = importlib.import_module("corridor.app").run(
            config, supervisor=os.environ.get("NOTIFY_SOCKET", "")
        )
    except CorridorError as error:
        if error.code == "port-in-use":
            raise taken(config, error) from error
        raise
    raise typer.Exit(status)


def taken(config: Any, error: CorridorError) -> Invalid:
    """A port that somebody else has: who, and the option that takes another."""
    for name in ("peer_listen", "home_listen"):
        listen = getattr(config.node, name)
        if f"port {listen.port} " in error.what:
            other = f"{listen.host}:{listen.port + 10}"
            return Invalid(
                f"{listen} is taken",
                code=error.code,
                cause=f"{holder(listen.port) or 'another program'} listens there",
                mend=f"stop it, or corridor up --{name.replace('_', '-')} {other}",
            )
    return Invalid(error.what, code=error.code, cause=error.cause)
