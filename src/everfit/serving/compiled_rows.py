"""A bundle's compiled form at work on rows of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from everfit.errors import RequestError
from everfit.records.model import Manifest
from everfit.records.table import Row
from everfit.serving.rows import RawRow, RowParser
from everfit.serving.sent import JsonRows, Sent

if TYPE_CHECKING:
    from everfit.compiled.encoding import CompiledEncoder
    from everfit.compiled.scorer import CompiledScorer
    from everfit.serving.typed_columns import Logged
    from everfit.serving.typed_rows import TypedRows

FILE = "compiled.npz"


@dataclass(frozen=True, slots=True)
class CompiledRows:
    """Encoder and scorer as machine code. `typed` reads raw rows where all features are columns, and `json` bodies of
    many; they are None where some are computed by the user's functions, which want arrays."""

    encoder: CompiledEncoder
    scorer: CompiledScorer
    typed: TypedRows | None
    json: JsonRows | None = None

    def one(self, row: RawRow, stored: bool = False) -> tuple[list[float], Row] | None:
        """The outputs for one raw row, as `CompiledScorer.one` has them, and the features; None where the row has to
        go the long way, whose parser knows what to say. `stored` as in `TypedRows.read`."""
        if self.typed is None:
            return None
        try:
            raw, features = self.typed.read(row, stored)
        except (ValueError, RequestError):
            return None
        return self.scorer.one(self.encoder.one(raw)), features

    def many(self, rows: Sequence[RawRow]) -> tuple[NDArray[np.float64], list[Row]] | None:
        """The same for several: scores as `Scorer.score` gives them."""
        if self.typed is None:
            return None
        try:
            raw, features = self.typed.read_many(rows)
        except (ValueError, RequestError):
            return None
        return self.scored(raw), features

    def few(self, raw: Sequence[bytes]) -> list[float]:
        """The outputs for a few rows that `typed` read, one behind the other."""
        return self.scorer.few(self.encoder.few(b"".join(raw), len(raw)), len(raw))

    def columns(self, sent: Sent) -> tuple[NDArray[np.float64], dict[str, Logged]] | None:
        """The same for rows that came as columns, with the features as `TypedRows.read_columns` has them."""
        if self.typed is None:
            return None
        try:
            raw, features = self.typed.read_columns(sent)
        except ValueError:
            return None
        return self.scored(raw), features

    def scored(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw rows of the encoder, (rows, inputs), to scores."""
        return self.scorer.score(self.encoder.many(raw))

    def score(self, features: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Features by name, arrays of shape (rows,), to scores."""
        return self.scored(self.encoder.raw(features))


def open_compiled(bundle: Path, manifest: Manifest, parser: RowParser, computed: bool) -> CompiledRows | None:
    """The bundle's compiled form where it has one that was found exact; `computed` says that features come from
    functions. Raises StorageError for a damaged one, OSError or RuntimeError where this machine makes no code."""
    if manifest.exactness is None or not manifest.exactness.holds or FILE not in manifest.files:
        return None
    from everfit.compiled import file
    from everfit.compiled.encoding import CompiledEncoder
    from everfit.compiled.scorer import CompiledScorer
    from everfit.serving.typed_rows import TypedRows

    encoder = CompiledEncoder(manifest.encoder)
    scorer = CompiledScorer(file.read(bundle / FILE), manifest.calibration)
    typed = None if computed else TypedRows(manifest.schema, manifest.features, manifest.entity, encoder, parser)
    return CompiledRows(encoder, scorer, typed, None if computed else JsonRows(parser))
