"""The files behind a path or a glob, and their identity by content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from everfit.errors import SourceError

if TYPE_CHECKING:
    import polars as pl

_BLOCK = 1 << 20
_MAGIC = "*?["


def find(path_or_glob: str) -> list[Path]:
    """The file, or the files that match in the order of their names, each readable and not empty.

    Raises SourceError that says which of the many reasons it is when there is nothing to read.
    """
    path = Path(path_or_glob)
    if not path.exists() and any(sign in path_or_glob for sign in _MAGIC):
        paths = sorted(found for found in _glob(path) if found.is_file())
        if not paths:
            raise SourceError("no file matches", where=path_or_glob, fix="correct the pattern, or put files there")
    else:
        paths = [path]
    for one in paths:
        _demand_readable(one)
    return paths


def _glob(path: Path) -> list[Path]:
    fixed = path
    while any(sign in str(fixed) for sign in _MAGIC):
        fixed = fixed.parent
    return list(fixed.glob(str(path.relative_to(fixed))))


def _demand_readable(path: Path) -> None:
    where = str(path)
    if not path.exists():
        raise SourceError("there is no such file", where=where, fix=_instead_of(path))
    if path.is_dir():
        raise SourceError("is a folder, not a file", where=where, fix=f"name the files in it: {path / '*.csv'}")
    if not os.access(path, os.R_OK):
        raise SourceError("may not be read by this user", where=where, fix=f"allow it: chmod +r {path.name}")
    if path.stat().st_size == 0:
        raise SourceError("the file is empty", where=where, fix="export the table again")


def _instead_of(path: Path) -> str:
    """Where the file may be: one folder up, as for a project made beside its table, or under a name like it."""
    above = path.absolute().parent.parent / path.name
    if above.is_file():
        return f"did you mean {above}?"
    near = get_close_matches(path.name, [one.name for one in path.parent.iterdir()], 1) if path.parent.is_dir() else []
    if near:
        return f"did you mean {near[0]}?"
    return "correct the path: data.source is relative to the project file, one on the command line to where you stand"


def content_hash(paths: Sequence[Path]) -> str:
    """SHA-256 over the sizes and bytes of the files in that order, read a megabyte at a time."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def stack(frames: Sequence[pl.DataFrame], paths: Sequence[Path]) -> pl.DataFrame:
    """The tables below one another. Raises SourceError for the first that has other columns or types."""
    import polars as pl

    first = frames[0]
    for frame, path in zip(frames, paths, strict=True):
        if frame.schema != first.schema:
            differ = set(frame.schema.items()) ^ set(first.schema.items())
            names = ", ".join(sorted({name for name, _ in differ})) or "their order"
            raise SourceError(
                f"its columns are not those of {paths[0].name}: {names}",
                where=str(path),
                fix="give all files the same columns in the same order, or narrow the pattern",
            )
    return pl.concat(frames, rechunk=True)
