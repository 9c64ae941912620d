"""Every error that everfit raises on purpose.

Each says what happened, where, and what to do; each class has the exit code of the command line and the HTTP status
of the server, so that no caller has to guess.

    EverfitError            1  500  anything below
    ├── ProjectError        2  500  everfit.yaml or features.py is wrong
    ├── SourceError         3  502  a table could not be read
    ├── ChecksFailed        4  422  the data broke its checks
    ├── GateFailed          5  409  no candidate passed the quality gates
    ├── StepFailed          6  500  a step or a user's function raised
    ├── MissingExtra        7  501  an optional package is not installed
    ├── StorageError        8  503  disk full, folder read-only, stored bytes changed
    │   └── Conflict        8  409  somebody else was first
    ├── ReleaseError        9  409  the release cannot take this transition
    ├── RequestError       10  422  a prediction request is wrong
    │   ├── UnknownEntity  10  404  no row is stored for the entity
    │   ├── UnknownPrediction 10 404 the prediction log holds no such id
    │   └── TooLarge       10  413  body, rows or depth beyond the limit
    └── NotReady           11  503  no model is released yet
"""

from __future__ import annotations

from typing import ClassVar


class EverfitError(Exception):
    """What happened, where it happened and what to do about it.

    >>> print(EverfitError("the table is empty", where="customers.csv", fix="export it again"))
    customers.csv: the table is empty
      fix: export it again
    """

    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  fix: {self.fix}" if self.fix else head


class ProjectError(EverfitError):
    """everfit.yaml, features.py or a setting is wrong."""

    exit_code = 2


class SourceError(EverfitError):
    """A table could not be read: missing, empty, ragged, binary, of another encoding."""

    exit_code = 3
    status = 502


class ChecksFailed(EverfitError):
    """The data broke at least one check of severity `error`."""

    exit_code = 4
    status = 422


class GateFailed(EverfitError):
    """The best candidate did not pass every quality gate, so nothing was registered."""

    exit_code = 5
    status = 409


class StepFailed(EverfitError):
    """A step, or a function of the user that it called, raised."""

    exit_code = 6


class MissingExtra(EverfitError):
    """An optional package is needed and not installed; `fix` holds the install command."""

    exit_code = 7
    status = 501


class StorageError(EverfitError):
    """Disk full, folder not writable, database unusable, or stored bytes that are not what was written."""

    exit_code = 8
    status = 503


class Conflict(StorageError):
    """A compare-and-set lost: the state moved since it was read."""

    status = 409


class ReleaseError(EverfitError):
    """The release state machine does not allow this transition."""

    exit_code = 9
    status = 409


class RequestError(EverfitError):
    """A prediction request is malformed: unknown, missing or ill-typed columns."""

    exit_code = 10
    status = 422


class UnknownEntity(RequestError):
    """The online store holds no row for the entity asked for."""

    status = 404


class UnknownPrediction(RequestError):
    """The prediction log holds no prediction of this id."""

    status = 404


class TooLarge(RequestError):
    """The request passes a limit on bytes, rows or depth."""

    status = 413


class NotReady(EverfitError):
    """No model has been released yet, so there is nothing to answer with."""

    exit_code = 11
    status = 503
