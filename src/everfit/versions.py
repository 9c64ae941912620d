"""What is done to a registered version, by whom, through the ledger's rules; the registry is told of each change.

project = everfit.load("everfit.yaml", "production")
project.versions.approve(3)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from everfit.flow import ledger
from everfit.rollout.approval import Rule

if TYPE_CHECKING:
    from everfit.ports import Progress
    from everfit.records.release import ReleaseState
    from everfit.wiring import Ports


@dataclass(frozen=True)
class Versions:
    """The versions of one project in one environment, in the hands of `author`. Each verb returns the release as it
    is afterwards, and raises ReleaseError for what the rules refuse and Conflict when somebody else was first."""

    ports: Ports
    author: str
    progress: Progress
    clock: Callable[[], datetime]

    @property
    def rule(self) -> Rule:
        """Who must allow a version in this environment."""
        settings = self.ports.loaded.project.release
        return Rule(settings.approve.get(self.ports.loaded.environment, 0), settings.approvers)

    def release(self, version: int | None = None, force: bool = False) -> ReleaseState:
        """Brings a version, or the newest, in front of traffic, or stages it until it is approved; before either it
        is rehearsed. Raises ReleaseError when it fails that, and StorageError when its bundle cannot be loaded."""
        from everfit.flow import rehearsal, release, routes

        settings = self.ports.loaded.project.release
        state = self.ports.state
        made = ledger.versions(state).get(version or ledger.current(state).latest or 0)
        if made is not None:
            model = routes.load(made, self.ports.artifacts, self.ports.loaded.project.training.trusted)
            rehearsal.rehearse(model, made, settings.guard.smoke)
        return self._told(
            release.start(self.ports.state, settings, self.author, version, force, self.clock(), self.rule)
        )

    def resume(self) -> ReleaseState:
        """Begins the release that waits, once it is approved and no canary is under way."""
        from everfit.flow import promotion

        before = ledger.current(self.ports.state)
        settings = self.ports.loaded.project.release
        after = promotion.resume(self.ports.state, settings, self.author, self.rule, self.clock())
        return after if after == before else self._told(after)

    def approve(self, version: int, reason: str = "approved") -> ReleaseState:
        """The author's approval; the last one that was needed lets a release that waits begin."""
        from everfit.flow import promotion

        settings = self.ports.loaded.project.release
        return self._told(
            promotion.approve(self.ports.state, version, self.author, self.rule, settings, reason, self.clock())
        )

    def promote(self, version: int, reason: str = "promoted by hand", force: bool = False) -> ReleaseState:
        """Makes a version champion now, without a canary. StorageError when its bundle is missing or was changed."""
        from everfit.flow import promotion, routes

        state = self.ports.state
        if (made := ledger.versions(state).get(version)) is not None:
            routes.load(made, self.ports.artifacts, self.ports.loaded.project.training.trusted)
        return self._told(promotion.promote(state, version, self.author, self.rule, reason, force, self.clock()))

    def archive(self, version: int, reason: str = "archived by hand") -> ReleaseState:
        """Takes a version out of use; one that answers, or that a rollback would bring back, is refused."""
        from everfit.flow import promotion

        return self._told(promotion.archive(self.ports.state, version, self.author, reason, self.clock()))

    def roll_back(self, reason: str = "rolled back by hand") -> ReleaseState:
        """Ends the canary, or gives the traffic back to the champion before this one."""
        from everfit.flow import release

        return self._told(release.roll_back(self.ports.state, self.author, reason, self.clock()))

    def _told(self, after: ReleaseState) -> ReleaseState:
        from everfit.flow import release

        return release.mirror(self.ports.registry, after, self.progress)
