# SPDX-License-Identifier: Apache-2.0
"""`corridor upgrade`: bring the database to this version."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import typer

from corridor.cli.away import load_config
from corridor.cli.talk import talk_of
from corridor.errors import NotFound

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def database_path(config: Any) -> Path:
    """The file that holds the store."""
    found: Path = config.node.data_dir / config.database.url.removeprefix("sqlite:///")
    return found


@app.command()
def upgrade(
    context: typer.Context,
    *,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be done."),
) -> None:
    """Bring the database to this version. The node must be stopped; a copy is kept beside it.

    corridor upgrade --dry-run

    corridor upgrade --yes
    """
    talk = talk_of(context)
    config = load_config(talk)
    path = database_path(config)
    if not path.is_file():
        raise NotFound(f"no database at {path}", mend="corridor up makes it")
    store = importlib.import_module("corridor.store.upgrade")
    old, new = store.revision(path), store.HEAD
    told: dict[str, Any] = {"database": str(path), "from": old, "to": new, "copy": None}
    if old != new and not dry_run:
        talk.say(f"{path} is of {old}, this version writes {new}")
        talk.confirm("Is there a backup, and shall it be upgraded?")
        node = importlib.import_module("corridor.app")
        with node.locked(config.node.data_dir):
            told["copy"] = str(store.upgrade(path) or "")
    told["done"] = old == new or not dry_run
    talk.fields(told, list(told.items()))
