"""Forms of the estimator for other programs, beside the bundle's own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExportedForm:
    """What came of a form that was asked for: the name of its `file` below `export/`, or none and the `reason`.

    `rows` real rows were scored by it and by the bundle; `difference` is the greatest one, relative for regression.
    Both are 0 where the file is the bundle's own.
    """

    form: str
    file: str = ""
    rows: int = 0
    difference: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Export:
    """What `export/forms.json` holds: the columns of the encoded matrix that every form takes, in their order, the
    classes in the order of the scores (none for regression), and the forms."""

    columns: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    forms: tuple[ExportedForm, ...] = ()
