"""A Jupyter server in a process of its own: what it loads, and background runs that outlive it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from .conftest import write_run

sys.path.insert(0, str(Path(__file__).parents[1]))
from sweep_files import write_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "of-this-test"


@dataclass
class Server:
    """A server, and how to ask it."""

    process: subprocess.Popen[bytes]
    url: str

    def ask(self, route: str, verb: str = "GET", body: Any = None, **arguments: Any) -> Any:
        address = f"{self.url}tunebook/api/{route}?{urlencode(arguments, doseq=True)}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        with urlopen(Request(address, data, headers, method=verb), timeout=60) as answer:  # noqa: S310 - of this machine
            raw = answer.read()
            return json.loads(raw) if answer.headers["Content-Type"].startswith("application/json") else raw

    def end(self, number: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(timeout=30)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """Start servers of one root, and stop them in the end."""
    begun: list[Server] = []
    (tmp_path / "root").mkdir()
    environment = {
        **os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"), "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "IPYTHONDIR": str(tmp_path / "ipython"),
    }  # fmt: skip

    def make() -> Server:
        options = {
            "ServerApp.root_dir": tmp_path / "root", "IdentityProvider.token": TOKEN, "ServerApp.port": 0,
            "ServerApp.open_browser": False, "ServerApp.allow_unauthenticated_access": False,
            "ServerApp.allow_root": True, "ServerApp.jpserver_extensions": "tunebook_lab=True",
            "TunebookLab.interval": 0.2,
        }  # fmt: skip
        command = [sys.executable, "-m", "jupyter_server", *(f"--{name}={value}" for name, value in options.items())]
        with (tmp_path / "server.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
        file = tmp_path / "runtime" / f"jpserver-{process.pid}.json"
        end = time.monotonic() + 60
        while not file.is_file() or not file.read_text(encoding="utf-8").endswith("}"):
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.1)
        server = Server(process, json.loads(file.read_text(encoding="utf-8"))["url"])
        begun.append(server)
        _until(lambda: _answers(server))
        return server

    yield make
    for server in begun:
        server.end()


def _answers(server: Server) -> bool:
    try:
        return bool(server.ask("status")["api"] == 1)
    except OSError:
        return False


def _until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_server_loads_no_torch_whatever_it_is_asked(start: Callable[[], Server], tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_run(root / "runs" / "one", state="stopped")
    write_run(root / "runs" / "two")
    write_sweep(root / "runs" / "sweep")
    rows = "a text of some words,0\n" * 3
    (root / "table.csv").write_text("text,label\n" + rows, encoding="utf-8")
    server = start()
    server.ask("queue", "PATCH", {"held": True})
    template = {"template": "image-classification"}
    notebook = server.ask("notebooks", "POST", {**template, "values": {"epochs": 1}})["path"]
    sweep = {"space": {"lr": "log(1e-4,1e-1)"}}
    job = server.ask("jobs", "POST", {**template, "sweep": sweep})["id"]
    server.ask("jobs", "POST", {"template": "text-classification", "values": {"lr": 1e-3}})
    for route, arguments in [
        ("status", {}), ("templates", {}), ("templates/form", {"name": "text-classification"}), ("jobs", {}),
        ("notebooks/form", {"path": notebook}), ("data", {"path": "table.csv"}), ("runs", {}), ("queue", {}),
        ("run", {"path": "runs/one"}), ("run", {"path": "runs/two"}), ("run/commands", {"path": "runs/one"}),
        ("run/trials", {"path": "runs/sweep"}), ("scalars", {"path": "runs/one"}), ("jobs/log", {"id": job}),
        ("compare", {"path": ["runs/one", "runs/two"]}),
    ]:  # fmt: skip
        assert server.ask(route, **arguments)
    with pytest.raises(HTTPError, match="404"):
        server.ask("histograms", path="runs/one", tag="none")
    server.ask("run", "PATCH", {"name": "renamed"}, path="runs/one")
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text(encoding="utf-8")
    assert "numpy" in mapped
    for name in ("libtorch", "sklearn", "pandas"):
        assert name not in mapped


def test_background_run_outlives_a_killed_server(start: Callable[[], Server], tmp_path: Path) -> None:
    source = "import time, pathlib\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.1)"
    cells = [{"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None, "source": source}]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}
    root = tmp_path / "root"
    (root / "waits.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    server = start()
    name = server.ask("jobs", "POST", {"notebook": "waits.ipynb"})["id"]

    def job(of: Server) -> Any:
        return next(each for each in of.ask("jobs")["jobs"] if each["id"] == name)

    _until(lambda: bool(job(server)["run"]))
    server.end(signal.SIGKILL)
    again = start()
    assert job(again)["state"] == "running"
    (row,) = again.ask("runs")["runs"]
    assert (row["state"], row["kind"], row["job"]) == ("running", "notebook", name)
    (root / "go").touch()
    _until(lambda: bool(job(again)["state"] == "finished"))
    (row,) = again.ask("runs")["runs"]
    assert row["state"] == "finished"
    assert row["notebook"].endswith("/notebook.ipynb")
    assert "run " in again.ask("jobs/log", id=name)["text"]
