"""Django's settings, derived from the one configuration file (see `aegisml.config`)."""

import hashlib
import os
import secrets
import sys
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.urls import reverse_lazy

from aegisml import config as configuration
from aegisml import embedded
from aegisml.base.logs import logging_settings

try:
    CONFIG = configuration.load()
    ENGINES = embedded.read(CONFIG.var)
except configuration.ConfigError as error:
    sys.exit(f"configuration: {error}")
except embedded.EngineError as error:
    sys.exit(str(error))

BASE_DIR = configuration.BASE_DIR
PRODUCTION = CONFIG.environment == "production"
VAR = CONFIG.var


def _development_key(name: str) -> str:
    """A random key, made on first use and kept under var/; production brings its own."""
    path = VAR / "secrets" / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text()


def _key(name: str) -> str:
    configured = getattr(CONFIG.security, name)
    return configured.get_secret_value() if configured else _development_key(name)


DEBUG = False
SECRET_KEY = _key("secret_key")
JWT_KEY = _key("jwt_key")
ALLOWED_HOSTS = CONFIG.server.allowed_hosts
CSRF_TRUSTED_ORIGINS = CONFIG.server.trusted_origins

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_prometheus",
    "django_grpc_framework",
    "aegisml.base",
    "features",
    "models_app",
    "training",
    "inference",
    "monitoring",
    "experiments",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "aegisml.base.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "aegisml.base.middleware.BodyLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "aegisml.urls"
WSGI_APPLICATION = "aegisml.wsgi.application"
APPEND_SLASH = True  # the admin's own URLs end in a slash; the API's don't
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ]
        },
    }
]


# --- engines -----------------------------------------------------------------


def _database_server() -> dict[str, Any]:
    database = CONFIG.database
    if database.host is None and ENGINES:
        return {
            "HOST": ENGINES.database_host,
            "PORT": ENGINES.database_port,
            "NAME": ENGINES.database_name,
            "USER": ENGINES.database_user,
            "PASSWORD": ENGINES.database_password,
        }
    return {
        "HOST": database.host or "127.0.0.1",
        "PORT": database.port,
        "NAME": database.name,
        "USER": database.username,
        "PASSWORD": database.password.get_secret_value(),
    }


def _database() -> dict[str, Any]:
    database = CONFIG.database
    return {
        "ENGINE": "django.db.backends.postgresql",
        **_database_server(),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "pool": {
                "min_size": 0,
                "max_size": database.pool_size,
                "timeout": 2,
                "max_lifetime": 1800,
            },
            "sslmode": database.ssl_mode,
            "options": f"-c statement_timeout={database.statement_timeout_ms}"
            f" -c lock_timeout={database.lock_timeout_ms}"
            " -c idle_in_transaction_session_timeout=10000",
        },
    }


def _without_limits(database: dict[str, Any]) -> dict[str, Any]:
    """For migrations, exports and the shipper: statements that may take their time."""
    options = {**database["OPTIONS"]}
    del options["options"]
    return {**database, "OPTIONS": options}


def _redis_url() -> str:
    if CONFIG.redis.host is None and ENGINES:
        host, port = ENGINES.redis_host, ENGINES.redis_port
        credentials = f":{quote(ENGINES.redis_password, safe='')}@"
    else:
        host, port = CONFIG.redis.host or "127.0.0.1", CONFIG.redis.port
        password = CONFIG.redis.password.get_secret_value()
        user = CONFIG.redis.username
        credentials = f"{quote(user)}:{quote(password, safe='')}@" if password else ""
    scheme = "rediss" if CONFIG.redis.ssl else "redis"
    return f"{scheme}://{credentials}{host}:{port}/{CONFIG.redis.db}"


