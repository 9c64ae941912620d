"""Whatever the API's description allows, and much that it does not, is answered without a server error."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from tests.unit.serving_models import GOOD, bundle, model
from tests.unit.test_serving_app import MemoryLabels, client, post, predictor

from everfit.serving.app import create_app
from everfit.serving.explaining import Explainer

SERVED = predictor()
EXPLAINER = Explainer(SERVED.log, lambda version: (model(), bundle()))
APP = create_app(SERVED, labels=MemoryLabels(), explainer=EXPLAINER, hosts=None)
schema = schemathesis.openapi.from_asgi("/openapi.json", APP)


@schema.parametrize()
@settings(max_examples=8, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_no_described_request_ends_in_a_server_error(case: schemathesis.Case[Any]) -> None:
    answer = case.call()
    assert answer.status_code < 500, answer.text


def test_memory_stays_flat_over_many_requests() -> None:
    server = client(predictor())

    def batch() -> int:
        for _ in range(40):
            post(server, GOOD)
            post(server, {"rows": [{**GOOD, "tenure": -1}]})
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        batch()
        first, last = batch(), [batch() for _ in range(4)][-1]
    finally:
        tracemalloc.stop()
    # Each batch leaves its 40 records in the memory log and nothing else.
    assert last - first < 4 * 40 * 6_000
