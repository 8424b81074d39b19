"""Addresses of the admin's pages."""

from django.urls import reverse

# page of a list: which roles may open it
EVERYBODY = frozenset({"viewer", "data_scientist", "operator", "approver", "admin"})
ADMINS = frozenset({"admin"})
LISTS = {
    "models_app_registeredmodel": EVERYBODY,
    "models_app_modelversion": EVERYBODY,
    "training_trainingjob": EVERYBODY,
    "training_study": EVERYBODY,
    "inference_deployment": EVERYBODY,
    "inference_prediction": EVERYBODY,
    "features_stream": EVERYBODY,
    "features_entity": EVERYBODY,
    "features_featureview": EVERYBODY,
    "features_featureviewversion": EVERYBODY,
    "features_featureset": EVERYBODY,
    "features_label": EVERYBODY,
    "features_quarantinedrow": EVERYBODY,
    "features_ingestfile": EVERYBODY,
    "features_materializerun": EVERYBODY,
    "features_historicaljob": EVERYBODY,
    "features_featureprofile": EVERYBODY,
    "features_consistencyrun": EVERYBODY,
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
