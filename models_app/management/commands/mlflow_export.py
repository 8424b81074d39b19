"""manage.py mlflow_export"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aegisml.base import audit
from aegisml.base.errors import AegisError
from models_app.models import ModelVersion
from models_app.services import mlflow


class Command(BaseCommand):
    help = "Write a version (fraud@3, fraud@champion) as an MLflow model folder of flavor onnx."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="such as fraud@3")
        parser.add_argument("folder", type=Path, help="the folder to write; must not be there yet")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = ModelVersion.objects.select_related("model").named(options["version"])
            names = mlflow.export_folder(
                version=version, actor=audit.system_user(), folder=options["folder"]
            )
        except AegisError as error:
            raise CommandError(error.detail) from None
        except OSError as error:
            raise CommandError(f"{options['folder']}: {error.strerror}") from None
        self.stdout.write(f"{options['folder']}: {', '.join(names)}")
