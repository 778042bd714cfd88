"""The OpenAPI description: the server holds what it says, whatever is sent."""

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from .conftest import Serve

# `make fuzz` sends more.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "4"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def described(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The description of a server with a registry."""
    with serve(registry=tmp_path_factory.mktemp("fuzz") / "stamps.db") as client:
        yield schemathesis.openapi.from_url(f"{client.base_url}/openapi.json".replace("//o", "/o"))


def test_whatever_is_sent_the_answer_is_as_described(described: Any) -> None:
    operations = [result.ok() for result in described.get_all_operations()]
    assert len(operations) > 30
    for operation in operations:

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS, timeout=300)

        check()


def test_the_description_has_examples_and_a_name_for_every_operation(api: httpx.Client) -> None:
    said = api.get("/openapi.json").json()
    names = []
    for path, operations in said["paths"].items():
        for operation in operations.values():
            names.append(operation["operationId"])
            assert operation["summary"], path
    assert len(names) == len(set(names))
    for path in ("/v1/plates", "/v1/stamps", "/v1/compare", "/v1/registry/designs"):
        for operation in said["paths"][path].values():
            assert operation["responses"]["200"]["content"]["application/json"]["example"]


def test_the_docs_load_nothing_from_elsewhere(api: httpx.Client) -> None:
    for path in ("/docs", "/redoc"):
        page = api.get(path).text
        assert "http://" not in page
        assert "https://" not in page.replace("https://fonts.googleapis.com", "")
    assert api.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200
