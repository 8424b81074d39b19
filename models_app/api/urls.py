from django.urls import path

from models_app.api import views

urlpatterns = [
    path("models", views.ModelsView.as_view(), name="models"),
    path("models/<str:model_id>", views.ModelView.as_view(), name="model"),
    path("models/<str:model_id>/versions", views.VersionsView.as_view(), name="versions"),
    path(
        "models/<str:model_id>/versions/<int:number>", views.VersionView.as_view(), name="version"
    ),
]
