"""manage.py import_version"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aegisml.base import audit
from aegisml.base.errors import AegisError
from models_app.ml.exchange import archives, documents
from models_app.ml.exchange.errors import Refused
from models_app.ml.exchange.wishes import Wishes
from models_app.models import RegisteredModel
from models_app.services import importing


class Command(BaseCommand):
    help = (
        "Register a file as a model's next version: a zip of export_version, an ONNX model,"
        " XGBoost's UBJSON or JSON, or an MLflow model (folder or zip, flavors onnx and xgboost)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", help="name or id of the model")
        parser.add_argument("file", type=Path, help="the file, or an MLflow folder")
        parser.add_argument(
            "--signature", type=Path, help="JSON file of the features, where the model has no names"
        )
        parser.add_argument("--threshold", type=float, help="review from this score; default 0.5")
        parser.add_argument("--fill", type=float, help="the number that stands for a missing one")
        parser.add_argument("--output", help="the ONNX output that holds the probability")
        parser.add_argument("--feature-set", help="what it is to be served from, as name@v1")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            wishes = Wishes(
                signature=_signature(options["signature"]),
                threshold=options["threshold"],
                fill=options["fill"],
                output=options["output"],
            )
            with _opened(path) as file:
                version = importing.import_version(
                    model=RegisteredModel.objects.lookup(options["model"]),
                    actor=audit.system_user(),
                    incoming=importing.Incoming(path.name, file, wishes, options["feature_set"]),
                )
        except AegisError as error:
            raise CommandError(error.detail) from None
        except Refused as error:
            raise CommandError(f"{error.field}: {error.text}") from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        self.stdout.write(f"{version} ({version.algorithm}), digest {version.bundle_digest}")


def _signature(path: Path | None) -> Any:
    if path is None:
        return None
    return documents.read(path.read_bytes(), name=path.name, field="signature")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if not path.is_dir():
        with path.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as packed:
        archives.pack_folder(packed, path)
        packed.seek(0)
        yield packed
