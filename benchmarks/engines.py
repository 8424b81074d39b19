"""Django on engines of a benchmark's own: a temporary folder, a database, Redis; all gone after."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def running() -> Iterator[Path]:
    """Start PostgreSQL and Redis in a new folder, make the tables, set Django up; gives the
    folder. Django's settings can be loaded once a process: so can this."""
    from aegisml import embedded

    with tempfile.TemporaryDirectory(prefix="aegisml-benchmark-") as folder:
        var = Path(folder)
        var.chmod(0o755)  # the embedded database runs as a user of its own
        os.environ["AEGIS__VAR_DIR"] = folder
        os.environ["AEGIS_DATABASE_LIMITS"] = "off"
        os.environ.setdefault("AEGIS__LOGGING__LEVEL", "WARNING")
        os.environ["DJANGO_SETTINGS_MODULE"] = "aegisml.settings"
        embedded.start(var)
        try:
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "--verbosity=0"], cwd=ROOT, check=True
            )
            import django

            django.setup()
            yield var
        finally:
            embedded.stop(var)
