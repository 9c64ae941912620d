"""The small project of the integration tests, for tests of the modules that hold all the others together."""

from tests.integration.conftest import _trained, project, released, trained

__all__ = ["_trained", "project", "released", "trained"]
