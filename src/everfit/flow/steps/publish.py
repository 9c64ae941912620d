"""From parts to a sealed bundle, and from a bundle that passed its gates to a registered version."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from everfit.errors import GateFailed
from everfit.evaluation import card
from everfit.features.functions import Functions
from everfit.flow import ledger
from everfit.ports import ArtifactStore, Registry, StateStore
from everfit.project.sections import Data
from everfit.records.features import Encoder
from everfit.records.model import (
    Candidate,
    Evaluation,
    GateReport,
    Lineage,
    Manifest,
    ModelVersion,
    Problem,
)
from everfit.records.profile import Profile
from everfit.records.table import DatasetVersion, Row, Schema
from everfit.training import bundle as bundles


def lineage(
    dataset: DatasetVersion, functions: Functions, code: str, config: str, packages: Mapping[str, str], seed: int
) -> Lineage:
    """All that the model is made from, by content."""
    return Lineage(dataset, functions.digest, config, code, packages, seed)
