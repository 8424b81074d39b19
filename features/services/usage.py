"""Who uses a feature set or a view version: asked before it goes, and shown as lineage.

Rows of the apps above are found through the foreign keys that point here, so
that this app names none of them.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db.models import Model

from features.models import FeatureSet, FeatureViewVersion

OWN = FeatureSet._meta.app_label
NAMED = 10  # in a sentence; the rest is counted
MOST = 500


def above(rows: Sequence[Model], *, kind: str | None = None) -> dict[Any, list[Model]]:
    """Rows of other apps that point at `rows`, by the key of the row they point at; at most
    `MOST` of each kind. `kind` keeps one: a model's name, such as "deployment"."""
    found: dict[Any, list[Model]] = defaultdict(list)
    if not rows:
        return found
    for relation in rows[0]._meta.related_objects:
        theirs, field = relation.related_model._meta, relation.field
        if theirs.app_label == OWN or not field.many_to_one:
            continue
        if kind is None or theirs.model_name == kind:
            users = relation.related_model._default_manager.filter(**{f"{field.name}__in": rows})
            for user in users.select_related()[:MOST]:
                found[getattr(user, field.attname)].append(user)
    return found


def pinning_sets(version: FeatureViewVersion) -> list[FeatureSet]:
    """The feature sets that take features of `version`."""
    return list(FeatureSet.objects.filter(members__version=version).order_by("name", "number"))


def why_pinned(version: FeatureViewVersion) -> str:
    """A sentence naming the sets that pin `version` and what uses them; "" for none."""
    sets = pinning_sets(version)
    if not sets:
        return ""
    users = above(sets)
    names = [_with_users(found, users[found.pk]) for found in sets]
    return f"{version} is pinned by {listed('feature set', names)}."


def _with_users(feature_set: FeatureSet, users: Sequence[Model]) -> str:
    return f"{feature_set} (used by {named(users)})" if users else str(feature_set)


def named(rows: Sequence[Model]) -> str:
    """The rows with the word for their kind: "model version fraud v3"."""
    return shortened(sorted(f"{row._meta.verbose_name} {row}" for row in rows))


def listed(noun: str, names: Sequence[str]) -> str:
    return f"{noun}{'s' if len(names) > 1 else ''} {shortened(names)}"


def shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
