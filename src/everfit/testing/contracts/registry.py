"""What every Registry must do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from everfit.ports import Registry
from everfit.records.codec import encode
from everfit.records.features import Encoder, NumericEncoding
from everfit.records.model import (
    Evaluation,
    GateReport,
    GateResult,
    Lineage,
    Manifest,
    ModelVersion,
    TrialRun,
    TrialStatus,
)
from everfit.records.profile import ColumnProfile, Profile
from everfit.records.table import Column, DatasetVersion, Kind, Schema, Task


class RegistryContract:
    """Versions of bundles: each bundle once, oldest first, and aliases that say what they were told to."""

    def make(self, folder: Path) -> Registry:
        """Opens the registry in the folder."""
        raise NotImplementedError

    def aliases(self, folder: Path) -> Mapping[str, int]:
        """The aliases that the registry in the folder shows to its own clients."""
        raise NotImplementedError

    def trials(self, folder: Path, run_id: str) -> list[TrialRun]:
        """The trials that the registry in the folder shows to its own clients below a run, in the order of logging;
        their parameters may be text."""
        raise NotImplementedError

    def bundle(self, folder: Path, manifest: Manifest) -> None:
        """Fills the folder with a bundle; to be overridden where the registry needs more than the manifest."""
        folder.mkdir(parents=True)
        (folder / "pictures").mkdir()
        (folder / "pictures" / "roc_curve.png").write_bytes(b"\x89PNG")
        (folder / "card.md").write_text("# churn\n", encoding="utf-8")
        (folder / "bundle.json").write_bytes(encode(manifest))

    def test_empty_registry_has_no_versions(self, tmp_path: Path) -> None:
        assert self.make(tmp_path).versions() == []

    def test_versions_count_up_with_what_they_were_made_of(self, tmp_path: Path) -> None:
        registry = self.make(tmp_path / "registry")
        first, second = (self._add(registry, tmp_path / name, name) for name in ("one", "two"))
        assert second.version > first.version
        assert registry.versions() == [first, second]
        assert [v.bundle_hash for v in registry.versions()] == [_digest("one"), _digest("two")]
        assert first.metrics == {"roc_auc": 0.75}
        assert first.run_id

    def test_the_same_bundle_again_is_the_same_version(self, tmp_path: Path) -> None:
        registry = self.make(tmp_path / "registry")
        first = self._add(registry, tmp_path / "one", "one")
        again = self._add(self.make(tmp_path / "registry"), tmp_path / "copy", "one")
        assert again == first
        assert registry.versions() == [first]

    def test_trials_stand_below_the_run_of_their_version_once(self, tmp_path: Path) -> None:
        registry = self.make(tmp_path / "registry")
        self.bundle(tmp_path / "one", manifest())
        versions = [registry.add(tmp_path / "one", _digest("one"), manifest(), TRIALS) for _ in range(2)]
        other = self._add(registry, tmp_path / "two", "two")
        shown = self.trials(tmp_path / "registry", versions[0].run_id)
        assert [_as_text(trial) for trial in shown] == [_as_text(trial) for trial in TRIALS]
        assert self.trials(tmp_path / "registry", other.run_id) == []
        assert registry.versions() == [versions[0], other]

    def test_aliases_say_what_they_were_told_no_more_and_no_less(self, tmp_path: Path) -> None:
        registry = self.make(tmp_path / "registry")
        one, two = (self._add(registry, tmp_path / name, name).version for name in ("one", "two"))
        for told in ({"production": one}, {"production": one, "staging": two}, {"production": two}, {}):
            registry.mirror(told, {})
            assert dict(self.aliases(tmp_path / "registry")) == told
            assert dict(registry.aliases()) == told

    def test_stages_of_versions_say_what_they_were_told_no_more_and_no_less(self, tmp_path: Path) -> None:
        registry = self.make(tmp_path / "registry")
        one, two = (self._add(registry, tmp_path / name, name).version for name in ("one", "two"))
        for told in ({one: "archived", two: "production"}, {one: "archived"}, {one: "archived"}, {}):
            registry.mirror({}, told)
            shown = {found.version: found.tags.get("stage") for found in registry.versions()}
            assert {version: stage for version, stage in shown.items() if stage is not None} == told

    def _add(self, registry: Registry, folder: Path, name: str) -> ModelVersion:
        self.bundle(folder, manifest())
        return registry.add(folder, _digest(name), manifest())


TRIALS = (
    TrialRun("logistic", TrialStatus.COMPLETE, {"model.C": 1.0}, {"cv_mean_roc_auc": 0.76, "seconds": 0.5}),
    TrialRun("xgboost", TrialStatus.PRUNED, {"model.max_depth": 3}, {"cv_mean_roc_auc": 0.6, "seconds": 0.25}),
)


def _as_text(trial: TrialRun) -> TrialRun:
    return replace(trial, params={name: str(value) for name, value in trial.params.items()})


def manifest() -> Manifest:
    """A small whole manifest: one numeric feature, a binary target."""
    age = ColumnProfile("age", Kind.NUMERIC, 4, 0, (1.0, 2.0, 3.0, 4.0), None, 2.5, 1.1, 1.0, 4.0)
    return Manifest(
        model="churn",
        task=Task.BINARY,
        target="churn",
        entity="id",
        classes=("No", "Yes"),
        threshold=0.5,
        schema=Schema((Column("age", Kind.NUMERIC, distinct=4, minimum=1.0, maximum=4.0),)),
        features=("age",),
        encoder=Encoder((NumericEncoding("age", Kind.NUMERIC, 2.5, 2.5, 1.1, False),), ()),
        family="logistic",
        params={"C": 1.0},
        evaluation=Evaluation({"roc_auc": 0.8}, {"roc_auc": 0.75}, {"mean_roc_auc": 0.76}, ()),
        gates=GateReport((GateResult("roc_auc", 0.75, 0.7, True, "0.75 >= 0.7"),)),
        profile=Profile((age,), ColumnProfile("score", Kind.NUMERIC, 4, 0, (0.1, 0.9)), "roc_auc", 0.75, 4),
        lineage=Lineage(DatasetVersion("ab", 4, 2, "customers.csv"), "f", "c", "d", {"numpy": "2.0"}, 42),
        example={"age": 3.0},
    )


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
