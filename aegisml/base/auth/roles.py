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
TRAIN = frozenset({DATA_SCIENTIST, OPERATOR, ADMIN})
DEPLOY = frozenset({OPERATOR, ADMIN})
PREDICT = frozenset({SERVICE, DATA_SCIENTIST, OPERATOR, ADMIN})
READ_PREDICTIONS = READ | {SERVICE}

_VIEW = (
    "models_app.view_registeredmodel", "models_app.view_modelversion", "models_app.view_alias",
    "training.view_trainingjob", "inference.view_deployment", "inference.view_prediction",
    "admin.view_logentry",
)  # fmt: skip
_TRAIN = (
    "models_app.add_registeredmodel", "models_app.change_registeredmodel",
    "training.add_trainingjob", "training.change_trainingjob",
)  # fmt: skip
_DEPLOY = ("inference.add_deployment", "inference.change_deployment")
_ADMINISTER = (
    "auth.view_user", "auth.add_user", "auth.change_user", "auth.view_group",
    "base.view_apisession", "base.change_apisession",
    "django_celery_beat.view_periodictask", "django_celery_beat.change_periodictask",
)  # fmt: skip

# What each role may do in the admin, as Django permissions "app.codename".
ADMIN_PERMISSIONS: dict[str, tuple[str, ...]] = {
    VIEWER: _VIEW,
    DATA_SCIENTIST: _VIEW + _TRAIN,
    OPERATOR: _VIEW + _TRAIN + _DEPLOY + ("models_app.delete_registeredmodel",),
    APPROVER: _VIEW,
    SERVICE: (),
    ADMIN: _VIEW + _TRAIN + _DEPLOY + ("models_app.delete_registeredmodel", *_ADMINISTER),
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
