from django.urls import path

from inference.api import views

urlpatterns = [
    path("models/<str:model_id>/deploy", views.DeployView.as_view(), name="deploy"),
    path("models/<str:model_id>/undeploy", views.UndeployView.as_view(), name="undeploy"),
    path("models/<str:model_id>/deployments", views.DeploymentsView.as_view(), name="deployments"),
    path("models/<str:model_id>/predict", views.PredictView.as_view(), name="predict"),
    path(
        "models/<str:model_id>/batch-predict",
        views.BatchPredictView.as_view(),
        name="batch-predict",
    ),
    path("predictions/<str:prediction_id>", views.PredictionView.as_view(), name="prediction"),
]
