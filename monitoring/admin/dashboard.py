"""The admin's first page: what serves, what trains, what was decided, who changed what.

The page itself asks the database a few small questions. What may take longer
(the workers' ping, a day of predictions) is loaded into it afterwards.
"""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import Count
from django.db.models.functions import TruncHour
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone

from inference.choices import Decision
from inference.models import Prediction
from models_app.choices import AliasName
from models_app.models import Alias, ModelVersion, RegisteredModel
from monitoring import components
from monitoring.querysets import latency_p95
from training.models import TrainingJob

HOURS = 24
SHOWN = 8
STATE_COLORS = {"ok": "success", "degraded": "warning", "down": "danger"}


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The page's panels, each only for those who may see its rows."""
    user = request.user
    if user.has_perm("models_app.view_registeredmodel"):
        context["next_step"] = _next_step()
        context["champions"] = (
            Alias.objects.filter(name=AliasName.CHAMPION)
            .select_related("model", "version")
            .order_by("-moved_at")[:SHOWN]
        )
    if user.has_perm("training.view_trainingjob"):
        context |= _jobs()
    if user.has_perm("admin.view_logentry"):
        entries = LogEntry.objects.select_related("user", "content_type")
        context["changes"] = entries[:SHOWN]
    context["may_see_traffic"] = user.has_perm("inference.view_prediction")
    context["is_empty"] = "champions" not in context and "jobs" not in context
    return context


def urls() -> list[URLPattern]:
    """The fragments, under the admin's address and behind its login."""
    pages = (("components", show_components), ("traffic", show_traffic), ("jobs", show_jobs))
    return [
        path(f"dashboard/{name}/", admin.site.admin_view(view), name=f"dashboard_{name}")
        for name, view in pages
    ]


def show_components(request: HttpRequest) -> HttpResponse:
    """The state of the platform's parts, asked for after the page is there."""
    _require(request, "models_app.view_registeredmodel")
    parts = [(part, STATE_COLORS[part.state]) for part in components.check_all()]
    return render(request, "aegisml/dashboard/components.html", {"parts": parts})


def show_traffic(request: HttpRequest) -> HttpResponse:
    _require(request, "inference.view_prediction")
    since = timezone.now() - timedelta(hours=HOURS)
    try:
        found = {**_traffic(since), "p95": latency_p95(since)}
    except OperationalError:  # the statement timeout: more rows than can be counted in passing
        found = {"too_many": True}
    return render(request, "aegisml/dashboard/traffic.html", found)


def show_jobs(request: HttpRequest) -> HttpResponse:
    _require(request, "training.view_trainingjob")
    return render(request, "aegisml/dashboard/jobs.html", _jobs())


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _jobs() -> dict[str, Any]:
    jobs = TrainingJob.objects.select_related("model", "version")
    running = list(jobs.open()[:SHOWN])
    return {"jobs": running, "recent_jobs": [] if running else jobs[:3]}


def _next_step() -> str | None:
    """What a new installation still lacks on the way to its first prediction."""
    if not RegisteredModel.objects.exists():
        return "register"
    if not ModelVersion.objects.exists():
        return "train"
    return None if Alias.objects.filter(name=AliasName.CHAMPION).exists() else "deploy"


def _traffic(since: datetime) -> dict[str, Any]:
    """Counts by decision, in total and for each hour of the window."""
    rows = (
        Prediction.objects.filter(created_at__gte=since)
        .annotate(hour=TruncHour("created_at"))
        .values_list("hour", "decision")
        .annotate(count=Count("pk"))
        .order_by()
    )
    counts = {(hour, decision): count for hour, decision, count in rows}
    first = since.replace(minute=0, second=0, microsecond=0)
    hours = [first + timedelta(hours=i) for i in range(HOURS + 1)]
    highest = max((sum(_by_decision(counts, hour).values()) for hour in hours), default=0)
    totals = {
        decision: sum(count for (_, found), count in counts.items() if found == decision)
        for decision in Decision.values
    }
    return {
        "total": sum(totals.values()),
        "totals": [(Decision(name).label, name, count) for name, count in totals.items()],
        "bars": [_bar(hour, _by_decision(counts, hour), highest or 1) for hour in hours],
    }


def _by_decision(counts: dict[tuple[datetime, str], int], hour: datetime) -> dict[str, int]:
    return {decision: counts.get((hour, decision), 0) for decision in Decision.values}


def _bar(hour: datetime, counts: dict[str, int], highest: int) -> dict[str, Any]:
    said = ", ".join(f"{count:,} {decision}" for decision, count in counts.items() if count)
    return {
        "title": f"{hour:%Y-%m-%d %H:00} UTC: {said or 'none'}",
        "parts": [(name, 100 * count / highest) for name, count in counts.items() if count],
    }
