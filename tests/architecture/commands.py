"""The command line as click knows it, and the commands that a text shows, checked without running any of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module

import click

SHELLS = "bash|console|sh|shell"
FENCE = re.compile(rf"^[ ]*```(?:{SHELLS})[^\n]*\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(everfit [^`\n]+)`(?!`)")


def group() -> click.Group:
    """The command group behind `everfit`."""
    module = import_module("everfit.cli.main")
    return next(value for value in vars(module).values() if isinstance(value, click.Group))


def names() -> list[str]:
    """The commands that `everfit --help` lists."""
    top = group()
    return sorted(top.list_commands(click.Context(top)))


def _segments(line: str) -> Iterator[list[str]]:
    """The `everfit ...` commands of one shell line, each as its words without the first."""
    words: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;<>"):
            if words and words[0].rpartition("/")[2] == "everfit":
                yield words[1:]
            words = []
        else:
            words.append(word)


def calls(text: str) -> Iterator[list[str]]:
    """Every `everfit ...` command in the shell blocks of a Markdown text.

    In a block with prompts only the lines after `$ ` are commands; the others are output.
    """
    for block in FENCE.findall(text):
        lines = re.sub(r"\\\n\s*", " ", block).splitlines()
        prompted = [line.strip()[2:] for line in lines if line.strip().startswith("$ ")]
        for line in prompted or lines:
            if "everfit" in line:
                yield from _segments(line)


def mentions(text: str) -> Iterator[list[str]]:
    """Every `everfit ...` command in a Markdown text's inline code: a name in a sentence, with or without options."""
    for code in INLINE.findall(text):
        yield from _segments(code)


def fault(words: list[str], *, mention: bool = False) -> str | None:
    """What the command line would refuse in these words, or None; a mention may leave out what is required. Values
    are not looked at, nothing runs."""
    command: click.Command = group()
    context = click.Context(command, info_name="everfit")
    try:
        rest = _parse(command, context, words, mention)
        while isinstance(command, click.Group) and rest:
            found = command.get_command(context, rest[0])
            if found is None:
                return f"there is no command {rest[0]}"
            command, context = found, click.Context(found, info_name=rest[0], parent=context)
            rest = _parse(command, context, rest[1:], mention)
    except click.UsageError as error:
        return error.format_message()
    return f"unexpected {' '.join(rest)}" if rest else None


def _parse(command: click.Command, context: click.Context, words: list[str], mention: bool) -> list[str]:
    given, rest, _ = command.make_parser(context).parse_args(args=list(words))
    if not (mention or isinstance(command, click.Group) or "help" in given):
        for param in command.params:
            if param.required and not given.get(param.name or ""):
                raise click.MissingParameter(ctx=context, param=param)
    return rest
