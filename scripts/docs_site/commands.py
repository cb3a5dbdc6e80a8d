"""The command line, read from the Typer application."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from scripts.docs_site.markdown import code, joined, paragraphs, slug, table
from syncline import cli


@cache
def commands() -> dict[str, TyperCommand]:
    """Return every command by its whole name, such as `keys create`."""
    cli._add_keys()
    return dict(_walk(typer.main.get_command(cli.app), ""))


def reference() -> str:
    """Return a section for each command."""
    return joined(*(_section(name, command) for name, command in commands().items()))


def options(command: TyperCommand) -> list[str]:
    """Return every spelling of every option of a command."""
    return [
        spelling
        for parameter in command.params
        if isinstance(parameter, TyperOption)
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    ]


def _walk(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for child, found in command.commands.items():
            yield from _walk(found, f"{name} {child}".strip())
    elif isinstance(command, TyperCommand):
        yield name, command


def _section(name: str, command: TyperCommand) -> str:
    if not command.help:
        raise LookupError(f"the command {name} has no docstring")
    arguments = [one for one in command.params if isinstance(one, TyperArgument)]
    optional = [one for one in command.params if isinstance(one, TyperOption)]
    usage = " ".join(
        [
            "syncline",
            name,
            *(str(one.name).upper() for one in arguments),
            *(["[OPTIONS]"] if optional else []),
        ]
    )
    return joined(
        f"## `syncline {name}` {{#{slug(name)}}}",
        code("text", usage),
        paragraphs(command.help),
        table(("option", "default", "meaning"), (_option(name, one) for one in optional)),
    )


def _option(name: str, option: TyperOption) -> tuple[str, str, str]:
    if not option.help:
        raise LookupError(f"the option {option.opts[0]} of {name} has no help")
    spellings = ", ".join(f"`{text}`" for text in (*option.opts, *option.secondary_opts))
    default = "" if option.is_flag or option.default is None else f"`{option.default}`"
    return spellings, default, option.help
