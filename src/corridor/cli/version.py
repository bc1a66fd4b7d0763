# SPDX-License-Identifier: Apache-2.0
"""`corridor version`."""

from __future__ import annotations

import importlib.metadata
import platform

import typer

from corridor.cli.talk import talk_of

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def current() -> str:
    """The version of the installed package."""
    return importlib.metadata.version("corridor")


@app.command()
def version(context: typer.Context) -> None:
    """Which version this is.

    corridor version

    corridor version --json
    """
    told = {
        "corridor": current(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "protocol": "Dataspace Protocol 2025-1",
    }
    talk_of(context).fields(told, list(told.items()))
