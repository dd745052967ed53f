"""The service keeps what its own OpenAPI description promises, for requests that schemathesis thinks out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.colours import add_doubt, colour_bundle
from tests.painter import painter_bundle
from tests.spotter import spotter_bundle

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="the development tools are not installed")


checks = pytest.importorskip("schemathesis.specs.openapi.checks")
MODELS = {
    "classify": lambda folder: add_doubt(colour_bundle(folder)),
    "detect": spotter_bundle,
    "segment": lambda folder: painter_bundle(folder, instances=True),
}
ANSWERING = "predict|explain|infer"


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"], ids=["requests that fit", "requests that do not fit"])
@pytest.mark.parametrize(
    ("task", "manage", "only"),
    [
        ("classify", False, ""),
        ("classify", True, "/repository/"),  # what is refused by the closed one
        ("detect", False, ANSWERING),
        pytest.param("segment", False, ANSWERING, marks=pytest.mark.slow),
    ],
    ids=["closed", "manageable", "boxes", "masks"],
)
def test_it_keeps_its_description(tmp_path: Path, task: str, manage: bool, only: str, mode: str) -> None:
    from photovision.service.app import create_app
    from photovision.service.settings import Settings

    folder = MODELS[task](tmp_path / "model")
    app = create_app(Settings({"model": folder}, manage=manage, allow_hosts=("testserver", "localhost")))
    # Its own list lacks 408 and 413, by which requests are rightly refused that are slow or large.
    refusals = [400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 422, 429, "5XX"]
    config = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": refusals}}})
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {"/predict", "/explain", "/v2/models/{model}/infer"} <= {operation.path for operation in operations}

    chosen = [operation for operation in operations if re.search(only, operation.path)]
    assert chosen
    for operation in chosen:

        @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def keeps(case: object) -> None:
            # No schema can say that bytes are a picture, so refusing bytes that fit the schema is no fault.
            case.call_and_validate(excluded_checks=[checks.positive_data_acceptance])  # type: ignore[attr-defined]

        if mode == "POSITIVE" or operation.body or operation.query or operation.path_parameters:
            keeps()
