# SPDX-License-Identifier: Apache-2.0
"""`corridor sim`: runs of whole nodes in a false world, for those who change the code."""

from __future__ import annotations

import importlib

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def sim(context: typer.Context) -> None:
    """Replay a simulation, or run many (developers).

    corridor sim --seed 4711 --until 60

    corridor sim --seeds 200 --from 0 --jobs 2
    """
    # Loaded by name: the simulator brings whole nodes with it.
    raise typer.Exit(int(importlib.import_module("corridor.sim.main").main(context.args)))
