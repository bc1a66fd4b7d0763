# SPDX-License-Identifier: Apache-2.0
"""`corridor fetch`: download a file under an agreement."""

from __future__ import annotations

import typer

from corridor.cli.away import home_of
from corridor.cli.progress import Progress
from corridor.cli.query import deal_for
from corridor.cli.talk import size, talk_of
from corridor.client.files import listed

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def fetch(
    context: typer.Context,
    *,
    deal: str = typer.Argument(..., metavar="DEAL|ASSET", help="Id of an agreement, or asset."),
    path: str = typer.Argument("", help="Which file, where the asset is a folder."),
    to: str = typer.Option(".", help="Folder (FOLDER/ makes it), or the file's new name."),
    purpose: str = typer.Option("", help="What for, where there is no agreement yet."),
    no_resume: bool = typer.Option(False, "--no-resume", help="Begin anew."),
    list_: bool = typer.Option(False, "--list", help="Only say which files there are."),
) -> None:
    """Download a file under an agreement.

    A broken download goes on where it stopped; the file gets its name once its digest is right.

    corridor fetch population-csv --to data/

    corridor fetch 0193c1f0 2025/january.csv
    """
    talk = talk_of(context)
    with home_of(context) as home:
        found = deal_for(home, deal, purpose, talk)
        if list_:
            files = found.files()
            rows = [(it.name or found.asset, it.size, it.media_type, it.digest) for it in files]
            names = ("NAME", "BYTES", "TYPE", "DIGEST")
            talk.table({"items": listed(files)}, names, rows)
            return
        with Progress(talk, path or found.asset) as progress:
            got = found.fetched(path, to=to, resume=not no_resume, progress=progress)
        progress.end(f"{size(got.bytes)}, digest checked")
    document = {
        "path": str(got.path),
        "bytes": got.bytes,
        "digest": got.digest,
        "resumed_at": got.resumed_at,
        "deal": found.id,
        "receipt": got.promised.id if got.promised else None,
    }
    if talk.options.json or not talk.terminal:
        talk.object(document, lambda: [str(got.path)])
        return
    talk.fields(document, [("file", got.path), ("bytes", got.bytes), ("digest", got.digest),
                           ("receipt", document["receipt"])])  # fmt: skip
