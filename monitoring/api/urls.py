from django.urls import path

from monitoring.api import views

urlpatterns = [
    path("models/<str:model_id>/metrics", views.MetricsView.as_view(), name="model-metrics"),
    path("models/<str:model_id>/health", views.ModelHealthView.as_view(), name="model-health"),
    path("models/<str:model_id>/drift", views.DriftView.as_view(), name="model-drift"),
    path("models/<str:model_id>/alerts", views.AlertsView.as_view(), name="model-alerts"),
    path("monitoring/health", views.SystemHealthView.as_view(), name="system-health"),
]
