"""What this process serves: a snapshot of the deployments that follows a Redis channel.

The request path reads a dictionary. A thread keeps it true: it loads the new
version before it drops the old, on each message and, since messages can be
lost, every few seconds by a look at the table.
"""

import threading
from types import MappingProxyType

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections

from aegisml.base.errors import AegisError
from aegisml.base.redis import short_lived
from inference.errors import NotDeployed
from inference.loaded import Loaded, load, renewed
from inference.models import Deployment
from models_app.models import RegisteredModel

log = structlog.get_logger(__name__)


def channel() -> str:
    return f"aegisml:{settings.INSTALLATION}:deployments"


class Fleet:
    """Deployed versions by model id and by model name."""

    def __init__(self) -> None:
        self._serving: MappingProxyType[str, Loaded] = MappingProxyType({})
        self._lock = threading.Lock()
        self._follower: threading.Thread | None = None
        self._stop = threading.Event()

    def get(self, key: str) -> Loaded:
        """The version that serves the model with this id or name.

        The first request for a model reads the database; later ones don't.
        Raises `NotFound` for an unknown model, `NotDeployed` when nothing serves it.
        """
        loaded = self._serving.get(key)
        if loaded is not None:
            return loaded
        model = RegisteredModel.objects.lookup(key)
        self.synchronize()
        loaded = self._serving.get(key)
        if loaded is not None:
            return loaded
        how = f"POST /api/v1/models/{model.name}/deploy puts one into production."
        raise NotDeployed(f"Model {model.name} has no deployed version; {how}", retry_after=5)

    def synchronize(self) -> None:
        """Make the snapshot equal the table; versions that stay are not loaded again."""
        with self._lock:
            known = {loaded.version_id: loaded for loaded in self._serving.values()}
            serving: dict[str, Loaded] = {}
            rows = Deployment.objects.active().select_related(
                "version__model", "version__feature_set__stream"
            )
            for deployment in rows:
                loaded = known.get(str(deployment.version_id))
                loaded = renewed(loaded, deployment.version) if loaded else _try_load(deployment)
                loaded = loaded or self._serving.get(str(deployment.model_id))
                if loaded is not None:
                    serving[loaded.model_id] = serving[loaded.model_name] = loaded
            self._serving = MappingProxyType(serving)

    @property
    def is_used(self) -> bool:
        """Whether this process serves anything."""
        return bool(self._serving)

    def clear(self) -> None:
        """Forget everything and stop following."""
        self._stop.set()
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.join(timeout=5)
        self._stop = threading.Event()
        self._serving = MappingProxyType({})

    def follow(self) -> None:
        """Keep the snapshot true from now on; a serving process calls it once, after any fork."""
        with self._lock:
            if self._follower is None or not self._follower.is_alive():
                self._follower = threading.Thread(
                    target=self._keep_true, args=(self._stop,), name="fleet", daemon=True
                )
                self._follower.start()

    def _keep_true(self, stop: threading.Event) -> None:
        pubsub: redis.client.PubSub | None = None
        while not stop.is_set():
            try:
                pubsub = pubsub or _subscribe()
                pubsub.get_message(timeout=settings.INFERENCE.snapshot_poll_seconds)
            except redis.RedisError:
                pubsub = None
                stop.wait(1)
            if stop.is_set():
                return
            try:
                close_old_connections()
                self.synchronize()
            except DatabaseError as error:
                log.warning(
                    "deployments can't be read; serving goes on", error=type(error).__name__
                )
            finally:
                close_old_connections()


def _subscribe() -> redis.client.PubSub:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
    pubsub = client.pubsub(ignore_subscribe_messages=False)
    pubsub.subscribe(channel())
    return pubsub


def _try_load(deployment: Deployment) -> Loaded | None:
    try:
        return load(deployment.version)
    except AegisError as error:
        log.warning(
            "a deployed version can't be loaded", version=str(deployment.version), why=error.detail
        )
        return None


def announce() -> None:
    """Tell every serving process that the deployments changed; a lost message costs seconds.

    This process, if it serves, knows at once.
    """
    if fleet.is_used:
        fleet.synchronize()
    try:
        short_lived().publish(channel(), "changed")
    except redis.RedisError as error:
        log.warning("deployment change not announced", error=type(error).__name__)


fleet = Fleet()
