"""Who may call what: the table below, compared with what the server answers."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from aegisml.base.auth import roles
from tests.architecture.routes import api_routes
from tests.factories import api_client

COLUMNS = (
    roles.VIEWER, roles.DATA_SCIENTIST, roles.OPERATOR, roles.APPROVER, roles.SERVICE, roles.ADMIN,
)  # fmt: skip
# V viewer, D data scientist, O operator, P approver, S service, A admin; a dot is a refusal
TABLE = """
    auth/logout                                        POST    V D O P S A
    auth/me                                            GET     V D O P S A
    algorithms                                         GET     V D O P . A
    models                                             GET     V D O P . A
    models                                             POST    . D O . . A
    models/{model_id}                                  GET     V D O P . A
    models/{model_id}                                  PUT     . D O . . A
    models/{model_id}                                  PATCH   . D O . . A
    models/{model_id}                                  DELETE  . . O . . A
    models/{model_id}/versions                         GET     V D O P . A
    models/{model_id}/versions/{number}                GET     V D O P . A
    models/{model_id}/versions/{number}/card           GET     V D O P . A
    models/{model_id}/versions/{number}/bundle         GET     . D O . . A
    models/{model_id}/versions/import                  POST    . D O . . A
    models/{model_id}/compare                          GET     V D O P . A
    models/{model_id}/train                            POST    . D O . . A
    models/{model_id}/training-jobs                    GET     V D O P . A
    models/{model_id}/training-jobs/{job_id}           GET     V D O P . A
    models/{model_id}/training-jobs/{job_id}/events    GET     V D O P . A
    models/{model_id}/training-jobs/{job_id}/cancel    POST    . D O . . A
    models/{model_id}/training-jobs/{job_id}/retry     POST    . D O . . A
    models/{model_id}/training-jobs/{job_id}/override  POST    . D O . . A
    models/{model_id}/tune                             POST    . D O . . A
    models/{model_id}/studies                          GET     V D O P . A
    models/{model_id}/studies/{study_id}               GET     V D O P . A
    models/{model_id}/studies/{study_id}/cancel        POST    . D O . . A
    models/{model_id}/studies/{study_id}/train         POST    . D O . . A
    models/{model_id}/deploy                           POST    . . O . . A
    models/{model_id}/undeploy                         POST    . . O . . A
    models/{model_id}/deployments                      GET     V D O P . A
    models/{model_id}/predict                          POST    . D O . S A
    models/{model_id}/batch-predict                    POST    . D O . S A
    predictions/{prediction_id}                        GET     V D O P S A
    models/{model_id}/metrics                          GET     V D O P . A
    models/{model_id}/health                           GET     V D O P . A
    models/{model_id}/drift                            GET     V D O P . A
    models/{model_id}/alerts                           GET     V D O P . A
    monitoring/health                                  GET     V D O P . A
    streams                                            GET     V D O P . A
    streams                                            POST    . D O . . A
    streams/{name}                                     GET     V D O P . A
    streams/{name}                                     PATCH   . D O . . A
    streams/{name}/quality                             GET     V D O P . A
    streams/{name}/quarantine                          GET     V D O P . A
    events/{stream}                                    POST    . D O . S A
    labels                                             GET     V D O P . A
    labels                                             POST    . D O P S A
    labels/{label_id}/reverse                          POST    . D O P S A
    features/online                                    POST    . D O . S A
    features/consistency                               GET     V D O P . A
    features/historical                                GET     V D O P . A
    features/historical                                POST    . D O . . A
    features/historical/{job_id}                       GET     V D O P . A
    features/historical/{job_id}/rows                  GET     V D O P . A
    entities                                           GET     V D O P . A
    entities                                           POST    . D O . . A
    feature-views                                      GET     V D O P . A
    feature-views                                      POST    . D O . . A
    feature-views/preview                              POST    . D O . . A
    feature-views/{name}                               GET     V D O P . A
    feature-views/{name}/versions/{number}             GET     V D O P . A
    feature-views/{name}/versions/{number}             DELETE  . D O . . A
    feature-views/{name}/versions/{number}/promote     POST    . . O . . A
    feature-views/{name}/versions/{number}/profiles    GET     V D O P . A
    feature-sets                                       GET     V D O P . A
    feature-sets                                       POST    . D O . . A
    feature-sets/{name}                                GET     V D O P . A
    feature-sets/{name}                                DELETE  . D O . . A
    feature-sets/{name}/lineage                        GET     V D O P . A
"""
OPEN = {"auth/token", "auth/refresh"}

pytestmark = pytest.mark.django_db


def table() -> dict[tuple[str, str], dict[str, bool]]:
    rows = [line.split() for line in TABLE.strip().splitlines()]
    return {
        (row[0], row[1]): {role: mark != "." for role, mark in zip(COLUMNS, row[2:], strict=True)}
        for row in rows
    }


def answers(client: APIClient) -> dict[tuple[str, str], int]:
    """The status of each route and method; logging out comes last."""
    calls = [
        (route, method)
        for route in api_routes()
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if route.key not in OPEN
    ]
    calls.sort(key=lambda call: (call[0].key, call[1]) == ("auth/logout", "POST"))
    return {
        (route.key, method): client.generic(
            method, route.path, b"{}", content_type="application/json"
        ).status_code
        for route, method in calls
    }


@pytest.mark.parametrize("role", COLUMNS)
def test_a_role_may_call_what_the_table_says_and_nothing_else(role: str) -> None:
    got = answers(api_client(role))
    wanted = {key: allowed[role] for key, allowed in table().items()}
    assert {key: got[key] != 403 for key in wanted} == wanted
    assert {key: code for key, code in got.items() if key not in wanted and code != 405} == {}


@pytest.mark.parametrize("role", COLUMNS)
def test_no_role_can_provoke_a_server_error_with_an_empty_body(role: str) -> None:
    assert [key for key, code in answers(api_client(role)).items() if code in (500, 501)] == []


def test_a_user_without_any_role_may_call_nothing() -> None:
    nobody = User.objects.create_user(username="nobody")
    got = answers(api_client(nobody))
    assert {key: got[key] for key in table() if got[key] != 403} == {}
