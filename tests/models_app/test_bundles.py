"""A version's files are written whole or not at all, and refused unless they are the same."""

import hashlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from inference.loaded import load
from models_app import bundles
from models_app.errors import BundleRefused
from tests.factories import trained_version

FILES = {name: name.encode() for name in bundles.FILES}


def write(root: Path, files: dict[str, bytes] = FILES, **about: Any) -> bundles.Written:
    return bundles.write(root=root, folder="model", files=files, about={"model": "fraud", **about})


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written = write(tmp_path, algorithm="xgboost")
    manifest, files = bundles.read(tmp_path / written.path, digest=written.digest)
    assert files == FILES
    assert (manifest["algorithm"], manifest["format"]) == ("xgboost", 1)
    assert manifest["files"]["card.md"] == hashlib.sha256(b"card.md").hexdigest()


def test_the_same_files_give_the_same_bundle(tmp_path: Path) -> None:
    assert write(tmp_path) == write(tmp_path)
    assert write(tmp_path) != write(tmp_path, {**FILES, "card.md": b"other"})
    assert len(list((tmp_path / "model").iterdir())) == 2


@pytest.mark.parametrize("failing", ["write", "fsync", "rename"])
def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    if failing == "write":
        monkeypatch.setattr(bundles, "_write_synced", full)
    elif failing == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path)
    assert everything(tmp_path) == []
    assert list((tmp_path / "model").iterdir()) == []


def test_a_bundle_appears_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every sync on the way, nothing but the scratch folder is there."""
    real, seen = os.fsync, []

    def look(handle: int) -> None:
        seen.append([p.name[:9] for p in (tmp_path / "model").iterdir()])
        real(handle)

    monkeypatch.setattr(os, "fsync", look)
    write(tmp_path)
    assert len(seen) == len(FILES) + 3
    assert all(names == [".writing-"] for names in seen[:-1])


def change(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    return apply


def with_extra_file(folder: Path) -> None:
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    (folder / "model.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    digest = hashlib.sha256((folder / "model.pkl").read_bytes()).hexdigest()
    manifest["files"]["model.pkl"] = digest
    (folder / "manifest.json").write_bytes(orjson.dumps(manifest))


def with_link(folder: Path) -> None:
    (folder / "card.md").unlink()
    (folder / "card.md").symlink_to("/etc/passwd")


TAMPERED = {
    "model changed": change("model.onnx"),
    "policy changed": change("policy.json"),
    "manifest changed": change("manifest.json"),
    "file gone": lambda folder: (folder / "model.ubj").unlink(),
    "manifest gone": lambda folder: (folder / "manifest.json").unlink(),
    "unknown file in the manifest": with_extra_file,
    "file swapped for a link": with_link,
    "emptied": lambda folder: (folder / "model.onnx").write_bytes(b""),
    "manifest is a folder": lambda folder: (
        (folder / "manifest.json").unlink(), (folder / "manifest.json").mkdir()
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_bundle_is_refused(tmp_path: Path, how: str) -> None:
    written = write(tmp_path)
    TAMPERED[how](tmp_path / written.path)
    with pytest.raises(BundleRefused):
        bundles.read(tmp_path / written.path, digest=written.digest)


def test_a_manifest_that_names_an_unknown_file_is_refused_even_when_its_hash_fits(
    tmp_path: Path,
) -> None:
    written = write(tmp_path)
    with_extra_file(tmp_path / written.path)
    digest = hashlib.sha256((tmp_path / written.path / "manifest.json").read_bytes()).hexdigest()
    with pytest.raises(BundleRefused, match=r"model\.pkl is not a file"):
        bundles.read(tmp_path / written.path, digest=digest)


def test_a_bundle_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="No such file"):
        bundles.read(tmp_path / "nowhere", digest="0" * 64)


@pytest.mark.django_db
@pytest.mark.usefixtures("own_folders")
@pytest.mark.parametrize("how", ["model changed", "file gone", "manifest changed"])
def test_a_version_with_a_tampered_bundle_can_not_be_loaded(how: str) -> None:
    version = trained_version()
    TAMPERED[how](version.bundle_folder)
    with pytest.raises(BundleRefused) as caught:
        load(version)
    assert str(version.bundle_folder) not in caught.value.detail


unpickled: list[str] = []
watching = threading.Event()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "pickle.find_class" and watching.is_set():
        unpickled.append(".".join(map(str, arguments[:2])))


@pytest.mark.django_db
@pytest.mark.usefixtures("own_folders")
def test_loading_a_version_unpickles_nothing() -> None:
    version = trained_version()
    names = {path.name for path in version.bundle_folder.iterdir()}
    assert names <= bundles.FILES | {"manifest.json"}
    sys.addaudithook(_watch)  # can't be taken back, so it sleeps after this test
    watching.set()
    try:
        load(version)
    finally:
        watching.clear()
    assert unpickled == []
