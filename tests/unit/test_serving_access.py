"""Keys: what each opens, that nothing else does, and that only digests are stored."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.serving_models import GOOD
from tests.unit.test_serving_app import Http, MemoryLabels, client, post, refused

from everfit.adapters.state.sqlite import SqliteState
from everfit.errors import ProjectError, ReleaseError, StorageError
from everfit.flow import keys
from everfit.project.sections.serving import Limits
from everfit.records.access import Role
from everfit.serving.access import OPEN, Access
from everfit.serving.server import bind

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PATHS = [
    "/predict",
    "/feedback",
    "/metrics",
    "/version",
    "/openapi.json",
    "/docs",
    "/nowhere",
    "/v2/models/churn/infer",
]


@pytest.fixture
def state(tmp_path: Path) -> SqliteState:
    return SqliteState(tmp_path / "state.db")


def opened(state: SqliteState, **given: object) -> tuple[Http, Access]:
    access = Access(**given)  # type: ignore[arg-type]
    access.tell(keys.current(state))
    return client(access=access, labels=MemoryLabels()), access


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_a_key_is_printed_once_and_only_its_digest_is_stored(state: SqliteState) -> None:
    key = keys.add(state, "shop", (Role.PREDICT,), "ann", NOW)
    assert len(key) > 40
    assert key.encode() not in b"".join(text for _, text in state.read(keys.STREAM))
    assert keys.current(state)["shop"].roles == (Role.PREDICT,)


def test_names_are_unique_until_taken_back(state: SqliteState) -> None:
    first = keys.add(state, "shop", (Role.PREDICT,), "ann", NOW)
    with pytest.raises(ReleaseError, match="'shop'"):
        keys.add(state, "shop", (Role.ADMIN,), "bob", NOW)
    keys.remove(state, "shop", "ann", NOW)
    assert keys.current(state) == {}
    assert keys.add(state, "shop", (Role.PREDICT,), "ann", NOW) != first
    with pytest.raises(ReleaseError, match="no key"):
        keys.remove(state, "nobody", "ann", NOW)


def test_without_any_key_a_local_server_is_open(state: SqliteState) -> None:
    server, _ = opened(state)
    assert post(server, GOOD).status_code == 200


def test_the_first_key_closes_every_route_but_the_probes(state: SqliteState) -> None:
    keys.add(state, "shop", (Role.PREDICT,), "ann", NOW)
    server, _ = opened(state)
    for path in PATHS:
        refused(server.get(path), 401, "key")
    assert {path for path in OPEN if server.get(path).status_code == 401} == set()


@pytest.mark.parametrize("role", list(Role))
def test_a_key_opens_what_its_role_says(state: SqliteState, role: Role) -> None:
    key = keys.add(state, "one", (role,), "ann", NOW)
    server, _ = opened(state)
    opens = {path: server.get(path, headers=bearer(key)).status_code != 403 for path in PATHS[:-1]}
    own = {"/predict": Role.PREDICT, "/feedback": Role.FEEDBACK, "/metrics": Role.OPERATE}
    anybody = {"/version", "/openapi.json", "/docs"}
    assert opens == {path: role is Role.ADMIN or path in anybody or own.get(path) is role for path in opens}


def test_a_key_may_come_in_either_header(state: SqliteState) -> None:
    key = keys.add(state, "one", (Role.PREDICT,), "ann", NOW)
    server, _ = opened(state)
    assert post(server, GOOD, **bearer(key)).status_code == 200
    assert post(server, GOOD, **{"x-api-key": key}).status_code == 200
    refused(post(server, GOOD, **bearer(key[:-1])), 401, "not known")
    refused(post(server, GOOD, authorization=f"Basic {key}"), 401)


def test_a_key_that_was_taken_back_opens_nothing(state: SqliteState) -> None:
    key = keys.add(state, "one", (Role.PREDICT,), "ann", NOW)
    keys.add(state, "other", (Role.ADMIN,), "ann", NOW)
    server, access = opened(state)
    keys.remove(state, "one", "ann", NOW)
    access.tell(keys.current(state))
    assert post(server, GOOD, **bearer(key)).status_code == 401


def test_a_server_that_others_reach_stays_closed_when_the_last_key_goes(state: SqliteState) -> None:
    server, _ = opened(state, required=True)
    assert post(server, GOOD).status_code == 401


def test_while_nobody_can_say_which_keys_there_are_all_is_closed(state: SqliteState) -> None:
    server, access = opened(state)
    access.close()
    assert post(server, GOOD).status_code == 401
    access.tell(keys.current(state))
    assert post(server, GOOD).status_code == 200


def test_a_server_that_starts_while_the_store_is_away_knows_the_keys_that_it_saw_last(
    state: SqliteState, tmp_path: Path
) -> None:
    class Away(SqliteState):
        def read(self, stream: str, after: int = 0) -> list[tuple[int, bytes]]:
            raise StorageError("the state store is away")

    away = Away(tmp_path / "away.db")
    with pytest.raises(StorageError):
        keys.followed(away, tmp_path)
    keys.add(state, "one", (Role.PREDICT,), "ann", NOW)
    known = keys.followed(state, tmp_path)
    assert keys.followed(away, tmp_path) == known == keys.current(state)


def test_a_key_that_asks_too_often_waits_and_others_do_not(state: SqliteState) -> None:
    seconds = [0.0]
    first, second = (keys.add(state, name, (Role.PREDICT,), "ann", NOW) for name in ("a", "b"))
    server, _ = opened(state, rate=2.0, clock=lambda: seconds[0])
    statuses = [post(server, GOOD, **bearer(first)).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 200, 429]
    assert post(server, GOOD, **bearer(second)).status_code == 200
    late = post(server, GOOD, **bearer(first))
    assert int(late.headers["retry-after"]) >= 1
    seconds[0] = 1.0
    assert post(server, GOOD, **bearer(first)).status_code == 200


def test_requests_beyond_the_limit_under_way_are_told_to_come_again() -> None:
    busy = client(limits=replace_limits(concurrency=1))
    busy._transport.app.front._active = 1  # type: ignore[attr-defined]
    refused(post(busy, GOOD), 429, "under way")
    assert busy.get("/health").status_code == 200


def replace_limits(**values: int) -> Limits:
    return Limits().model_copy(update=values)


def test_an_address_beyond_loopback_is_bound_only_when_somebody_is_asked_who_he_is() -> None:
    with bind("0.0.0.0", 0, protected=True) as listener:
        assert listener.getsockname()[1] > 0
    with pytest.raises(ProjectError, match="loopback"):
        bind("0.0.0.0", 0)
    with pytest.raises(ProjectError, match="not an address"):
        bind("example.org", 0, protected=True)
