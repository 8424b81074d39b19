"""Run a program that ends when the process that started it ends, even by kill -9.

Used as a script, `child.py PARENT COMMAND...`, with the standard library only:
what it does comes before the interpreter of the command itself.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent is gone (Linux; elsewhere no-op)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    die_with_parent()
    if os.getppid() != parent:  # it ended before we asked
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command is our own
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
