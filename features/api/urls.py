"""The feature store's addresses."""

from django.urls import path

from features.api.views import definitions, historical, labels, online, reports, streams

urlpatterns = [
    path("streams", streams.StreamsView.as_view(), name="streams"),
    path("streams/<str:name>", streams.StreamView.as_view(), name="stream"),
    path("streams/<str:name>/quality", streams.QualityView.as_view(), name="stream-quality"),
    path(
        "streams/<str:name>/quarantine",
        streams.QuarantineView.as_view(),
        name="stream-quarantine",
    ),
    path("events/<str:stream>", streams.EventsView.as_view(), name="events"),
    path("labels", labels.LabelsView.as_view(), name="labels"),
    path("labels/<str:label_id>/reverse", labels.ReverseView.as_view(), name="label-reverse"),
    path("features/online", online.OnlineView.as_view(), name="features-online"),
    path("features/consistency", reports.ConsistencyView.as_view(), name="features-consistency"),
    path("features/historical", historical.HistoricalView.as_view(), name="features-historical"),
    path(
        "features/historical/<str:job_id>",
        historical.HistoricalJobView.as_view(),
        name="features-historical-job",
    ),
    path(
        "features/historical/<str:job_id>/rows",
        historical.HistoricalRowsView.as_view(),
        name="features-historical-rows",
    ),
    path("entities", definitions.EntitiesView.as_view(), name="entities"),
    path("feature-views", definitions.ViewsView.as_view(), name="feature-views"),
    path("feature-views/preview", definitions.PreviewView.as_view(), name="feature-view-preview"),
    path("feature-views/<str:name>", definitions.ViewView.as_view(), name="feature-view"),
    path(
        "feature-views/<str:name>/versions/<int:number>",
        definitions.VersionView.as_view(),
        name="feature-view-version",
    ),
    path(
        "feature-views/<str:name>/versions/<int:number>/promote",
        definitions.PromoteView.as_view(),
        name="feature-view-promote",
    ),
    path(
        "feature-views/<str:name>/versions/<int:number>/profiles",
        reports.ProfilesView.as_view(),
        name="feature-view-profiles",
    ),
    path("feature-sets", definitions.SetsView.as_view(), name="feature-sets"),
    path("feature-sets/<str:name>", definitions.SetView.as_view(), name="feature-set"),
    path(
        "feature-sets/<str:name>/lineage",
        definitions.LineageView.as_view(),
        name="feature-set-lineage",
    ),
]
