# SPDX-License-Identifier: Apache-2.0
"""The root of all commands: finds the group that was typed, and turns errors into exit codes.

experience.md 3.2 and 3.3. Global options may stand anywhere on the line; they are taken off it
before the command reads its own.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from corridor.cli.options import Options, split
from corridor.cli.talk import Talk
from corridor.errors import CorridorError, Exit, Invalid, Problem

# Name: (module, what it is for). A test compares the second with the command's own help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("demo", "Two nodes on this computer, from nothing to proof."),
    "init": ("init", "Write configuration, master key and service file of a new node."),
    "up": ("up", "Run the node."),
    "doctor": ("doctor", "Check everything that must be true."),
    "status": ("status", "The node, what waits, and its partners."),
    "offer": ("offer", "Offer data: look at it, check terms, publish, hide."),
    "find": ("find", "What partners offer."),
    "request": ("request", "Ask a partner for an agreement."),
    "deal": ("deal", "Agreements: list, show, withdraw, give back."),
    "query": ("query", "Ask for rows under an agreement."),
    "fetch": ("fetch", "Download a file under an agreement."),
    "explain": ("explain", "Why a decision fell, or would fall."),
    "audit": ("audit", "The ledger: read it, verify it, verify receipts."),
    "partner": ("partner", "Whom we know: list, add, show, test."),
    "key": ("key", "Signing keys: list, rotate."),
    "token": ("token", "API tokens: add, list, revoke."),
    "config": ("config", "Settings: show, check."),
    "limits": ("limits", "Every limit, its value and where it comes from."),
    "upgrade": ("upgrade", "Bring the database to this version."),
    "help": ("help", "The shipped manual: a topic or an error code."),
    "version": ("version", "Which version this is."),
    "sim": ("sim", "Replay a simulation, or run many (developers)."),
    "completion": ("completion", "Words for the shell to complete."),
}
EPILOG = (
    "Anywhere on the line: --json --yes --quiet --verbose --profile NAME --participant NAME "
    "--config FILE --no-color --no-input (corridor help options)"
)


class Commands(TyperGroup):
    """The groups by name, each loaded when it is asked for."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer's own Context is the subclass that it passes
        """In the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # as above
        """Load it; None where there is none."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"corridor.cli.{COMMANDS[cmd_name][0]}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        command.epilog = f"{command.epilog or ''}\n\n{EPILOG}".strip()
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typed; an unknown one offers the nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise unknown(args[0], list(COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """From the table: nothing is loaded to say what there is."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


def unknown(word: str, known: Sequence[str]) -> Invalid:
    """No such command; the nearest one is offered."""
    near = difflib.get_close_matches(word, known, n=1)
    return Invalid(
        f"no command {word}",
        code="usage",
        cause=f"there are: {', '.join(known)}",
        mend=f"corridor {near[0]}" if near else "corridor --help",
    )


app = typer.Typer(
    cls=Commands,
    help="Institutions work on each other's data under an agreement both have signed.",
    epilog=EPILOG,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


@app.callback()
def root() -> None:
    """Institutions work on each other's data under an agreement both have signed."""


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do what was typed; the exit status."""
    talk = Talk(Options(), environ)
    try:
        options, rest = split(arguments)
        talk = Talk(options, environ)
        if options.version:
            rest = ["version"]
        command = typer.main.get_command(app)
        done = command.main(args=rest, prog_name="corridor", standalone_mode=False, obj=talk)
    except CorridorError as error:
        return talk.fail(error)
    except typer.TyperException as error:
        return talk.fail(misused(error))
    except (typer.Abort, KeyboardInterrupt):
        talk.say("interrupted")
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.FAILED)
    except Exception as error:  # the last place: a bug is told like everything else
        if talk.options.verbose:
            raise
        return talk.fail(
            CorridorError(
                f"a bug: {type(error).__name__}", cause=str(error), mend="see it: --verbose"
            )
        )
    return done if isinstance(done, int) else int(Exit.DONE)


def misused(error: typer.TyperException) -> Invalid:
    """Wrong usage as an error of ours."""
    told = getattr(error, "format_message", lambda: str(error))()
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "corridor"
    what = told[:1].lower() + told[1:].rstrip(".")
    problems = (Problem("arguments", what, "usage"),)
    return Invalid(what, code="usage", mend=f"{path} --help", problems=problems)


def main() -> NoReturn:
    """The program `corridor`."""
    sys.exit(run(sys.argv[1:], os.environ))
