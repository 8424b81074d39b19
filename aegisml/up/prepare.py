"""Database, static files, roles: all in one process, since loading Django takes longest."""

import hashlib
import sys
from pathlib import Path

import django
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from aegisml.up.console import say
from aegisml.up.programs import DEMO_NEEDED


def main() -> int:
    django.setup()
    from aegisml import demo  # noqa: PLC0415 - needs Django set up

    _migrate()
    _collect_static()
    call_command("setup_roles")
    return DEMO_NEEDED if demo.is_needed() else 0


def _migrate() -> None:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        return
    say(f"    {len(plan)} migrations ...")
    call_command("migrate", interactive=False, verbosity=0)


def _collect_static() -> None:
    root = Path(settings.STATIC_ROOT)
    stamp, state = root.with_name("static.stamp"), _static_state()
    if root.is_dir() and stamp.exists() and stamp.read_text() == state:
        return
    say("    static files ...")
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    stamp.write_text(state)


def _static_state() -> str:
    """Changes whenever a static file of ours or of an installed package may have changed."""
    folders = [Path(app.path) / "static" for app in apps.get_app_configs()]
    folders += [Path(folder) for folder in settings.STATICFILES_DIRS]
    files = [path for folder in folders for path in sorted(folder.rglob("*"))]
    listing = "".join(f"{path}{path.stat().st_mtime_ns}" for path in files)
    return hashlib.sha256(listing.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
