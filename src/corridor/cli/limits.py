# SPDX-License-Identifier: Apache-2.0
"""`corridor limits`: every limit, its value and where it comes from."""

from __future__ import annotations

from dataclasses import fields

import typer

from corridor.cli.away import config_path, load_config
from corridor.cli.talk import talk_of
from corridor.limits import Limits

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def limits(
    context: typer.Context, text: str = typer.Argument("", help="Only names that hold this.")
) -> None:
    """Every limit, its value and where it comes from.

    corridor limits

    corridor limits session --json
    """
    talk = talk_of(context)
    held, origins = Limits(), {}
    if config_path(talk) is not None:
        config = load_config(talk)
        held, origins = config.limits, config.origins
    rows = [
        (it.name, getattr(held, it.name), origins.get(f"limits.{it.name}", "default"))
        for it in fields(Limits)
        if text in it.name
    ]
    document = {"items": [{"name": name, "value": it, "origin": where} for name, it, where in rows]}
    talk.table(document, ("LIMIT", "VALUE", "FROM"), rows, empty=f"no limit is named like {text}")
