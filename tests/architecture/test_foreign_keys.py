"""Rows point down only. import-linter sees imports; a key can also name its target as text."""

from collections.abc import Iterable

from django.apps import apps
from django.db import models
from django.test.utils import isolate_apps

HEIGHT = {
    "base": 0, "features": 1, "models_app": 2, "training": 3, "inference": 3, "experiments": 4,
    "monitoring": 4,
}  # fmt: skip


def upward(rows: Iterable[type[models.Model]]) -> list[str]:
    """Relations from one of our apps to an app beside or above it."""
    found = []
    for row in rows:
        for field in [*row._meta.fields, *row._meta.many_to_many]:
            target = field.remote_field and field.remote_field.model
            here, there = row._meta.app_label, target._meta.app_label if target else None
            ours = here in HEIGHT and there in HEIGHT and here != there
            if ours and HEIGHT[there] >= HEIGHT[here]:
                found.append(f"{row._meta.label}.{field.name} -> {target._meta.label}")
    return found


def test_no_row_points_up_or_sideways() -> None:
    assert upward(apps.get_models(include_auto_created=True)) == []


def test_every_app_of_ours_has_a_height() -> None:
    ours = {config.label for config in apps.get_app_configs() if "site-packages" not in config.path}
    assert ours == set(HEIGHT)


@isolate_apps("models_app", "training", "inference")
def test_a_key_that_points_up_is_found() -> None:
    class Job(models.Model):  # noqa: DJ008 - never shown
        class Meta:
            app_label = "training"

    class Version(models.Model):  # noqa: DJ008 - never shown
        job = models.ForeignKey("training.Job", on_delete=models.PROTECT)

        class Meta:
            app_label = "models_app"

    class Server(models.Model):  # noqa: DJ008 - never shown
        jobs = models.ManyToManyField("training.Job")

        class Meta:
            app_label = "inference"

    assert upward([Version]) == ["models_app.Version.job -> training.Job"]
    assert upward([Server]) == ["inference.Server.jobs -> training.Job"]
    assert upward([Job]) == []
