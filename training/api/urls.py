from django.urls import path

from training.api import events, studies, views

_JOB = "models/<str:model_id>/training-jobs/<str:job_id>"
_STUDY = "models/<str:model_id>/studies/<str:study_id>"

urlpatterns = [
    path("models/<str:model_id>/train", views.TrainView.as_view(), name="train"),
    path("models/<str:model_id>/training-jobs", views.JobsView.as_view(), name="jobs"),
    path(_JOB, views.JobView.as_view(), name="job"),
    path(f"{_JOB}/events", events.EventsView.as_view(), name="job-events"),
    path(f"{_JOB}/cancel", views.CancelView.as_view(), name="job-cancel"),
    path(f"{_JOB}/retry", views.RetryView.as_view(), name="job-retry"),
    path(f"{_JOB}/override", views.OverrideView.as_view(), name="job-override"),
    path("models/<str:model_id>/tune", studies.TuneView.as_view(), name="tune"),
    path("models/<str:model_id>/studies", studies.StudiesView.as_view(), name="studies"),
    path(_STUDY, studies.StudyView.as_view(), name="study"),
    path(f"{_STUDY}/cancel", studies.StudyCancelView.as_view(), name="study-cancel"),
    path(f"{_STUDY}/train", studies.StudyTrainView.as_view(), name="study-train"),
]
