"""The OpenAPI description is whole: every route, every role, every kind of refusal."""

from functools import cache
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from tests.architecture.routes import METHODS, api_routes

OPEN = {"/api/v1/auth/token", "/api/v1/auth/refresh"}


@cache
def schema() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)


def operations() -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in schema()["paths"].items()
        for method, operation in methods.items()
    }


def test_it_lists_every_route_and_method_of_the_api_and_nothing_else() -> None:
    served = {
        f"{method} /api/v1/{route.key}"
        for route in api_routes()
        for method in METHODS
        if method not in ("HEAD", "OPTIONS") and hasattr(route.view_class, method.lower())
    }
    assert set(operations()) == served


def test_it_is_valid_openapi() -> None:
    validate_schema(schema())


@pytest.mark.parametrize("code", ["400", "401", "404", "503"])
def test_each_operation_describes_its_refusals_as_problems(code: str) -> None:
    reference = {"$ref": "#/components/schemas/Problem"}
    lacking = [
        name
        for name, operation in operations().items()
        if operation["responses"][code]["content"]
        != {"application/problem+json": {"schema": reference}}
    ]
    assert lacking == []


def test_operations_with_a_body_describe_413_and_415_too() -> None:
    with_body = [op for op in operations().values() if "requestBody" in op]
    assert len(with_body) > 5
    assert all({"409", "413", "415"} <= set(operation["responses"]) for operation in with_body)


def test_each_guarded_operation_names_its_roles_and_the_bearer_token() -> None:
    for name, operation in operations().items():
        path = name.partition(" ")[2]
        assert bool(operation.get("x-roles")) == (path not in OPEN), name
        assert ({"bearer": []} in operation.get("security", [])) == (path not in OPEN), name


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for operation in operations().values()]
    assert len(ids) == len(set(ids))
