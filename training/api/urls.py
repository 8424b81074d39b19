from django.urls import path

from training.api import views

urlpatterns = [
    path("models/<str:model_id>/train", views.TrainView.as_view(), name="train"),
    path("models/<str:model_id>/training-jobs", views.JobsView.as_view(), name="jobs"),
    path("models/<str:model_id>/training-jobs/<str:job_id>", views.JobView.as_view(), name="job"),
    path(
        "models/<str:model_id>/training-jobs/<str:job_id>/cancel",
        views.CancelView.as_view(),
        name="job-cancel",
    ),
    path(
        "models/<str:model_id>/training-jobs/<str:job_id>/retry",
        views.RetryView.as_view(),
        name="job-retry",
    ),
]
