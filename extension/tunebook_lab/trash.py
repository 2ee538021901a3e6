"""The user's trash, filled from a folder that is held open: what its path leads to by then does not matter."""

from __future__ import annotations

import os
import subprocess
import sys

from tunebook.errors import StorageError

#: Exit codes of the process that does it.
_NO_TRASH, _FAILED = 3, 4
_SECONDS = 120.0


def put_into_trash(folder: int, name: str) -> None:
    """
    Put a file or folder into the trash.

    A process of its own works in the folder, since a server's threads share one working directory.

    Parameters
    ----------
    folder
        Descriptor of the folder that holds it.
    name
        Its name there.

    Raises
    ------
    StorageError
        It cannot be done; it stays.
    """
    try:
        ended = subprocess.run(  # noqa: S603 - our own module; the name is an argument and no path
            [sys.executable, "-P", "-m", "tunebook_lab.trash", str(folder), name],
            pass_fds=[folder], stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise StorageError(f"cannot put {name} into the trash: it took more than {_SECONDS:g} seconds") from None
    if ended.returncode == _NO_TRASH:
        raise StorageError(f"cannot put {name} into the trash: there is none on its disk; delete it in a terminal")
    if ended.returncode:
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["its process died"]
        raise StorageError(f"cannot put {name} into the trash: {lines[-1]}; delete it in a terminal")


def main() -> int:
    """Do it: the arguments are the descriptor and the name."""
    from send2trash import TrashPermissionError, send2trash  # type: ignore[import-untyped]  # noqa: PLC0415

    os.fchdir(int(sys.argv[1]))
    try:
        send2trash(sys.argv[2])
    except TrashPermissionError:
        return _NO_TRASH
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}\n")
        return _FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
