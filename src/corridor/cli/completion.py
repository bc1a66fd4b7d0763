# SPDX-License-Identifier: Apache-2.0
"""`corridor completion`: words for the shell to complete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from corridor.cli.talk import talk_of
from corridor.errors import Invalid

app = typer.Typer(rich_markup_mode=None, add_completion=False)

BASH = """# bash completion for corridor
_corridor() {{
  local words="${{COMP_WORDS[*]:1:COMP_CWORD-1}}" here="${{COMP_WORDS[COMP_CWORD]}}"
  case "$words" in
{cases}
    *) COMPREPLY=($(compgen -f -- "$here")) ;;
  esac
}}
complete -F _corridor corridor"""
ZSH = """#compdef corridor
autoload -U +X bashcompinit && bashcompinit
{bash}"""


@app.command()
def completion(
    context: typer.Context, shell: str = typer.Argument(..., help="bash, zsh or fish.")
) -> None:
    """Words for the shell to complete: commands and their options.

    corridor completion bash > ~/.local/share/bash-completion/completions/corridor

    corridor completion fish > ~/.config/fish/completions/corridor.fish
    """
    root = context.find_root()
    words = dict(_words(root, root.command, ""))
    match shell:
        case "bash":
            text = bash(words)
        case "zsh":
            text = ZSH.format(bash=bash(words))
        case "fish":
            text = "\n".join(_fish(words))
        case _:
            raise Invalid(f"no shell {shell}", code="usage", cause="there are: bash, zsh, fish")
    talk_of(context).write(text)


def bash(words: dict[str, list[str]]) -> str:
    """A completion function: what was typed so far decides."""
    cases = "\n".join(
        f'    "{path}") COMPREPLY=($(compgen -W "{" ".join(known)}" -- "$here")) ;;'
        for path, known in words.items()
    )
    return BASH.format(cases=cases)


def _fish(words: dict[str, list[str]]) -> Iterator[str]:
    for path, known in words.items():
        seen = "; and ".join(f"__fish_seen_subcommand_from {it}" for it in path.split())
        when = seen or "__fish_use_subcommand"
        plain = " ".join(it for it in known if not it.startswith("-"))
        if plain:
            yield f'complete -c corridor -f -n "{when}" -a "{plain}"'
        for option in known:
            if option.startswith("--"):
                yield f'complete -c corridor -n "{when}" -l {option[2:]}'


def _words(context: Any, command: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    """(what was typed, what may follow) for each command."""
    options = sorted(name for it in command.params for name in it.opts if name.startswith("--"))
    if not hasattr(command, "list_commands"):
        yield path, options
        return
    names = command.list_commands(context)
    yield path, [*names, *options]
    for name in names:
        inner = command.get_command(context, name)
        if inner is not None:
            yield from _words(context, inner, f"{path} {name}".strip())
