"""A retraining that leaves out rows from before performance fell: what it learned from is said and can be rebuilt."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from everfit.cli import rebuild as command
from everfit.flow import retraining
from tests.integration.projects import START, SmallProject

FELL = START + timedelta(days=45)
DATED = ("data.time=event_timestamp", "data.exclude=[]", "gates.not_worse_than=null")


def test_a_retraining_learns_from_rows_since_the_change_and_so_do_later_ones(released: SmallProject) -> None:
    workspace = released.open(*DATED)
    decision = replace(workspace.monitor(forced=True).decision, since=FELL, fell=FELL)
    done = workspace.retrain(decision)
    assert (done.deployed, done.since, done.error) == (True, FELL, None)
    lineage = released.open_manifest(done.version or 0).lineage
    assert 300 < lineage.dataset.rows < 500  # of 800 in ninety days
    assert lineage.settings["data"]["since"] == "2025-02-15T00:00:00Z"
    assert retraining.left_out(retraining.history(workspace.ports.state)) == FELL
    assert workspace.monitor(forced=True).decision.since == FELL
    rebuilt = command.rebuild(released.open(*DATED), done.version or 0)
    assert (rebuilt.equal, rebuilt.rows) == (True, lineage.dataset.rows)


def test_where_no_row_is_left_the_champion_stays_and_the_next_one_learns_from_all(released: SmallProject) -> None:
    workspace = released.open(*DATED)
    late = START + timedelta(days=400)
    asked = workspace.monitor(forced=True).decision
    done = workspace.retrain(replace(asked, since=late, fell=late))
    assert not done.deployed
    assert "of 800 rows none is since 2026-02-05" in (done.error or "")
    assert workspace.monitor(forced=True).decision.since is None


def test_the_setting_leaves_rows_out_of_any_run(released: SmallProject) -> None:
    released.edit("exclude: [event_timestamp]", "time: event_timestamp\n  since: 2025-02-15")
    released.edit(", not_worse_than: production", "")
    assert released.call("run").code == 0
    assert released.open_manifest(2).lineage.dataset.rows < 500
    released.edit("  time: event_timestamp\n", "")
    refused = released.call("run")
    assert (refused.code, "`since` needs `time: COLUMN`" in refused.err) == (2, True)
