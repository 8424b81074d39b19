"""One measured part of `benchmarks.features`: prints its figures as JSON on the last line."""

import json
import os
import sys
from pathlib import Path

from benchmarks import feature_large, feature_offline, feature_online


def main() -> None:
    part, data, events = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if part == "numpy":
        found = feature_offline.by_hand(data)
    else:
        os.environ["DJANGO_SETTINGS_MODULE"] = "aegisml.settings"
        import django

        django.setup()
        found = feature_large.large_part(events) if part == "large" else PARTS[part](data)
    print(json.dumps(found))


PARTS = {"offline": feature_offline.offline_part, "online": feature_online.online_part}

if __name__ == "__main__":
    main()
