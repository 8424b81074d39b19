"""The admin of the feature store."""

from aegisml.base.admin import pages
from features.admin import definitions, events, lineage, profiles, runs, sets, streams, versions

pages.add(lineage.urls)

__all__ = ["definitions", "events", "lineage", "profiles", "runs", "sets", "streams", "versions"]
