"""``basculectl completion``: what a shell needs to complete the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Final

from bascule_ops.control.output import say
from bascule_ops.control.project import Project

HELP: Final = "print a script that completes this command line"
DESCRIPTION: Final = """\
Prints a script for your shell, which reads it with this line:

  bash   eval "$(basculectl completion bash)"
  zsh    eval "$(basculectl completion zsh)"
  fish   basculectl completion fish | source

The line belongs into ~/.bashrc, into ~/.zshrc after compinit, or into ~/.config/fish/config.fish.
Where basculectl is in a virtual environment, type the line once that is active."""
EPILOG: Final = "Exit status 0: printed. 2: wrong call."

_BASH: Final = """\
_basculectl() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command= each words
    for each in "${{COMP_WORDS[@]:1:$((COMP_CWORD-1))}}"; do
        case $each in {commands}) command=$each; break ;; esac
    done
    case $command:$before in
{values}
        *)
            case $command in
{cases}
            esac
            ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _basculectl basculectl
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="yours")


def run(options: argparse.Namespace, _project: Project) -> int:
    """Print the script; return the exit status."""
    root: argparse.ArgumentParser = options.root
    script = fish(root) if options.shell == "fish" else bash(root, options.shell)
    say(script.removesuffix("\n"))
    return 0


def commands(root: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands' parsers by their names."""
    for action in root._actions:  # argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """The options, and what may stand without one."""
    free = (a.choices or () for a in parser._actions if not a.option_strings)
    return [
        *(option for action in parser._actions for option in action.option_strings),
        *(str(choice) for choices in free for choice in choices),
    ]


def _choices(action: argparse.Action) -> str:
    return " ".join(map(str, action.choices or ()))


def _values(name: str, parser: argparse.ArgumentParser) -> Iterable[str]:
    """What follows each option that takes a value; where there is no choice, a file may."""
    for action in parser._actions:
        if action.option_strings and action.nargs != 0:
            patterns = "|".join(f"{name}:{option}" for option in action.option_strings)
            yield f'        {patterns}) words="{_choices(action)}" ;;'


def bash(root: argparse.ArgumentParser, shell: str = "bash") -> str:
    """The script for bash; zsh reads it as well."""
    found = commands(root)
    cases = [f'                {n}) words="{" ".join(_words(p))}" ;;' for n, p in found.items()]
    cases.append(f'                *) words="{" ".join(_words(root))}" ;;')
    parsers = {"": root, **found}
    values = [line for name, parser in parsers.items() for line in _values(name, parser)]
    script = _BASH.format(
        commands="|".join(found), values="\n".join(values), cases="\n".join(cases)
    )
    return f"autoload -Uz bashcompinit && bashcompinit\n{script}" if shell == "zsh" else script


def fish(root: argparse.ArgumentParser) -> str:
    """The script for fish."""
    found = commands(root)
    names = " ".join(found)
    first = f"-n 'not __fish_seen_subcommand_from {names}'"
    lines = [f"complete -c basculectl -f {first} -a '{names}'", *_fish(first, root)]
    for name, parser in found.items():
        lines += _fish(f"-n '__fish_seen_subcommand_from {name}'", parser)
    return "\n".join([*lines, ""])


def _fish(condition: str, parser: argparse.ArgumentParser) -> Iterable[str]:
    """The lines about a parser's arguments, for where `condition` holds."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        choices = _choices(action)
        takes = f" -x -a '{choices}'" if choices else " -r" if action.nargs != 0 else ""
        for option in action.option_strings:
            kind = "-l" if option.startswith("--") else "-s"
            yield f"complete -c basculectl {condition} {kind} {option.lstrip('-')}{takes}"
        if not action.option_strings and choices:
            yield f"complete -c basculectl {condition} -f -a '{choices}'"
