"""The admin of streams: their schemas, what arrives, and what is refused."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, Max, Model, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, Greatest
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display

from aegisml.base.admin.common import ServiceAdmin, address, after_dialog, link
from aegisml.base.auth.rest import caller
from features.admin.forms import StreamForm
from features.log.events import moment
from features.ml import listing
from features.models import EventSegment, HotEvent, QuarantinedRow, Stream
from features.services import quality, streams

SHOWN_EVENTS = 5
SHOWN_DAYS = 14
SHOWN_RULES = 50
ROLES = ("event_id", "event_time", "known_time", "label")


@admin.register(Stream)
class StreamAdmin(ServiceAdmin):
    form = StreamForm
    list_display = (
        "name", "policy", "shown_events", "shown_newest", "shown_rejected", "shown_views",
    )  # fmt: skip
    list_filter = ("policy",)
    search_fields = ("name", "description")
    search_help_text = "name or words of the description"
    empty_hint = "A stream is a kind of event: give its fields, its keys and its time."
    fieldsets = (
        (None, {"fields": ("name", "description", ("policy", "label_delay_days"))}),
        ("Schema", {"fields": ("definition",)}),
    )

    # --- list ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[Stream]:
        segments, hot = _of_stream(EventSegment), _of_stream(HotEvent)
        rejected = _of_stream(QuarantinedRow).filter(created_at__gte=_midnight())
        newest_hot = HotEvent.objects.filter(stream=OuterRef("pk")).order_by("-seq")
        rows: QuerySet[Stream] = super().get_queryset(request)
        return rows.annotate(
            event_count=_sub(segments.annotate(n=Sum("rows"))) + _sub(hot.annotate(n=Count("pk"))),
            newest_event=Greatest(
                Subquery(segments.annotate(n=Max("max_event_time")).values("n")),
                Subquery(newest_hot.values("event_time")[:1]),
            ),
            rejected_today=_sub(rejected.annotate(n=Count("pk"))),
            view_count=Count("views", distinct=True),
        )

    @display(description="Events", ordering="event_count")
    def shown_events(self, stream: Any) -> str:
        return f"{stream.event_count:,}"

    @display(description="Newest event", ordering="newest_event", empty_value="-")
    def shown_newest(self, stream: Any) -> datetime | None:
        found: datetime | None = stream.newest_event
        return found

    @display(description="Rejected today", ordering="rejected_today")
    def shown_rejected(self, stream: Any) -> str:
        page = "features_quarantinedrow_changelist"
        return link(page, f"{stream.rejected_today:,}", stream__id__exact=stream.pk)

    @display(description="Views", ordering="view_count")
    def shown_views(self, stream: Any) -> str:
        return link(
            "features_featureview_changelist", stream.view_count, stream__id__exact=stream.pk
        )

    # --- form ---

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ("name",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values = form.cleaned_data
        if change:
            stream = Stream.objects.get(pk=obj.pk)
            streams.change_stream(stream=stream, actor=caller(request), **values)
        else:
            obj.pk = streams.create_stream(actor=caller(request), **values).pk

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        self.message_user(request, f"Stream {obj.name} takes events now.")
        return after_dialog(request, address("features_stream_change", obj.pk))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        stream = context.get("original")
        if stream is not None:
            context |= _summary(stream)
        return super().render_change_form(request, context, *args, **kwargs)


def _of_stream(model: Any) -> Any:
    """The rows of the stream at hand, as one group."""
    return model.objects.filter(stream=OuterRef("pk")).order_by().values("stream")


def _sub(grouped: Any) -> Coalesce:
    return Coalesce(Subquery(grouped.values("n"), output_field=IntegerField()), 0)


def _midnight() -> datetime:
    return timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _summary(stream: Stream) -> dict[str, Any]:
    """What stands above the form: the schema, the newest events, the rules that were broken."""
    fields = stream.schema.fields
    from features.services import newest  # noqa: PLC0415 - loads pyarrow

    events = newest.read(stream, [field.name for field in fields]).newest(SHOWN_EVENTS)
    return {
        "schema_rows": _schema_rows(stream),
        "event_names": [field.name for field in fields],
        "newest_events": [[_shown(e.payload.get(f.name), f.type) for f in fields] for e in events],
        "rule_rows": _rule_rows(stream),
        "related_pages": [
            (title, address(page, stream__id__exact=stream.pk))
            for title, page in (
                ("Views", "features_featureview_changelist"),
                ("Feature sets", "features_featureset_changelist"),
                ("Quarantine", "features_quarantinedrow_changelist"),
                ("Files", "features_ingestfile_changelist"),
                ("Labels", "features_label_changelist"),
            )
        ]
        + [("Lineage", address("features_lineage", stream=stream.name))],
    }


def _shown(value: Any, type_: str) -> Any:
    return moment(value) if type_ == "time" and value is not None else listing.spelled(value)


def _schema_rows(stream: Stream) -> list[dict[str, Any]]:
    schema = stream.schema
    uses: dict[str, list[str]] = {field.name: [] for field in schema.fields}
    for role in ROLES:
        if name := getattr(schema, role):
            uses[name].append(role.replace("_", " "))
    for entity, name in schema.entities.items():
        uses[name].append(f"key of {entity}")
    return [
        {"field": field, "uses": ", ".join(uses[field.name]), "rules": _rules(field)}
        for field in schema.fields
    ]


def _rules(field: Any) -> str:
    rules = ["required"] if field.required else []
    rules += [f"at least {field.low:g}"] if field.low is not None else []
    rules += [f"at most {field.high:g}"] if field.high is not None else []
    rules += [f"one of {', '.join(field.allowed)}"] if field.allowed else []
    return "; ".join(rules)


def _rule_rows(stream: Stream) -> list[tuple[quality.RuleRate, float]]:
    """What was broken, with its share of the day's rows in percent."""
    rates = quality.rates(stream=stream, days=SHOWN_DAYS)
    broken = [rate for rate in rates if rate.rule != quality.ROWS]
    return [(rate, round(100 * rate.rate, 1)) for rate in broken[:SHOWN_RULES]]
