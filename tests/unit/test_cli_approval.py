"""Releases that wait for people: `everfit approve`, `promote` and `archive`, and what is shown meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.cli_project import SETTINGS, call, project, register
from tests.unit.test_cli_rollback import Told

from everfit.flow import keys, ledger, retraining
from everfit.project.load import load
from everfit.records.access import Role
from everfit.records.release import EventKind
from everfit.records.watch import Decision, Trigger
from everfit.rollout.strategy import Draft
from everfit.wiring import Ports
from everfit.workspace import Workspace

Capture = pytest.CaptureFixture[str]
APPROVED = SETTINGS.replace(
    "release: canary\n",
    "release: {strategy: immediate, approve: {production: 2}, identity: local, approvers: [ann, bob, carl]}\n"
    "environments: {production: {}, staging: {}}\n",
)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    registry = Told()
    monkeypatch.setattr(Ports, "registry", registry)
    return registry


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told) -> Ports:
    """Production, with version 1 registered by ann."""
    project(tmp_path, monkeypatch, APPROVED)
    monkeypatch.setenv("EVERFIT_ENV", "production")
    made = Ports(load("everfit.yaml", "production"))
    register(made, 1)
    return made


def kinds(ports: Ports) -> list[EventKind]:
    return [event.kind for event in ledger.events(ports.state)]


def test_a_release_waits_for_its_approvals_and_the_last_one_lets_it_begin(
    ports: Ports, told: Told, capsys: Capture
) -> None:
    waiting = call(capsys, "release")
    assert waiting.code == 0
    assert "Version 1 waits for 2 approvals, by bob or carl. Next: everfit approve 1" in waiting.out
    assert told.told == {"staging": 1}
    assert ledger.current(ports.state).champion is None
    assert "1 approval, by carl" in call(capsys, "approve", "1", "--by", "bob").out
    assert ledger.current(ports.state).champion is None
    last = call(capsys, "approve", "1", "--by", "carl", "--reason", "figures checked")
    assert "Version 1 is champion" in last.out
    assert told.told == {"production": 1}
    assert kinds(ports)[1:] == [EventKind.STAGED, EventKind.APPROVED, EventKind.APPROVED, EventKind.PROMOTED]
    approved = ledger.events(ports.state)[3]
    assert (approved.by, approved.reason) == ("carl", "figures checked")
    assert {"host", "system_user"} <= approved.evidence.keys()


def test_asking_again_while_it_waits_changes_nothing(ports: Ports, capsys: Capture) -> None:
    for _ in range(2):
        assert call(capsys, "release").code == 0
    assert kinds(ports) == [EventKind.REGISTERED, EventKind.STAGED]


@pytest.mark.parametrize(("by", "why"), [("ann", "nobody approves their own"), ("eve", "is not among those")])
def test_whoever_may_not_approve_is_refused_and_nothing_changes(
    ports: Ports, capsys: Capture, by: str, why: str
) -> None:
    answer = call(capsys, "approve", "1", "--by", by)
    assert answer.code == 9
    assert why in answer.err
    assert kinds(ports) == [EventKind.REGISTERED]


def test_who_acts_is_the_variable_where_it_is_not_said(
    ports: Ports, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERFIT_USER", "bob")
    assert call(capsys, "approve", "1").code == 0
    assert ledger.events(ports.state)[-1].by == "bob"


def key(ports: Ports, name: str, role: Role = Role.OPERATE) -> str:
    return keys.add(ports.state, name, (role,), "ann")


@pytest.fixture
def strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told) -> Ports:
    """As `ports`, where saying who one is does not do."""
    project(tmp_path, monkeypatch, APPROVED.replace("identity: local, ", ""))
    monkeypatch.setenv("EVERFIT_ENV", "production")
    made = Ports(load("everfit.yaml", "production"))
    register(made, 1)
    return made


def test_who_shows_no_key_does_not_approve_unless_the_project_lets_him(strict: Ports, capsys: Capture) -> None:
    refused = call(capsys, "approve", "1", "--by", "bob")
    assert refused.code == 9
    assert "bob has shown no key" in refused.err
    lax = call(capsys, "approve", "1", "--by", "bob", "--set", "release.identity=local")
    assert "approved by bob, who showed no key" in lax.out
    assert "waits for 2 approvals" in call(capsys, "release").out  # what was only said does not count here


def test_the_keys_name_is_the_approver_whatever_else_is_said(
    strict: Ports, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(capsys, "release")
    for name, role in (("bob", Role.OPERATE), ("carl", Role.ADMIN)):
        monkeypatch.setenv("EVERFIT_KEY", key(strict, name, role))
        done = call(capsys, "approve", "1", "--by", "eve")
        assert f"is approved by {name}." in done.out
    assert "Version 1 is champion" in done.out
    approved = [event for event in ledger.events(strict.state) if event.kind is EventKind.APPROVED]
    assert [(event.by, event.evidence["by_key"]) for event in approved] == [("bob", True), ("carl", True)]


@pytest.mark.parametrize(
    ("name", "role", "why"),
    [("ann", Role.OPERATE, "nobody approves their own"), ("eve", Role.ADMIN, "not among those"),
     ("bob", Role.PREDICT, "needs admin or operate")],
)  # fmt: skip
def test_a_key_that_may_not_approve_is_refused(
    strict: Ports, capsys: Capture, monkeypatch: pytest.MonkeyPatch, name: str, role: Role, why: str
) -> None:
    monkeypatch.setenv("EVERFIT_KEY", key(strict, name, role))
    refused = call(capsys, "approve", "1")
    assert refused.code == 9
    assert why in refused.err
    assert kinds(strict) == [EventKind.REGISTERED]


def test_a_key_that_was_taken_back_is_refused_and_never_shown(
    strict: Ports, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = key(strict, "bob")
    keys.remove(strict.state, "bob", "ann")
    monkeypatch.setenv("EVERFIT_KEY", secret)
    refused = call(capsys, "approve", "1")
    assert refused.code == 9
    assert "the key is not known" in refused.err
    assert secret not in refused.err + refused.out


def test_staging_needs_nobody(ports: Ports, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    register(Ports(load("everfit.yaml", "staging")), 1)
    assert "Version 1 is champion" in call(capsys, "release", "--env", "staging").out
    refused = call(capsys, "approve", "1", "--env", "staging", "--by", "bob")
    assert refused.code == 9
    assert "no approval is needed" in refused.err


def test_status_shows_what_waits_for_whom_and_what_to_do(ports: Ports, capsys: Capture) -> None:
    call(capsys, "release")
    shown = call(capsys, "status").out
    assert "version 1 for 2 approvals, by bob or carl" in shown
    assert "Next: everfit approve 1" in shown


def test_a_retraining_that_waits_is_over_and_no_failure(ports: Ports, told: Told) -> None:
    workspace = Workspace(load("everfit.yaml", "production"), author="everfit")
    decision = Decision(workspace.clock(), True, Trigger.MANUAL, ("by hand",))
    done = retraining.act(ports.state, decision, lambda since: 1, workspace.release)
    assert (done.waiting, done.deployed, done.error) == (True, False, None)
    assert retraining.unfinished(ports.state) is None


def test_promote_needs_the_approvals_too(ports: Ports, capsys: Capture) -> None:
    refused = call(capsys, "promote", "1")
    assert refused.code == 9
    assert "waits for 2 approvals, by bob or carl" in refused.err
    for person in ("bob", "carl"):
        call(capsys, "approve", "1", "--by", person)
    promoted = call(capsys, "promote", "1", "--by", "dora", "--reason", "agreed")
    assert "Version 1 was promoted" in promoted.out
    assert (ledger.events(ports.state)[-1].by, ledger.events(ports.state)[-1].reason) == ("dora", "agreed")


def test_a_version_whose_bundle_is_gone_is_not_promoted(ports: Ports, capsys: Capture) -> None:
    register(ports, 2)  # the second one of these has no bundle
    for person in ("bob", "carl"):
        call(capsys, "approve", "2", "--by", person)
    answer = call(capsys, "promote", "2")
    assert answer.code == 8
    assert "the bundle of version 2 is missing" in answer.err


def test_archiving_withdraws_what_waits_and_refuses_what_is_in_use(ports: Ports, capsys: Capture) -> None:
    call(capsys, "release")
    assert call(capsys, "archive", "1", "--reason", "wrong month").code == 0
    state = ledger.current(ports.state)
    assert (state.staged, state.archived) == (None, (1,))
    assert call(capsys, "release").code == 9
    assert call(capsys, "release", "1", "--force").code == 0
    for person in ("bob", "carl"):
        call(capsys, "approve", "1", "--by", person)
    refused = call(capsys, "archive", "1")
    assert refused.code == 9
    assert "is in use: it is champion" in refused.err


def test_an_approved_release_begins_when_the_canary_before_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told, capsys: Capture
) -> None:
    settings = APPROVED.replace("strategy: immediate, approve: {production: 2}", "approve: {production: 1}")
    project(tmp_path, monkeypatch, settings)
    ports = Ports(load("everfit.yaml", "production"))
    for version in (1, 2, 3):
        register(ports, version, real=True)
        if version < 3:
            call(capsys, "release", "--env", "production")
            call(capsys, "approve", str(version), "--env", "production", "--by", "bob")
    assert ledger.current(ports.state).challenger == 2
    workspace = Workspace(load("everfit.yaml", "production"), author="ann")
    ledger.commit(ports.state, lambda seen: (Draft(EventKind.STAGED, 3, "waits"),), "ann")
    assert "waits for the canary under way" in call(capsys, "approve", "3", "--env", "production", "--by", "carl").out
    workspace.rollback()
    workspace.look()
    assert ledger.current(ports.state).challenger == 3


def test_approvals_that_nobody_could_give_are_refused_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "everfit.yaml").write_text(APPROVED.replace("[ann, bob, carl]", "[ann]"))
    monkeypatch.chdir(tmp_path)
    answer = call(capsys, "status")
    assert answer.code == 2
    assert "2 approvals need at least as many names in approvers" in answer.err


def test_history_shows_one_version_alone(ports: Ports, capsys: Capture) -> None:
    register(ports, 2)
    shown = json.loads(call(capsys, "history", "--version", "2", "--json").out)
    assert [event["version"] for event in shown] == [2]
