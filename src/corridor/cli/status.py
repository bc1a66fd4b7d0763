# SPDX-License-Identifier: Apache-2.0
"""`corridor status`: the node, what waits, and its partners."""

from __future__ import annotations

import typer

from corridor.cli.away import home_of
from corridor.cli.talk import moment, talk_of
from corridor.client.faces import text_of

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def status(context: typer.Context) -> None:
    """The node, what waits, and its partners.

    corridor status

    corridor status --json
    """
    talk = talk_of(context)
    with home_of(context) as home:
        node = home.node()
        me = home.me()
    people = [f"{it.id}  {text_of(it.title)}  {it.did}" for it in node.participants]
    roles = [f"{name}: {', '.join(it)}" for name, it in me.roles.items()]
    rows: list[tuple[str, object]] = [
        ("version", node.version),
        ("address", node.public_url),
        ("ready", node.ready),
        ("participants", "\n".join(people)),
        ("services", node.services),
        ("messages waiting", node.waiting),
        ("given up", node.dead_letters),
        ("time", moment(node.now)),
        ("you", f"{me.name or me.user}  {'; '.join(roles)}"),
    ]
    talk.fields({"node": node, "me": me}, rows)
