"""manage.py export_version"""

import shutil
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aegisml.base import audit
from aegisml.base.errors import AegisError
from models_app.models import ModelVersion
from models_app.services import exporting


class Command(BaseCommand):
    help = "Write a version (fraud@3, fraud@champion) as a zip that import_version reads."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="such as fraud@3")
        parser.add_argument("file", type=Path, help="the zip to write; must not be there yet")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = ModelVersion.objects.select_related("model").named(options["version"])
            exported = exporting.export_version(version=version, actor=audit.system_user())
            with exported.stream as source, options["file"].open("xb") as target:
                shutil.copyfileobj(source, target)
        except AegisError as error:
            raise CommandError(error.detail) from None
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from None
        self.stdout.write(f"{exported.bytes:,} bytes, SHA-256 {exported.sha256}")
