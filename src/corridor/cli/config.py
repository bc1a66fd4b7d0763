# SPDX-License-Identifier: Apache-2.0
"""`corridor config`: settings of this computer's node."""

from __future__ import annotations

import importlib
from typing import Any

import msgspec
import typer

from corridor.cli.away import config_path, load_config
from corridor.cli.talk import talk_of
from corridor.settings import SECTIONS

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Settings: show, check.",
)


def values(config: Any) -> dict[str, Any]:
    """Setting to effective value, as TOML would write it. Nothing secret is in one."""
    found: dict[str, Any] = {}
    for section, rows in SECTIONS.items():
        held = config
        for name in section.split("."):
            held = getattr(held, name)
        for key, row in rows.items():
            found[f"{section}.{key}"] = row.kind.write(getattr(held, key))
    return found


@app.command()
def show(
    context: typer.Context,
    *,
    origin: bool = typer.Option(False, "--origin", help="Also say where each comes from."),
    toml: bool = typer.Option(False, "--toml", help="As a commented corridor.toml."),
) -> None:
    """Effective settings. Secrets are in files, which are named and not shown.

    corridor config show --origin

    corridor config show --toml --config corridor.toml
    """
    talk = talk_of(context)
    config = load_config(talk)
    if toml:
        text: str = importlib.import_module("corridor.config").to_toml(config)
        talk.object({"toml": text}, lambda: [text.rstrip()])
        return
    told = {name: it for name, it in values(config).items() if not name.startswith("limits.")}
    people = [msgspec.to_builtins(it) for it in config.participants]
    document = {"settings": told, "participants": people, "origins": config.origins}
    rows = [
        (name, it if isinstance(it, str | int | float) else msgspec.json.encode(it).decode(),
         *([config.origins.get(name, "default")] if origin else []))
        for name, it in told.items()
    ]  # fmt: skip
    rows += [(f"participant {it['id']}", it["did"], *([""] if origin else [])) for it in people]
    names = ("SETTING", "VALUE", "FROM") if origin else ("SETTING", "VALUE")
    talk.table(document, names, rows)


@app.command()
def check(context: typer.Context) -> None:
    """Read the settings; all faults at once, exit 10.

    corridor config check

    corridor config check --config corridor.toml --json
    """
    talk = talk_of(context)
    config = load_config(talk)
    people = [it.did for it in config.participants]
    told = {"ok": True, "file": str(config_path(talk) or ""), "participants": people}
    talk.fields(told, [("settings", "can be used"), ("file", told["file"]),
                       ("participants", people)])  # fmt: skip
