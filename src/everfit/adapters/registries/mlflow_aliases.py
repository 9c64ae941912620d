"""What MLflow shows of who is in production: three aliases of the model, and the tag `stage` of each version.

Aliases of other names belong to people and are left alone. Nothing is written that is there already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OWN = ("production", "staging", "archived")
STAGE = "stage"


def shown(client: Any, model: str) -> dict[str, int]:
    """The aliases of these names, and the version of each; none while the model is not registered."""
    found = client.search_registered_models(f"name = '{model}'")
    aliases = client.get_registered_model(model).aliases if found else {}
    return {name: int(version) for name, version in aliases.items() if name in OWN}


def show(client: Any, model: str, aliases: Mapping[str, int], stages: Mapping[int, str]) -> None:
    """Makes aliases and tags say this, no more and no less."""
    before = shown(client, model)
    for name in before.keys() - aliases.keys():
        client.delete_registered_model_alias(model, name)
    for name, version in aliases.items():
        if before.get(name) != version:
            client.set_registered_model_alias(model, name, str(version))
    for found in client.search_model_versions(f"name = '{model}'"):
        stage, wanted = found.tags.get(STAGE), stages.get(int(found.version))
        if wanted is None and stage is not None:
            client.delete_model_version_tag(model, found.version, STAGE)
        elif wanted != stage:
            client.set_model_version_tag(model, found.version, STAGE, wanted)
