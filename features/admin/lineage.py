"""The lineage page: what depends on a stream, down to the deployments."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path

from features.admin.drawing import drawn
from features.models import Stream
from features.services import lineage

MOST_STREAMS = 200


def urls() -> list[URLPattern]:
    return [path("features/lineage/", admin.site.admin_view(show), name="features_lineage")]


def show(request: HttpRequest) -> HttpResponse:
    """The stream that `?stream=` names, else the first."""
    if not request.user.has_perm("features.view_featureset"):
        raise PermissionDenied
    streams = list(Stream.objects.all()[:MOST_STREAMS])
    asked = [stream for stream in streams if stream.name == request.GET.get("stream")]
    stream = next(iter(asked or streams), None)
    context = {
        **admin.site.each_context(request),
        "title": "Lineage",
        "streams": streams,
        "stream": stream,
        "drawing": drawn(lineage.of_stream(stream)) if stream else None,
    }
    return render(request, "aegisml/lineage.html", context)
