from django.urls import path

from models_app.api import version_views, views

ONE = "models/<str:model_id>/versions/<int:number>"

urlpatterns = [
    path("algorithms", views.AlgorithmsView.as_view(), name="algorithms"),
    path("models", views.ModelsView.as_view(), name="models"),
    path("models/<str:model_id>", views.ModelView.as_view(), name="model"),
    path("models/<str:model_id>/compare", version_views.CompareView.as_view(), name="compare"),
    path("models/<str:model_id>/versions", version_views.VersionsView.as_view(), name="versions"),
    path(
        "models/<str:model_id>/versions/import",
        version_views.VersionImportView.as_view(),
        name="version-import",
    ),
    path(ONE, version_views.VersionView.as_view(), name="version"),
    path(f"{ONE}/card", version_views.CardView.as_view(), name="version-card"),
    path(f"{ONE}/bundle", version_views.BundleView.as_view(), name="version-bundle"),
]
