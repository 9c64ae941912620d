"""`everfit schema`: what an editor needs to complete and check everfit.yaml."""

from __future__ import annotations

import json
from pathlib import Path

import click

from everfit.cli.options import as_json
from everfit.cli.output import Output


@click.command("schema")
@click.option("--output", "-o", "target", type=click.Path(path_type=Path, dir_okay=False), help="A file to write.")
@as_json
def command(target: Path | None, as_json: bool) -> None:
    """Print the JSON schema of everfit.yaml, for editors.

    With this as the first line of everfit.yaml, editors that speak the YAML language server's protocol complete keys,
    show what they mean and underline what is wrong:

    \b
      # yaml-language-server: $schema=everfit.schema.json

    \b
    Examples:
      everfit schema -o everfit.schema.json
      everfit schema > everfit.schema.json
    """
    from everfit.project.describe import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    if target is None:
        click.echo(text)
        return
    write(text + "\n", target)
    output = Output(as_json)
    output.line(f"written to [bold]{target}[/]")
    output.document({"output": target})


def write(text: str, target: Path) -> None:
    """Writes the file. StorageError when the place does not take it."""
    from everfit.errors import StorageError

    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot be written: {error.strerror or error}", where=str(target), fix="choose another place with -o"
        ) from error
