# SPDX-License-Identifier: Apache-2.0
"""`corridor key`: signing keys."""

from __future__ import annotations

import typer

from corridor.cli.away import home_of
from corridor.cli.talk import moment, talk_of
from corridor.wire.home import KeyView, RotateAsk

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Signing keys: list, rotate.",
)


@app.command("list")
def list_keys(context: typer.Context) -> None:
    """Our signing keys.

    corridor key list

    corridor key list --participant stat --json
    """
    talk = talk_of(context)
    with home_of(context) as home:
        found: list[KeyView] = list(home.pages("keys"))
    rows = [
        (it.use, it.alg, it.state, moment(it.valid_from), moment(it.valid_until), it.kid)
        for it in found
    ]
    talk.table({"items": found}, ("USE", "ALGORITHM", "STATE", "FROM", "UNTIL", "KEY"), rows)


@app.command()
def rotate(
    context: typer.Context,
    *,
    use: str = typer.Option("dsp", help="Which kind of key, as `key list` names it."),
) -> None:
    """Make a new key. It is published first and signs after keys.overlap; nothing stops.

    corridor key rotate

    corridor key rotate --use dsp --yes
    """
    talk = talk_of(context)
    with home_of(context) as home:
        talk.confirm(f"Make a new {use} key?")
        it: KeyView = home.call("key.rotate", body=RotateAsk(use=use))
    rows = [("key", it.kid), ("use", it.use), ("state", it.state), ("from", moment(it.valid_from))]
    talk.fields(it, rows)
    name = it.kid.rpartition("#")[2]
    talk.say(f"{name} is published now, and signs after keys.overlap")
