"""From a stream to what is served: view versions, feature sets, model versions, deployments."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model, Q

from features.choices import VersionStatus
from features.models import FeatureSet, FeatureViewVersion, Stream
from features.services import usage

COLUMNS = ("Stream", "View versions", "Feature sets", "Model versions", "Deployments")
MOST = 100  # of a column


@dataclass(frozen=True)
class Node:
    """One box. `page` and `pk` are the admin page's URL name and argument."""

    id: str
    kind: str
    name: str
    state: str
    page: str
    pk: str


@dataclass
class Lineage:
    """The boxes of each of `COLUMNS`, and lines between boxes by their ids. `cut` counts boxes
    that a column had no room for."""

    columns: list[list[Node]] = field(default_factory=lambda: [[] for _ in COLUMNS])
    edges: list[tuple[str, str]] = field(default_factory=list)
    cut: int = 0

    @property
    def nodes(self) -> list[Node]:
        return [node for column in self.columns for node in column]

    def add(self, column: int, row: Model, parents: Iterable[Model], state: str = "") -> None:
        """A box with lines from its parents; once in a column, however often it is added."""
        node = _node(row, state)
        boxes = self.columns[column]
        if node not in boxes:
            if len(boxes) >= MOST:
                self.cut += 1
                return
            boxes.append(node)
        self.edges += [(_key(parent), node.id) for parent in parents]


def of_stream(stream: Stream) -> Lineage:
    """All that depends on a stream: versions that are promoted or pinned, and what uses them."""
    versions = FeatureViewVersion.objects.filter(view__stream=stream)
    used = versions.filter(Q(status=VersionStatus.PROMOTED) | Q(memberships__isnull=False))
    sets = FeatureSet.objects.filter(stream=stream).prefetch_related("members__version__view")
    lineage = Lineage()
    lineage.add(0, stream, ())
    for version in used.distinct().select_related("view").order_by("view__name", "-number"):
        lineage.add(1, version, (stream,), version.get_status_display())
    _add_sets(lineage, list(sets[:MOST]))
    return lineage


def of_set(feature_set: FeatureSet) -> Lineage:
    """What a set is made of, and what is made of it."""
    lineage = Lineage()
    lineage.add(0, feature_set.stream, ())
    for member in feature_set.members.select_related("version__view"):
        version = member.version
        lineage.add(1, version, (feature_set.stream,), version.get_status_display())
    _add_sets(lineage, [feature_set])
    return lineage


def _add_sets(lineage: Lineage, sets: Sequence[FeatureSet]) -> None:
    models = usage.above(sets, kind="modelversion")
    deployments = usage.above([row for rows in models.values() for row in rows], kind="deployment")
    for made in sets:
        lineage.add(2, made, [member.version for member in made.members.all()])
        for model in models[made.pk]:
            lineage.add(3, model, (made,))
            for deployment in deployments[model.pk]:
                if _is_active(deployment):
                    lineage.add(4, deployment, (model,), "Active")


def _is_active(deployment: Any) -> bool:
    return bool(deployment.status == "active")


def _key(row: Model) -> str:
    return f"{row._meta.model_name}:{row.pk}"


def _node(row: Model, state: str) -> Node:
    meta = row._meta
    return Node(
        id=_key(row),
        kind=str(meta.verbose_name),
        name=str(row),
        state=state,
        page=f"{meta.app_label}_{meta.model_name}_change",
        pk=str(row.pk),
    )
