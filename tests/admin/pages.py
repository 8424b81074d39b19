"""Addresses of the admin's pages."""

from django.urls import reverse

# page of a list: which roles may open it
EVERYBODY = frozenset({"viewer", "data_scientist", "operator", "approver", "admin"})
ADMINS = frozenset({"admin"})
LISTS = {
    "models_app_registeredmodel": EVERYBODY,
    "models_app_modelversion": EVERYBODY,
    "training_trainingjob": EVERYBODY,
    "inference_deployment": EVERYBODY,
    "inference_prediction": EVERYBODY,
    "admin_logentry": EVERYBODY,
    "auth_user": ADMINS,
    "auth_group": ADMINS,
    "base_apisession": ADMINS,
    "django_celery_beat_periodictask": ADMINS,
}
ROLES = sorted(EVERYBODY | {"service"})


def changelist(page: str) -> str:
    return reverse(f"admin:{page}_changelist")


def add(page: str) -> str:
    return reverse(f"admin:{page}_add")


def change(row: object) -> str:
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])


def action(row: object, name: str) -> str:
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{name}", args=[row.pk])
