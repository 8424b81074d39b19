"""Deploying, stopping and going back in the admin."""

import pytest
from django.contrib.admin.models import LogEntry

from aegisml.base.auth import roles
from inference import services as serving
from inference.choices import DeploymentStatus
from inference.models import Deployment
from tests import factories
from tests.admin import pages

pytestmark = pytest.mark.django_db

PAGE = "inference_deployment"


@pytest.fixture
def version():
    return factories.trained_version()


@pytest.fixture
def operator(log_in):
    return log_in(roles.OPERATOR)


def press(client, row, name, **fields):
    return client.post(pages.action(row, name), {"_form_submitted": "on", **fields}, follow=True)


def test_the_form_deploys_the_newest_version_with_a_reason(log_in, version):
    person = factories.make_user(roles.OPERATOR)

    answer = log_in(person).post(
        pages.add(PAGE), {"model": version.model_id, "version": "", "reason": "first"}
    )

    deployment = Deployment.objects.get()
    assert answer["Location"] == pages.change(deployment)
    assert (deployment.version, deployment.created_by) == (version, person)
    assert LogEntry.objects.filter(change_message="Deployed version 1. first", user=person).exists()


def test_the_form_deploys_the_version_that_was_chosen(operator, version):
    factories.trained_version(version.model)

    operator.post(
        pages.add(PAGE), {"model": version.model_id, "version": version.pk, "reason": "older"}
    )

    assert Deployment.objects.get().version == version


def test_a_second_deployment_supersedes_the_first(operator, version):
    first = serving.deploy(model=version.model, actor=version.created_by)

    operator.post(pages.add(PAGE), {"model": version.model_id, "version": "", "reason": "again"})

    first.refresh_from_db()
    assert first.status == DeploymentStatus.SUPERSEDED


def test_the_versions_to_choose_from_are_those_of_the_model(operator, version):
    other = factories.trained_version()

    html = operator.get(f"{pages.add(PAGE)}?model={version.model_id}").content.decode()

    assert str(version.pk) in html
    assert str(other.pk) not in html


def test_a_version_of_another_model_is_refused(operator, version):
    other = factories.trained_version()

    answer = operator.post(
        pages.add(PAGE), {"model": version.model_id, "version": other.pk, "reason": "x"}
    )

    assert "Select a valid choice" in answer.context["adminform"].form.errors["version"][0]
    assert not Deployment.objects.exists()


def test_a_broken_bundle_is_refused_in_the_form(operator, version):
    (version.bundle_folder / "model.onnx").write_bytes(b"something else")

    answer = operator.post(
        pages.add(PAGE), {"model": version.model_id, "version": "", "reason": "x"}
    )

    assert "differs from its registered hash" in answer.content.decode()
    assert not Deployment.objects.exists()


def test_deploying_needs_a_reason(operator, version):
    answer = operator.post(pages.add(PAGE), {"model": version.model_id, "reason": ""})

    assert "reason" in answer.context["adminform"].form.errors


def test_a_scientist_cannot_deploy(log_in, version):
    answer = log_in(roles.DATA_SCIENTIST).post(
        pages.add(PAGE), {"model": version.model_id, "reason": "x"}
    )

    assert answer.status_code == 403


def test_undeploying_ends_the_deployment(operator, version):
    deployment = serving.deploy(model=version.model, actor=version.created_by)

    press(operator, deployment, "undeploy", reason="false alarms")

    deployment.refresh_from_db()
    assert deployment.status == DeploymentStatus.ENDED
    assert not version.aliases.exists()


def test_an_old_page_does_not_stop_the_version_that_came_after(operator, version):
    old = serving.deploy(model=version.model, actor=version.created_by)
    active = serving.deploy(model=version.model, actor=version.created_by)

    answer = press(operator, old, "undeploy", reason="too late")

    active.refresh_from_db()
    assert active.status == DeploymentStatus.ACTIVE
    # the apostrophe is escaped
    assert "the active one any more." in answer.content.decode()


def test_going_back_deploys_the_old_version(operator, version):
    old = serving.deploy(model=version.model, actor=version.created_by)
    newer = factories.trained_version(version.model)
    serving.deploy(model=version.model, actor=version.created_by)

    press(operator, old, "deploy_again", reason="v2 is worse")

    active = Deployment.objects.active().get()
    assert (active.version, newer.number) == (version, 2)
    assert active.reason == "v2 is worse"
