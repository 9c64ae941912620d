"""Bodies of many rows by column, from JSON to JSON: what both ways to /predict share."""

from __future__ import annotations

import msgspec

from everfit.project.sections.serving import Limits
from everfit.serving.answers import Forms
from everfit.serving.body import FLAT
from everfit.serving.predictor import Predictor
from everfit.serving.together import Together

# What is scored in less time than handing it to a thread and back takes others to wait: about two hundred rows.
FEW_BYTES = 100_000
_encode = msgspec.json.Encoder().encode


class Many:
    """Reads, scores and answers `{"rows": [objects]}` by column, for compiled models."""

    def __init__(self, predictor: Predictor, limits: Limits, forms: Forms) -> None:
        self._predictor = predictor
        self._rows = limits.rows if limits.depth >= FLAT else 0
        self._forms = forms

    def scored(self, body: bytes) -> Together | None:
        """The body's rows scored; None where the usual way is to be asked. Nothing is answered until they are in the
        log."""
        rows = self._predictor.snapshot.json
        sent = rows.read(body) if rows is not None else None
        return self._predictor.together(sent) if sent is not None and sent.count <= self._rows else None

    def body(self, found: Together) -> bytes:
        """Their answer."""
        form = self._forms.of(self._predictor.snapshot.champion.manifest.entity)
        return _encode({"predictions": found.in_order(form.many)})
