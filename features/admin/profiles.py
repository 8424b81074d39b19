"""The admin of feature profiles."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from aegisml.base.admin.common import InfinitePaginator, ReadOnlyAdmin, link
from features.admin import charts
from features.ml.listing import spelled
from features.models import FeatureProfile

SHOWN = ("p5", "p50", "p95")  # of the quantiles, in a list


@admin.register(FeatureProfile)
class FeatureProfileAdmin(ReadOnlyAdmin):
    list_display = (
        "day", "version_link", "feature", "rows", "null_share", "shown_quantiles",
        "newest_event_at",
    )  # fmt: skip
    list_filter = ("version__view",)
    list_select_related = ("version__view",)
    search_fields = ("feature", "version__view__name")
    search_help_text = "feature or view"
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = InfinitePaginator
    empty_hint = "Each live version's features are profiled once a day."
    fields = ("version", "feature", "day")

    @display(description="Version", ordering="version__view__name")
    def version_link(self, profile: FeatureProfile) -> str:
        return link("features_featureviewversion_change", profile.version, profile.version_id)

    @display(description="Null")
    def null_share(self, profile: FeatureProfile) -> str:
        return f"{profile.nulls / profile.rows:.1%}" if profile.rows else "-"

    @display(description="Quantiles")
    def shown_quantiles(self, profile: FeatureProfile) -> str:
        shown = (one for one in _quantiles(profile) if one[0] in SHOWN)
        return ", ".join(f"{name}: {value}" for name, value in shown)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        profile = context["original"]
        days = list(_until(profile))
        context |= {
            "null_share": self.null_share(profile),
            "quantiles": _quantiles(profile),
            "day_chart": charts.distribution([profile]),
            "days_chart": charts.distribution(days) if len(days) > 1 else None,
            "nulls_chart": charts.null_shares(days),
            "has_edges": "edges" in profile.histogram,
        }
        return super().render_change_form(request, context, *args, **kwargs)


def _until(profile: FeatureProfile) -> Any:
    """The feature's profiles of the days that end with this one."""
    since = profile.day - timedelta(days=charts.DAYS - 1)
    rows = profile.version.profiles.filter(feature=profile.feature)
    return rows.filter(day__range=(since, profile.day)).order_by("day")


def _quantiles(profile: FeatureProfile) -> list[tuple[str, str]]:
    """p1, p5, ... in their order, which the table doesn't keep."""
    ordered = sorted(profile.quantiles.items(), key=lambda one: float(one[0].lstrip("p")))
    return [(name, spelled(value)) for name, value in ordered]
