# SPDX-License-Identifier: Apache-2.0
"""`corridor token`: API tokens."""

from __future__ import annotations

import typer

from corridor.cli.away import home_of
from corridor.cli.talk import moment, talk_of
from corridor.cli.words import names
from corridor.wire.home import TokenAsk, TokenView

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="API tokens: add, list, revoke.",
)


@app.command()
def add(
    context: typer.Context,
    *,
    name: str = typer.Argument(..., help="What it is for."),
    role: list[str] = typer.Option(["analyst"], help="operator, steward, analyst, auditor."),
    days: int = typer.Option(90, min=1, help="How long it holds."),
) -> None:
    """A new token. Its secret is told once.

    corridor token add notebook --role analyst --days 30

    corridor token add nightly --role steward --participant stat --json
    """
    talk = talk_of(context)
    roles = names(role)
    with home_of(context) as home:
        participant = talk.options.participant
        if not participant and "operator" not in roles:
            # Where a node serves one, its people are that one's; an operator is the node's.
            participant = home.place.participant
        body = TokenAsk(name=name, roles=roles, participant=participant or None, days=days)
        it: TokenView = home.call("token.add", body=body)
    rows: list[tuple[str, object]] = [
        ("token", it.secret),
        ("id", it.id),
        ("roles", it.roles),
        ("participant", it.participant or "all"),
        ("expires", moment(it.expires)),
    ]
    talk.fields(it, rows)
    talk.say("keep it now: it is not shown again")


@app.command("list")
def list_tokens(context: typer.Context) -> None:
    """Tokens of this node; never their secrets.

    corridor token list

    corridor token list --json
    """
    talk = talk_of(context)
    with home_of(context) as home:
        found: list[TokenView] = list(home.pages("tokens"))
    rows = [
        (it.id, it.name, it.prefix, it.roles, it.participant or "all", moment(it.expires),
         moment(it.last_used))
        for it in found
    ]  # fmt: skip
    heads = ("ID", "NAME", "PREFIX", "ROLES", "PARTICIPANT", "EXPIRES", "LAST USED")
    talk.table({"items": found}, heads, rows)


@app.command()
def revoke(
    context: typer.Context, id_: str = typer.Argument(..., metavar="ID", help="Its id.")
) -> None:
    """Revoke a token, at once.

    corridor token revoke 0193c1f0

    corridor token revoke 0193c1f0 --yes
    """
    talk = talk_of(context)
    with home_of(context) as home:
        talk.confirm(f"Revoke {id_}? Whoever uses it is out at once.")
        home.call("token.revoke", id=id_)
    talk.object({"revoked": id_}, lambda: [f"revoked: {id_}"])
