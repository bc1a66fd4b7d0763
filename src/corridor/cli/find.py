# SPDX-License-Identifier: Apache-2.0
"""`corridor find`: what partners offer."""

from __future__ import annotations

from itertools import islice

import typer

from corridor.cli.away import home_of
from corridor.cli.talk import talk_of
from corridor.errors import NotReachable

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def find(
    context: typer.Context,
    *,
    text: str = typer.Argument("", help="Words to look for, in any language."),
    partner: str = typer.Option("", help="Only this partner: handle or DID."),
    service: str = typer.Option("", help="Only files, or tables."),
    action: str = typer.Option("", help="Only what allows this: read, use."),
    limit: int = typer.Option(50, min=1, help="At most so many."),
    all_: bool = typer.Option(False, "--all", help="All of them."),
    fresh: bool = typer.Option(False, "--fresh", help="Ask now; else up to a minute old."),
) -> None:
    """What partners offer.

    corridor find population

    corridor find --partner stat --service tables --json
    """
    talk = talk_of(context)
    with home_of(context) as home:
        pages = home.find(
            text,
            partner=partner or None,
            service=service or None,
            action=action or None,
            fresh=fresh,
        )
        found = list(pages) if all_ else list(islice(pages, limit))
    rows = [
        (it.partner, it.id, it.title, it.service, it.licence,
         "synthetic" if it.synthetic else "", ", ".join(it.purposes))
        for it in found
    ]  # fmt: skip
    names = ("PARTNER", "ASSET", "TITLE", "SERVICE", "LICENCE", "", "PURPOSES")
    document = {"items": [it.view for it in found], "silent": pages.silent}
    for silent in pages.silent:
        talk.warn(f"{silent.partner} did not answer: {silent.why}")
    if not found and pages.silent and partner:
        raise NotReachable(f"{partner} did not answer", cause=pages.silent[0].why)
    talk.table(document, names, rows, empty="no partner offers this")
