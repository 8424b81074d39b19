"""The platform's configuration: one typed YAML file, each key overridable by environment.

``database.port`` is read from ``config/config.yaml`` and overridden by
``AEGIS__DATABASE__PORT``, or by a file ``database__port`` in the folder that
``AEGIS_SECRETS_DIR`` names (for passwords and keys). An unknown key or a wrong
value is a `ConfigError` whose message names the key.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from aegisml.sections import Algorithms, Section

BASE_DIR = Path(__file__).resolve().parent.parent
ENV_PREFIX = "AEGIS__"
MIN_KEY_LENGTH = 32


class ConfigError(Exception):
    """The configuration can't be used; the message names the key."""


class Server(Section):
    host: str = "127.0.0.1"
    http_port: int = Field(8080, ge=1, le=65535)
    grpc_port: int = Field(8081, ge=1, le=65535)
    metrics_port: int = Field(8082, ge=1, le=65535)
    workers: int = Field(2, ge=1, le=256)
    max_body_bytes: int = Field(10 * 1024 * 1024, ge=1024)
    allowed_hosts: list[str] = ["localhost", "127.0.0.1", "[::1]"]
    trusted_origins: list[str] = []
    https: bool = False


class Database(Section):
    host: str | None = None
    port: int = Field(5432, ge=1, le=65535)
    name: str = "aegisml"
    username: str = "aegisml"
    password: SecretStr = SecretStr("")
    ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = (
        "prefer"
    )
    pool_size: int = Field(4, ge=1, le=64)
    statement_timeout_ms: int = Field(3000, ge=100)
    lock_timeout_ms: int = Field(1000, ge=100)


class Redis(Section):
    host: str | None = None
    port: int = Field(6379, ge=1, le=65535)
    db: int = Field(0, ge=0, le=15)
    username: str = ""
    password: SecretStr = SecretStr("")
    ssl: bool = False


class Kafka(Section):
    enabled: Literal[False] = False
    bootstrap_servers: list[str] = []
    topic_prefix: str = "aegisml"


class Training(Section):
    max_workers: int = Field(1, ge=1, le=64)
    job_timeout: int = Field(3600, ge=10, description="seconds")
    max_attempts: int = Field(3, ge=1, le=10)
    lease_seconds: int = Field(30, ge=5, le=600)
    checkpoint_seconds: float = Field(10, ge=0.1, le=3600)
    data_root: Path | None = None
    max_dataset_bytes: int = Field(4 * 1024**3, ge=1024)
    algorithms: Algorithms = Algorithms()


class Features(Section):
    max_events_per_request: int = Field(10_000, ge=1, le=100_000)
    max_exact_events: int = Field(5_000, ge=10, le=1_000_000)
    late_days: int = Field(7, ge=0, le=365)
    seal_rows: int = Field(200_000, ge=1000)
    seal_interval_seconds: int = Field(60, ge=1, le=3600)
    offline_memory: str = Field("1GB", pattern=r"^\d+(MB|GB)$")
    offline_threads: int = Field(2, ge=1, le=64)
    consistency_sample: float = Field(0.1, gt=0, le=1)


class DriftDetection(Section):
    enabled: bool = True
    drift_method: Literal["ks", "psi", "js"] = "ks"
    drift_threshold: float = Field(0.05, gt=0, lt=10)
    min_predictions: int = Field(200, ge=50)
    window_hours: int = Field(24, ge=1, le=24 * 90)


class Alerting(Section):
    enabled: Literal[False] = False
    channels: list[Literal["email", "slack", "webhook"]] = []


class ModelMonitoring(Section):
    drift_detection: DriftDetection = DriftDetection()
    alerting: Alerting = Alerting()


class Inference(Section):
    max_batch_rows: int = Field(10_000, ge=1, le=100_000)
    journal_quota_bytes: int = Field(2 * 1024**3, ge=1024**2)
    journal_segment_bytes: int = Field(8 * 1024**2, ge=64 * 1024)
    journal_fsync: Literal["off", "always"] = "off"
    ship_interval_seconds: float = Field(0.5, gt=0, le=60)
    snapshot_poll_seconds: float = Field(5.0, gt=0, le=300)


class Registry(Section):
    max_import_bytes: int = Field(256 * 1024**2, ge=1024)
    import_seconds: int = Field(120, ge=5, le=3600)
    import_memory_bytes: int = Field(4 * 1024**3, ge=1024**3)


class Ml(Section):
    features: Features = Features()
    registry: Registry = Registry()
    training: Training = Training()
    model_monitoring: ModelMonitoring = ModelMonitoring()
    inference: Inference = Inference()


class Security(Section):
    secret_key: SecretStr | None = None
    jwt_key: SecretStr | None = None
    access_token_minutes: int = Field(5, ge=1, le=60)
    refresh_token_hours: int = Field(12, ge=1, le=24 * 30)
    login_attempts: int = Field(5, ge=3, le=100)
    login_lockout_seconds: int = Field(300, ge=10)


