"""A process that runs one notebook of many, and stops it when the process that wanted it is gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

#: Seconds to wait for a process that still writes the checkpoint of an earlier attempt; a machine that vanished with
#: its run is believed to be gone after 120.
PATIENCE = 150.0


def main() -> None:
    """Read a job from standard input, a line of JSON, and answer with what became of it on standard output."""
    # Whatever a library prints goes to the log: the answer stands alone.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_watch_parent, name="tunebook-parent", daemon=True).start()
    json.dump(_outcome(job), answer)
    answer.close()


def _outcome(job: dict[str, Any]) -> dict[str, str]:
    # After the thread above: this takes seconds, in which the parent may die.
    from tunebook.batch import ExecutionError  # noqa: PLC0415
    from tunebook.errors import TunebookError  # noqa: PLC0415

    try:
        _run(job)
    except ExecutionError as error:
        by_hand = error.run.state().state == "stopped"
        return {"state": "stopped" if by_hand or error.exit_code > 1 else "failed", "message": str(error)}
    except TunebookError as error:
        return {"state": "failed", "message": str(error)}
    return {"state": "finished", "message": ""}


def _run(job: dict[str, Any]) -> None:
    from tunebook.batch import execute, resume  # noqa: PLC0415
    from tunebook.batch_standing import claim, claimed, standing  # noqa: PLC0415
    from tunebook.errors import NotebookError  # noqa: PLC0415
    from tunebook.runs import Run  # noqa: PLC0415
    from tunebook.templates import load_notebook  # noqa: PLC0415

    try:
        os.chdir(job["folder"])
    except OSError as error:
        msg = f"cannot work in {job['folder']}: {error.strerror}; each machine must have the same folders"
        raise NotebookError(msg) from None
    notebook, path = Path(job["notebook"]), Path(job["runs_dir"]).expanduser() / job["name"]
    with claimed(path, PATIENCE):
        # Another process may have brought it further since it was queued.
        what = standing(path, load_notebook(notebook), job["parameters"]).next
        if what == "resume":
            resume(Run(path))
        elif what != "finished":
            if what == "again":
                _remove(path)
            execute(
                notebook, job["parameters"], name=job["name"], runs_dir=job["runs_dir"],
                on_start=lambda run: _hold(claim(run.path)),
            )  # fmt: skip


def _hold(_lock: int | None) -> None:
    """Keep a lock until this process ends."""


def _remove(path: Path) -> None:
    """Take a directory away at once, and then its files."""
    old = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", suffix=".old", dir=path.parent))
    path.rename(old / path.name)
    shutil.rmtree(old, ignore_errors=True)


def _watch_parent() -> None:
    """Stop the run, as Ctrl-C would, when the parent's end of the pipe is closed, which a kill does too."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
