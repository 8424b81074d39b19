"""Celery with an algorithm that computes for a minute and listens to nobody meanwhile."""

import hashlib
import sys
from typing import Any

from celery.__main__ import main

from training.ml.algorithms import xgboost


def deaf(*args: Any, **kwargs: Any) -> None:
    hashlib.pbkdf2_hmac("sha256", b"x", b"x", 60_000_000)


if __name__ == "__main__":
    xgboost.fit = deaf
    sys.argv[1:1] = ["-A", "aegisml"]
    main()
