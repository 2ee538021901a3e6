"""A worker of a search: a process that trains the trials it is given until its parent is gone."""

from __future__ import annotations

import json
import os
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from tunebook.machine import calm_threads

calm_threads()


def main(descriptor: int, folder: Path) -> None:
    """
    Train trials.

    Parameters
    ----------
    descriptor
        Of the socket over which the parent sends trials and hears of them, as JSON.
    folder
        Where it left plan and examples.
    """
    threading.Thread(target=_watch_parent, name="tunebook-parent", daemon=True).start()
    connection = Connection(descriptor)

    def send(**message: object) -> None:
        connection.send_bytes(json.dumps(message).encode())

    try:
        # After the thread above: this takes seconds, in which the parent may die.
        from tunebook.search_materials import Materials  # noqa: PLC0415
        from tunebook.search_trials import evaluator  # noqa: PLC0415
        from tunebook.search_workers import read_handoff  # noqa: PLC0415

        plan, examples = read_handoff(folder)
        trained = evaluator(Materials(plan.recipe(), examples), plan.read_objectives())
    except Exception as error:
        send(broken=f"{type(error).__name__}: {error}")
        raise
    send(ready=True)

    def report(_place: int, epoch: int, value: float) -> bool:
        send(report=[epoch, value])
        return bool(json.loads(connection.recv_bytes())["prune"])

    while True:
        job = json.loads(connection.recv_bytes())
        for result in trained.evaluate([plan.recipe(**job["parameters"])], report):
            send(result=result.to_json())


def _watch_parent() -> None:
    """End this process when the parent's end of the pipe is closed, which a kill does too."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
