"""The regular work: what runs when, and a switch to pause it."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.decorators import display

from aegisml.base.admin.common import KeptAdmin

for unused in (ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule):
    admin.site.unregister(unused)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(KeptAdmin):
    """The timetable itself is in the settings, which win at every start."""

    list_display = ("name", "task", "timetable", "state", "last_run_at", "total_run_count")
    list_filter = ("enabled",)
    list_select_related = ("interval", "crontab", "solar", "clocked")
    search_fields = ("name", "task")
    fields = (
        "enabled", "name", "task", "timetable", "args", "kwargs", "last_run_at", "total_run_count",
        "description",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return tuple(name for name in self.fields if name not in ("enabled", "description"))

    @display(description="Timetable")
    def timetable(self, task: PeriodicTask) -> str:
        return str(task.scheduler)

    @display(description="State", label={"On": "success", "Paused": "warning"})
    def state(self, task: PeriodicTask) -> str:
        return "On" if task.enabled else "Paused"
