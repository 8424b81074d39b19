"""Every address of the platform."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

from aegisml.base.api.problems import internal_error, problem_response
from aegisml.base.errors import Forbidden, Invalid, NotFound
from monitoring.api import probes

api = [
    path("", include("aegisml.base.api.urls")),
    path("", include("features.api.urls")),
    path("", include("models_app.api.urls")),
    path("", include("training.api.urls")),
    path("", include("inference.api.urls")),
    path("", include("monitoring.api.urls")),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/v1/", include(api)),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("api/redoc", SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
    path("livez", probes.livez),
    path("healthz", probes.livez),
    path("readyz", probes.readyz),
    path("health", probes.health),
]


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _refused(request, problem_response(NotFound("There is nothing at this address.")))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _refused(request, problem_response(Invalid("The request can't be understood.")))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _refused(request, problem_response(Forbidden("This is not allowed.")))


def internal(request: HttpRequest) -> HttpResponse:
    return _refused(request, internal_error())


def _refused(request: HttpRequest, problem: HttpResponse) -> HttpResponse:
    """The problem as it is, or as a page for those who work in the admin."""
    if not request.path.startswith("/admin/"):
        return problem
    page = render_to_string("aegisml/refused.html", {"status": problem.status_code})
    return HttpResponse(page, status=problem.status_code)


handler400 = bad_request
handler403 = forbidden
handler404 = not_found
handler500 = internal
