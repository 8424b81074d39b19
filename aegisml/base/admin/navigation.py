"""The sidebar. Pages of the apps above are named by their URLs, not imported."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

Entry = dict[str, Any]

# title, then entries: title, icon, app, model, and the page's name when it isn't the list
SECTIONS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    (
        "Features",
        (
            ("Streams", "stream", "features", "stream"),
            ("Entities", "group_work", "features", "entity"),
            ("Views", "functions", "features", "featureview"),
            ("View versions", "history_edu", "features", "featureviewversion"),
            ("Feature sets", "checklist", "features", "featureset"),
            ("Lineage", "account_tree", "features", "featureset", "features_lineage"),
            ("Labels", "label", "features", "label"),
        ),
    ),
    (
        "Feature data",
        (
            ("Quarantine", "report", "features", "quarantinedrow"),
            ("Ingested files", "upload_file", "features", "ingestfile"),
            ("Online builds", "bolt", "features", "materializerun"),
            ("Historical features", "table_view", "features", "historicaljob"),
            ("Profiles", "bar_chart", "features", "featureprofile"),
            ("Consistency", "rule", "features", "consistencyrun"),
        ),
    ),
    (
        "Models",
        (
            ("Models", "model_training", "models_app", "registeredmodel"),
            ("Versions", "deployed_code", "models_app", "modelversion"),
        ),
    ),
    (
        "Training",
        (
            ("Jobs", "exercise", "training", "trainingjob"),
            ("Studies", "tune", "training", "study"),
        ),
    ),
    (
        "Serving",
        (
            ("Deployments", "rocket_launch", "inference", "deployment"),
            ("Predictions", "receipt_long", "inference", "prediction"),
        ),
    ),
    (
        "Access",
        (
            ("Users", "person", "auth", "user"),
            ("Roles", "groups", "auth", "group"),
            ("API sessions", "key", "base", "apisession"),
        ),
    ),
    ("Schedules", (("Periodic tasks", "schedule", "django_celery_beat", "periodictask"),)),
)


def sections(request: HttpRequest) -> list[Entry]:
    """The sections, with the entries that this user may open."""
    overview = [
        {"title": "Dashboard", "icon": "space_dashboard", "link": reverse("admin:index")},
        _entry("History", "history", "admin", "logentry"),
    ]
    return [
        {"title": "Overview", "items": overview},
        *(
            {"title": title, "items": [_entry(*entry) for entry in entries]}
            for title, entries in SECTIONS
        ),
    ]


def _entry(title: str, icon: str, app: str, model: str, page: str = "") -> Entry:
    return {
        "title": title,
        "icon": icon,
        "link": reverse(f"admin:{page or f'{app}_{model}_changelist'}"),
        "permission": _holds(f"{app}.view_{model}"),
    }


def _holds(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)
