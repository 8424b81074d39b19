"""The roles, and which of them may do what."""

from dataclasses import dataclass

from aegisml.base.errors import Forbidden

VIEWER = "viewer"
DATA_SCIENTIST = "data_scientist"
OPERATOR = "operator"
APPROVER = "approver"
SERVICE = "service"
ADMIN = "admin"

ALL = frozenset({VIEWER, DATA_SCIENTIST, OPERATOR, APPROVER, SERVICE, ADMIN})
READ = ALL - {SERVICE}
EDIT_MODELS = frozenset({DATA_SCIENTIST, OPERATOR, ADMIN})
RETIRE_MODELS = frozenset({OPERATOR, ADMIN})
EXPORT_VERSIONS = frozenset({DATA_SCIENTIST, OPERATOR, ADMIN})
IMPORT_VERSIONS = frozenset({DATA_SCIENTIST, OPERATOR, ADMIN})
TRAIN = frozenset({DATA_SCIENTIST, OPERATOR, ADMIN})
DEPLOY = frozenset({OPERATOR, ADMIN})
PREDICT = frozenset({SERVICE, DATA_SCIENTIST, OPERATOR, ADMIN})
READ_PREDICTIONS = READ | {SERVICE}
EDIT_FEATURES = frozenset({DATA_SCIENTIST, OPERATOR, ADMIN})
PROMOTE_FEATURES = frozenset({OPERATOR, ADMIN})
SEND_EVENTS = frozenset({SERVICE, DATA_SCIENTIST, OPERATOR, ADMIN})
READ_ONLINE = frozenset({SERVICE, DATA_SCIENTIST, OPERATOR, ADMIN})
SEND_LABELS = frozenset({SERVICE, DATA_SCIENTIST, OPERATOR, APPROVER, ADMIN})

_VIEW = (
    "models_app.view_registeredmodel", "models_app.view_modelversion", "models_app.view_alias",
    "training.view_trainingjob", "training.view_study", "inference.view_deployment",
    "inference.view_prediction", "admin.view_logentry",
    "features.view_stream", "features.view_entity", "features.view_featureview",
    "features.view_featureviewversion", "features.view_featureset", "features.view_label",
    "features.view_quarantinedrow", "features.view_ingestfile", "features.view_materializerun",
    "features.view_historicaljob", "features.view_featureprofile", "features.view_consistencyrun",
)  # fmt: skip
_FEATURES = (
    "features.add_stream", "features.change_stream", "features.add_entity",
    "features.change_entity", "features.add_featureview", "features.change_featureview",
    "features.delete_featureviewversion", "features.add_featureset", "features.delete_featureset",
)  # fmt: skip
_PROMOTE_FEATURES = ("features.change_featureviewversion",)
_TRAIN = (
    "models_app.add_registeredmodel", "models_app.change_registeredmodel",
    "models_app.add_modelversion",
    "training.add_trainingjob", "training.change_trainingjob",
    "training.add_study", "training.change_study",
)  # fmt: skip
_DEPLOY = ("inference.add_deployment", "inference.change_deployment")
_OPERATE = (
    *_TRAIN, *_FEATURES, *_PROMOTE_FEATURES, *_DEPLOY, "models_app.delete_registeredmodel",
)  # fmt: skip
_ADMINISTER = (
    "auth.view_user", "auth.add_user", "auth.change_user", "auth.view_group",
    "base.view_apisession", "base.change_apisession",
    "django_celery_beat.view_periodictask", "django_celery_beat.change_periodictask",
)  # fmt: skip

# What each role may do in the admin, as Django permissions "app.codename".
ADMIN_PERMISSIONS: dict[str, tuple[str, ...]] = {
    VIEWER: _VIEW,
    DATA_SCIENTIST: _VIEW + _TRAIN + _FEATURES,
    OPERATOR: _VIEW + _OPERATE,
    APPROVER: _VIEW,
    SERVICE: (),
    ADMIN: _VIEW + _OPERATE + _ADMINISTER,
}


@dataclass(frozen=True)
class Identity:
    """A caller whose token was verified."""

    user_id: int
    username: str
    roles: frozenset[str]
    session_id: str

    def has_any(self, allowed: frozenset[str]) -> bool:
        return not self.roles.isdisjoint(allowed)

    def require(self, allowed: frozenset[str]) -> None:
        """Raises `Forbidden`, naming the roles, unless the caller holds one of them."""
        if not self.has_any(allowed):
            raise Forbidden(f"This needs one of the roles: {', '.join(sorted(allowed))}.")


NOBODY = Identity(user_id=0, username="", roles=frozenset(), session_id="")
