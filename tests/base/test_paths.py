"""Files are opened below their root and nowhere else."""

import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from aegisml.base import paths
from aegisml.base.errors import Invalid

SECRET = b"not for you"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with a file in it, beside a folder with a secret."""
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "sub" / "data.csv").write_bytes(b"inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "data.csv").write_bytes(SECRET)
    return tmp_path / "root"


def read(root: Path, text: str) -> bytes:
    with paths.open_below(root, text, field="dataset_path") as file:
        return file.read()


def refusal(root: Path, text: str) -> str:
    """The message about `text`, which must come at once and name the field."""
    started = time.monotonic()
    with pytest.raises(Invalid) as caught:
        read(root, text)
    assert time.monotonic() - started < 0.1
    assert [error.field for error in caught.value.errors] == ["dataset_path"]
    return caught.value.detail


@pytest.mark.parametrize(
    "text", ["sub/data.csv", "sub//data.csv", "./sub/data.csv", "sub/./data.csv"]
)
def test_a_plain_relative_path_is_read(root: Path, text: str) -> None:
    assert read(root, text) == b"inside"


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "/", "/etc/passwd", "//etc/passwd", "..", "../outside/data.csv",
        "sub/../../outside/data.csv", "sub/../sub/data.csv", "..\\outside\\data.csv",
        "%2e%2e%2foutside%2fdata.csv", "%252e%252e%252foutside", "..%2foutside/data.csv",
        "file:///etc/passwd", "s3://bucket/../key", "http://127.0.0.1/x", "sub/data.csv\x00.png",
        "\x00", "sub/\ndata.csv", "sub/data\x7f.csv", "/proc/self/environ", "/dev/zero",
        "a" * 5000, "a/" * 2500 + "a", "sub/" + "a" * 300, "~/.ssh/id_rsa/../../..",
    ],
)  # fmt: skip
def test_anything_else_is_refused(root: Path, text: str) -> None:
    assert refusal(root, text)


def test_the_refusal_does_not_tell_whether_the_target_exists(root: Path) -> None:
    (root / "live").symlink_to(root.parent / "outside")
    (root / "dead").symlink_to(root.parent / "nowhere")
    for there, missing in [
        ("/etc/passwd", "/etc/nobody-here"),
        ("../outside/data.csv", "../outside/missing.csv"),
        ("live", "dead"),
        ("live/data.csv", "live/missing.csv"),
        ("live/data.csv", "dead/data.csv"),
    ]:
        assert refusal(root, there) == refusal(root, missing)


def test_a_link_is_refused_wherever_it_points(root: Path) -> None:
    (root / "out.csv").symlink_to(root.parent / "outside" / "data.csv")
    (root / "in.csv").symlink_to(root / "sub" / "data.csv")
    (root / "zero.csv").symlink_to("/dev/zero")
    (root / "loop.csv").symlink_to(root / "loop.csv")
    (root / "folder").symlink_to(root / "sub")
    for name in ("out.csv", "in.csv", "zero.csv", "loop.csv", "folder/data.csv"):
        assert "below the data root" in refusal(root, name)


def test_a_folder_swapped_for_a_link_while_we_look_never_leads_outside(root: Path) -> None:
    swapped, kept, stop = root / "sub", root / "kept", threading.Event()

    def swap() -> None:
        while not stop.is_set():
            swapped.rename(kept)
            swapped.symlink_to(root.parent / "outside")
            time.sleep(0.0002)
            swapped.unlink()
            kept.rename(swapped)
            time.sleep(0.0002)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        until = time.monotonic() + 0.5
        found = set()
        while time.monotonic() < until:
            found.add(_read_or_none(root, "sub/data.csv"))
    finally:
        stop.set()
        swapper.join()
    assert found == {b"inside", None}


def _read_or_none(root: Path, text: str) -> bytes | None:
    try:
        return read(root, text)
    except Invalid:
        return None


def test_what_is_not_a_regular_file_is_refused_without_waiting(root: Path) -> None:
    os.mkfifo(root / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(root / "socket.csv"))
        for name in ("sub", "pipe.csv", "socket.csv", "pipe.csv/data.csv", "sub/data.csv/x"):
            refusal(root, name)


def test_a_device_is_refused(root: Path) -> None:
    try:
        os.mknod(root / "zero.csv", 0o666 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root may make a device")
    refusal(root, "zero.csv")


opened: list[str] = []
watching = threading.Event()


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and watching.is_set():
        opened.append(str(arguments[0]))


@pytest.fixture(scope="module")
def every_open() -> list[str]:
    sys.addaudithook(_watch)  # can't be taken back, so it sleeps after this module
    return opened


def test_nothing_outside_is_even_opened(root: Path, every_open: list[str]) -> None:
    (root / "out").symlink_to(root.parent / "outside")
    every_open.clear()
    watching.set()
    try:
        for text in ("/etc/passwd", "../outside/data.csv", "out/data.csv", "%2e%2e/x", "sub"):
            _read_or_none(root, text)
    finally:
        watching.clear()
    assert set(every_open) <= {str(root), "out", "sub"}


def test_no_file_handle_is_left_open_by_refusals(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for text in ("sub", "sub/missing", "sub/data.csv/x", "missing/x"):
        refusal(root, text)
    assert len(os.listdir("/proc/self/fd")) == before


def write_half(target: Path) -> None:
    with paths.replacing(target) as scratch:
        scratch.write_text("sec")
        raise OSError("the disk is full")


def test_a_file_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "data.csv"
    with paths.replacing(target) as scratch:
        scratch.write_text("first")
        assert not target.exists()
    with pytest.raises(OSError, match="full"):
        write_half(target)
    with paths.replacing(target):
        """Nothing to say."""
    assert target.read_text() == "first"
    assert [path.name for path in target.parent.iterdir()] == ["data.csv"]
