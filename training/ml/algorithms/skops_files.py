"""scikit-learn models as skops files: no pickle, and the same model gives the same bytes."""

import io
import re
import zipfile
from typing import Any

import skops.io

# What the files of this package may hold beside skops' own list: sklearn's compiled trees.
TRUSTED = ("sklearn.tree._tree.Tree",)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_ADDRESS = re.compile(r'(?<="__id__": )\d+|(?<=")\d+(?=\.npy")')


def dumps(model: Any) -> bytes:
    """The model's file. skops names its parts by memory address; here they are counted."""
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as source:
        schema = source.read("schema.json").decode()
        counted: dict[str, str] = {}

        def number(found: re.Match[str]) -> str:
            return counted.setdefault(found.group(), str(len(counted)))

        text = _ADDRESS.sub(number, schema)
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
            for address, place in counted.items():
                if f"{address}.npy" in source.NameToInfo:
                    content = source.read(f"{address}.npy")
                    out.writestr(zipfile.ZipInfo(f"{place}.npy", _EPOCH), content)
            out.writestr(zipfile.ZipInfo("schema.json", _EPOCH), text)
    return target.getvalue()


def loads(content: bytes) -> Any:
    """The model of `dumps`; raises skops' `UntrustedTypesFoundException` for anything more."""
    return skops.io.loads(content, trusted=list(TRUSTED))