# Long-running commands and workers set this: they have their own limits.
_LIMITED = os.environ.get("AEGIS_DATABASE_LIMITS", "on") != "off" and "migrate" not in sys.argv
DATABASES = {"default": _database() if _LIMITED else _without_limits(_database())}
REDIS_URL = _redis_url()
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "chores"
# Trainings have workers of their own: an hour of fitting must not hold up a heartbeat.
CELERY_TASK_ROUTES = {
    "training.tasks.train": {"queue": "training"},
    "training.tasks.begin_study": {"queue": "training"},
    "training.tasks.run_trial": {"queue": "training"},
    "features.tasks.materialize": {"queue": "training"},
    "features.tasks.build_historical": {"queue": "training"},
    "features.tasks.profile_features": {"queue": "training"},
    "monitoring.tasks.check_consistency": {"queue": "training"},
}
# Tasks that lie above the services, beside the apps' `tasks` modules, which Celery finds itself.
CELERY_IMPORTS = ("training.automation",)
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # The truth about a job is its row (lease and heartbeat); Redis only wakes workers.
    "visibility_timeout": CONFIG.ml.training.job_timeout + 600,
    "global_keyprefix": "celery:",
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "health_check_interval": 10,
    "retry_on_timeout": True,
}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "heartbeat": {
        "task": "monitoring.tasks.record_heartbeat",
        "schedule": timedelta(seconds=10),
        "options": {"expires": 10},
    },
    "requeue-stalled-training": {
        "task": "training.tasks.requeue_stalled",
        "schedule": timedelta(seconds=15),
        "options": {"expires": 15},
    },
    "look-after-studies": {
        "task": "training.automation.look_after_studies",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 5},
    },
    "materialize-missing": {
        "task": "features.tasks.materialize_missing",
        "schedule": timedelta(seconds=15),
        "options": {"expires": 15},
    },
    "refresh-labels": {
        "task": "features.tasks.refresh_labels",
        "schedule": timedelta(seconds=60),
        "options": {"expires": 60},
    },
    "feed-waiting-events": {
        "task": "features.tasks.feed_waiting",
        "schedule": timedelta(seconds=10),
        "options": {"expires": 10},
    },
    "seal-streams": {
        "task": "features.tasks.seal_streams",
        "schedule": timedelta(seconds=CONFIG.ml.features.seal_interval_seconds),
        "options": {"expires": CONFIG.ml.features.seal_interval_seconds},
    },
    "requeue-historical": {
        "task": "features.tasks.requeue_historical",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 30},
    },
    "clear-training-leftovers": {
        "task": "training.tasks.clear_leftovers",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "clear-event-leftovers": {
        "task": "features.tasks.clear_event_leftovers",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "profile-features": {
        "task": "features.tasks.profile_features",
        "schedule": crontab(hour=2, minute=0),
        "options": {"expires": 6 * 3600},
    },
    "check-consistency": {
        "task": "monitoring.tasks.check_consistency",
        "schedule": crontab(hour=2, minute=30),
        "options": {"expires": 6 * 3600},
    },
    "clear-leftovers": {
        "task": "monitoring.tasks.clear_leftovers",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
}


# --- who may come in -----------------------------------------------------------

AUTHENTICATION_BACKENDS = ["aegisml.base.auth.backends.ThrottledBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_ATTEMPTS = CONFIG.security.login_attempts
LOGIN_LOCKOUT_SECONDS = CONFIG.security.login_lockout_seconds

SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": JWT_KEY,
    "AUDIENCE": "aegisml",
    "ISSUER": "aegisml",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=CONFIG.security.access_token_minutes),
    "REFRESH_TOKEN_LIFETIME": timedelta(hours=CONFIG.security.refresh_token_hours),
    "CHECK_REVOKE_TOKEN": True,
    "UPDATE_LAST_LOGIN": False,
}

SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CONFIG.server.https
SECURE_SSL_REDIRECT = CONFIG.server.https
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if CONFIG.server.https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = CONFIG.server.https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if CONFIG.server.https else None
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        # unfold's admin runs on Alpine, which evaluates its attributes
        "script-src": [SELF, "'unsafe-inline'", "'unsafe-eval'"],
        "style-src": [SELF, "'unsafe-inline'"],
        "img-src": [SELF, "data:"],
        "font-src": [SELF, "data:"],
        "worker-src": [SELF, "blob:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# --- the API -------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["aegisml.base.auth.rest.SessionTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["aegisml.base.auth.permissions.HasRole"],
    "DEFAULT_RENDERER_CLASSES": ["aegisml.base.api.renderers.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["aegisml.base.api.parsers.OrjsonParser"],
    "DEFAULT_PAGINATION_CLASS": "aegisml.base.api.pagination.NewestFirst",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "aegisml.base.api.schema.AegisSchema",
    "EXCEPTION_HANDLER": "aegisml.base.api.problems.exception_handler",
    "DEFAULT_METADATA_CLASS": None,  # OpenAPI describes the routes, not OPTIONS
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "AegisShield ML",
    "DESCRIPTION": "Train, serve and watch machine-learning models for financial-crime detection.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",  # groups the routes by what follows
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "Algorithm": "models_app.choices.Algorithm",
        "VersionAlgorithm": "models_app.choices.VERSION_ALGORITHMS",
        "JobStatus": "training.choices.JobStatus",
        "StudyStatus": "training.choices.StudyStatus",
        "TrialStatus": "training.choices.TrialStatus",
        "FeatureRunStatus": "features.choices.RunStatus",
        "FeatureStatus": "features.choices.FeatureStatus",
        "FeatureVersionStatus": "features.choices.VersionStatus",
        "DeploymentStatus": "inference.choices.DeploymentStatus",
        "ComponentState": "monitoring.choices.ComponentState",
        "ModelState": "monitoring.choices.ModelState",
    },
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums"],
}
GRPC_FRAMEWORK = {"ROOT_HANDLERS_HOOK": "aegisml.grpc.add_handlers"}

# --- time, text, files ---------------------------------------------------------

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "aegisml.base.formats"

STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
ARTIFACT_ROOT = VAR / "artifacts"
JOURNAL_ROOT = VAR / "journal"
FEATURE_ROOT = VAR / "features"
CHECKPOINT_ROOT = VAR / "checkpoints"
DATA_ROOT = CONFIG.data_root
GRPC_ADDRESS = f"{CONFIG.server.host}:{CONFIG.server.grpc_port}"

DATA_UPLOAD_MAX_MEMORY_SIZE = CONFIG.server.max_body_bytes
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
# path's end -> its own limit; such a body goes to a file, not to memory
BODY_LIMITS = {"/versions/import": CONFIG.ml.registry.max_import_bytes}

# --- the platform ----------------------------------------------------------------

FEATURES = CONFIG.ml.features
TRAINING = CONFIG.ml.training
REGISTRY = CONFIG.ml.registry
INFERENCE = CONFIG.ml.inference
DRIFT_DETECTION = CONFIG.ml.model_monitoring.drift_detection
INFERENCE_ROUTER = "inference.routing.ChampionRouter"
CODE_VERSION = "0.1.0"
# Tells processes of different installations apart on a shared Redis.
INSTALLATION = hashlib.sha256(SECRET_KEY.encode()).hexdigest()[:12]

LOGGING = logging_settings(level=CONFIG.logging.level, style=CONFIG.logging.format)

UNFOLD = {
    "SITE_TITLE": "AegisShield ML",
    "SITE_HEADER": "AegisShield ML",
    "SITE_SUBHEADER": "Fraud models in production",
    "SITE_SYMBOL": "shield",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "monitoring.admin.dashboard.context",
    "STYLES": [f"{STATIC_URL}aegisml/admin.css"],
    "SITE_FAVICONS": [{"rel": "icon", "href": f"{STATIC_URL}aegisml/favicon.svg"}],
    "SIDEBAR": {"navigation": "aegisml.base.admin.navigation.sections"},
}
