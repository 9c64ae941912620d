"""What passes between steps as files: tables as Arrow, arrays as .npy, records as JSON, folders as they are.

Equal values give equal bytes, so that the content hash of a step's output says whether it changed. Nothing here
reads or writes pickle.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import to_json

# Cells up to which one thread that writes Arrow's stream is faster than several that write its file. The names end as
# Arrow says.
_SMALL = 1_000_000
_STREAM, _COLUMN = "table.arrows", "*.arrow"


@dataclass(frozen=True)
class Codec:
    """How values of the types that it accepts become files in a folder, and back."""

    accepts: Callable[[Any], bool]
    save: Callable[[Any, Any, Path], Any]
    load: Callable[[Any, Path], Any]


def save(value: Any, kind: Any, folder: Path) -> Any:
    """Writes the value of that declared type into the empty folder. OSError when the disk refuses.

    Returns what `load` would read, a copy of its own, where that is at hand: a table that is small; None else."""
    return _codec(kind).save(value, kind, folder)


def load(kind: Any, folder: Path) -> Any:
    """Reads back what `save` wrote; arrays stay on disk and are mapped into memory, read-only."""
    return _codec(kind).load(kind, folder)


def _codec(kind: Any) -> Codec:
    return next(codec for codec in _CODECS if codec.accepts(kind))


def _is_table(kind: Any) -> bool:
    return _called(kind) == "polars.DataFrame"


def _is_array(kind: Any) -> bool:
    return _called(get_origin(kind) or kind) == "numpy.ndarray"


def _called(kind: Any) -> str:
    """Package and name: a record is to be read without importing numpy and polars to see that it is none of theirs."""
    return f"{getattr(kind, '__module__', '').partition('.')[0]}.{getattr(kind, '__name__', '')}"


def _is_arrays(kind: Any) -> bool:
    """A dataclass of nothing but arrays."""
    return isinstance(kind, type) and is_dataclass(kind) and all(_is_array(t) for t in get_type_hints(kind).values())


def _is_compound(kind: Any) -> bool:
    """A dataclass that holds arrays and other things."""
    return isinstance(kind, type) and is_dataclass(kind) and any(_is_array(t) for t in get_type_hints(kind).values())


def _is_parts(kind: Any) -> bool:
    """`tuple[Part, ...]` whose parts need files of their own."""
    return get_origin(kind) is tuple and not _is_json(get_args(kind)[0])


def _is_json(kind: Any) -> bool:
    return _codec(kind) is _JSON


def _save_table(value: Any, _kind: Any, folder: Path) -> Any:
    import numpy as np

    # Gathered anew: chunks, and what lies under missing values, are no part of what a table is.
    every = np.arange(value.height)
    if value.height * value.width <= _SMALL:
        plain = value.rechunk()[every]
        plain.write_ipc_stream(folder / _STREAM)
        return plain
    # A file a column: no more than one of them is copied at a time. As one batch it is read into one piece of memory.
    for index, column in enumerate(value):
        column.rechunk()[every].to_frame().write_ipc(folder / f"{index:04d}.arrow", record_batch_size=value.height)
    return None


def _load_table(_kind: Any, folder: Path) -> Any:
    import polars as pl

    if (folder / _STREAM).is_file():
        return pl.read_ipc_stream(folder / _STREAM)
    return pl.concat([pl.read_ipc(path) for path in sorted(folder.glob(_COLUMN))], how="horizontal")


def _save_array(value: Any, _kind: Any, folder: Path) -> None:
    _write_array(value, folder / "array.npy")


def _load_array(_kind: Any, folder: Path) -> Any:
    return _mapped(folder / "array.npy")


def _write_array(value: Any, path: Path) -> None:
    import numpy as np

    np.save(path, value, allow_pickle=False)


def _mapped(path: Path) -> Any:
    import numpy as np

    return np.load(path, mmap_mode="r", allow_pickle=False)


def _save_arrays(value: Any, kind: Any, folder: Path) -> None:
    for field in fields(kind):
        _write_array(getattr(value, field.name), folder / f"{field.name}.npy")


def _load_arrays(kind: Any, folder: Path) -> Any:
    names = [field.name for field in fields(kind)]
    return kind(**{name: _mapped(folder / f"{name}.npy") for name in names})


def _save_compound(value: Any, kind: Any, folder: Path) -> None:
    for name, part in get_type_hints(kind).items():
        (folder / name).mkdir()
        save(getattr(value, name), part, folder / name)


def _load_compound(kind: Any, folder: Path) -> Any:
    return kind(**{name: load(part, folder / name) for name, part in get_type_hints(kind).items()})


def _save_folder(value: Path, _kind: Any, folder: Path) -> None:
    if value != folder:
        shutil.copytree(value, folder, dirs_exist_ok=True)


def _save_files(value: dict[str, bytes], _kind: Any, folder: Path) -> None:
    for name, content in value.items():
        (folder / name).write_bytes(content)


def _load_files(_kind: Any, folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _save_parts(value: Any, kind: Any, folder: Path) -> None:
    for index, part in enumerate(value):
        place = folder / f"{index:04d}"
        place.mkdir()
        save(part, get_args(kind)[0], place)


def _load_parts(kind: Any, folder: Path) -> Any:
    return tuple(load(get_args(kind)[0], part) for part in sorted(folder.iterdir()))


def _save_json(value: Any, kind: Any, folder: Path) -> None:
    plain = TypeAdapter(kind).dump_python(value, warnings="error")
    (folder / "record.json").write_bytes(to_json(plain, inf_nan_mode="constants"))


def _load_json(kind: Any, folder: Path) -> Any:
    return TypeAdapter(kind).validate_json((folder / "record.json").read_bytes())


_JSON = Codec(lambda _kind: True, _save_json, _load_json)
_CODECS = (
    Codec(_is_table, _save_table, _load_table),
    Codec(_is_array, _save_array, _load_array),
    Codec(_is_arrays, _save_arrays, _load_arrays),
    Codec(_is_compound, _save_compound, _load_compound),
    Codec(lambda kind: kind is Path, _save_folder, lambda _kind, folder: folder),
    Codec(lambda kind: kind == dict[str, bytes], _save_files, _load_files),
    Codec(_is_parts, _save_parts, _load_parts),
    _JSON,
)