class Logging(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "console"] = "json"


class _YamlMapping(YamlConfigSettingsSource):
    """The file, which must hold sections."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        data = super()._read_file(file_path)
        if not isinstance(data, dict):
            raise ConfigError(f"{file_path.name}: must be a mapping of sections to keys")
        return data


class Config(BaseSettings):
    """The whole configuration. `load` is the way to get one."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        validate_default=True,
        yaml_file=None,
    )

    environment: Literal["development", "production"] = "development"
    var_dir: Path = Path("var")
    server: Server = Server()
    database: Database = Database()
    redis: Redis = Redis()
    kafka: Kafka = Kafka()
    ml: Ml = Ml()
    security: Security = Security()
    logging: Logging = Logging()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        yaml_file = _yaml_file()
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        if os.environ.get("AEGIS_SECRETS_DIR"):
            sources.append(
                NestedSecretsSettingsSource(
                    file_secret_settings,
                    secrets_dir=os.environ["AEGIS_SECRETS_DIR"],
                    secrets_prefix="",
                    secrets_nested_delimiter="__",
                )
            )
        if yaml_file.exists():
            sources.append(_YamlMapping(settings_cls, yaml_file=yaml_file))
        return tuple(sources)

    @model_validator(mode="before")
    @classmethod
    def _log_level_from_environment(cls, values: Any) -> Any:
        """`LOG_LEVEL` is what other tools set; it wins over the file."""
        level, section = os.environ.get("LOG_LEVEL"), values.get("logging", {})
        if level and isinstance(section, dict):
            values = {**values, "logging": {**section, "level": level.upper()}}
        return values

    @model_validator(mode="after")
    def _production_is_strict(self) -> "Config":
        if self.environment == "production":
            _require_key("security.secret_key", self.security.secret_key)
            _require_key("security.jwt_key", self.security.jwt_key)
            if "*" in self.server.allowed_hosts:
                raise ValueError("server.allowed_hosts: '*' is refused in production")
        return self

    def path(self, value: Path) -> Path:
        """A configured path, absolute: relative ones start at the project's root."""
        return value if value.is_absolute() else BASE_DIR / value

    @property
    def data_root(self) -> Path:
        """Where data sets lie; by default `datasets` in the folder for data."""
        configured = self.ml.training.data_root
        return self.path(configured) if configured else self.var / "datasets"

    @property
    def var(self) -> Path:
        return self.path(self.var_dir)


def _require_key(name: str, value: SecretStr | None) -> None:
    if value is None or len(value.get_secret_value()) < MIN_KEY_LENGTH:
        raise ValueError(
            f"{name}: production needs a secret of at least {MIN_KEY_LENGTH} characters"
        )


def _yaml_file() -> Path:
    return Path(os.environ.get("AEGIS_CONFIG", BASE_DIR / "config" / "config.yaml"))


def _refuse_unknown_environment() -> None:
    # pydantic-settings skips variables whose first part is no field, so a typo would pass unseen
    for name in os.environ:
        if name.startswith(ENV_PREFIX):
            section = name.removeprefix(ENV_PREFIX).split("__")[0].lower()
            if section not in Config.model_fields:
                raise ConfigError(f"{section}: unknown key (from {name})")


def _describe(error: ValidationError) -> str:
    problems = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        text = "unknown key" if item["type"] == "extra_forbidden" else item["msg"]
        text = text.removeprefix("Value error, ")
        problems.append(f"{key}: {text}" if key else text)
    return "; ".join(problems)


def _describe_unparsed(error: SettingsError) -> str:
    """Names the variables that hold what the parser choked on, not their values."""
    text = getattr(error.__cause__, "doc", None)
    names = [n for n, value in os.environ.items() if n.startswith(ENV_PREFIX) and value == text]
    keys = [name.removeprefix(ENV_PREFIX).replace("__", ".").lower() for name in names]
    return f'{", ".join(keys)}: must be JSON, such as ["a", "b"]' if keys else str(error)


@cache
def load() -> Config:
    """Read the configuration once.

    Raises `ConfigError`, naming each bad key, when a key is unknown, a value
    has the wrong type or range, the YAML can't be parsed, or AEGIS_CONFIG or
    AEGIS_SECRETS_DIR names something that isn't there.
    """
    _refuse_unknown_environment()
    named = os.environ.get("AEGIS_CONFIG")
    if named and not Path(named).is_file():
        raise ConfigError(f"AEGIS_CONFIG: no file at {named}")
    secrets = os.environ.get("AEGIS_SECRETS_DIR")
    if secrets and not Path(secrets).is_dir():
        raise ConfigError(f"AEGIS_SECRETS_DIR: no folder at {secrets}")
    try:
        return Config()
    except ValidationError as error:
        raise ConfigError(_describe(error)) from None
    except SettingsError as error:
        raise ConfigError(_describe_unparsed(error)) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{_yaml_file().name}: not valid YAML: {error}") from None
