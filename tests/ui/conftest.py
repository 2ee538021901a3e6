"""A real JupyterLab and a real Chromium for the tests of what a person sees."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import nbformat
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

_FLAGS = (
    "--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


@dataclass
class Lab:
    """
    A running JupyterLab.

    Attributes
    ----------
    url
        Where it is, without a slash at the end.
    token
        What it asks for.
    folder
        Its root, where notebooks are written.
    threads
        Threads of the server and its kernels.
    """

    url: str
    token: str
    folder: Path
    threads: int = 1

    def request(self, path: str, method: str = "GET", body: object = None) -> Any:
        """Ask the server and return what its JSON says."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"{self.url}{path}", data=data, method=method, headers=headers)  # noqa: S310
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None

    def set_theme(self, theme: str) -> None:
        """Set what pages opened from now on look like: ``"light"`` or ``"dark"``."""
        self._setting("@jupyterlab/apputils-extension:themes", {"theme": _THEMES[theme]})

    def _setting(self, name: str, values: dict[str, Any]) -> None:
        self.request(f"/lab/api/settings/{name}", "PUT", {"raw": json.dumps(values)})

    def write_notebook(self, name: str, cells: Sequence[str]) -> Path:
        """Write a notebook of code cells into the root; a cell that begins ``# Data`` is the parameters' cell."""
        book = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        for source in cells:
            tags = {"tags": ["parameters"]} if source.startswith("# Data") else {}
            book.cells.append(nbformat.v4.new_code_cell(source, metadata=tags))
        path = self.folder / f"{name}.ipynb"
        nbformat.write(book, path)
        return path


class Notebook:
    """
    A notebook that is open in JupyterLab.

    Parameters
    ----------
    page
        The browser's page.
    lab
        The server.
    name
        Its file name without the suffix.
    """

    def __init__(self, page: Page, lab: Lab, name: str) -> None:
        self.page, self.lab, self.name = page, lab, name

    def open(self, *, simple: bool = True) -> None:
        """Load the page and wait for an idle kernel; ``simple`` leaves the side panels out."""
        mode = "doc" if simple else "lab"
        self.page.goto(f"{self.lab.url}/{mode}/tree/{self.name}.ipynb?token={self.lab.token}")
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until a page that was loaded, or loaded again, shows the notebook and has an idle kernel."""
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.wait_idle()

    def command(self, name: str) -> None:
        """Run a command of JupyterLab's, such as ``notebook:run-all-cells``, without waiting for its end."""
        self.page.evaluate("name => { void window.jupyterapp.commands.execute(name); }", name)

    def run_all(self, timeout: float = 120.0) -> None:
        """Run all cells and wait for the last one."""
        self.command("notebook:run-all-cells")
        self.wait_done(timeout)

    def save(self) -> None:
        """Save the notebook, and wait until it is."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")

    def wait_done(self, timeout: float = 120.0) -> None:
        """Wait until every code cell with a source has its number."""
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]"
            ".every(p => /\\[\\d+\\]/.test(p.textContent))",
            timeout=timeout * 1000,
        )

    def wait_idle(self, timeout: float = 60.0) -> None:
        """Wait until the kernel is there and has nothing to do."""
        self.page.wait_for_function(
            "() => { const context = window.jupyterapp.shell.currentWidget?.sessionContext;"
            " return context?.isReady && context.session?.kernel?.status === 'idle'; }",
            timeout=timeout * 1000,
        )

    def cell(self, index: int) -> Locator:
        """Return a cell, from 0."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        """Return the output area of a cell, from 0."""
        return self.cell(index).locator(".jp-OutputArea").first


def find_chromium() -> str | None:
    """Return the browser to use: ``TUNEBOOK_CHROMIUM``, or one on the path."""
    given = os.environ.get("TUNEBOOK_CHROMIUM")
    return given or next((found for name in _BROWSERS if (found := shutil.which(name))), None)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Start Chromium once."""
    executable = find_chromium()
    if executable is None:
        pytest.skip(f"no browser: install chromium (looked for {', '.join(_BROWSERS)}, and at TUNEBOOK_CHROMIUM)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=executable, args=list(_FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory, _own_cache: None) -> Iterator[Lab]:
    """Start JupyterLab once, with a token, on a free port, knowing nothing of this machine's settings."""
    home = tmp_path_factory.mktemp("lab")
    folder = home / "root"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    own = {
        name: str(home / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
                     "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")
    }  # fmt: skip
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
        f"--ServerApp.root_dir={folder}", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", "--LabApp.extension_manager=readonly",
        "--ServerApp.allow_unauthenticated_access=False",
    ]  # fmt: skip
    running = Lab(f"http://127.0.0.1:{port}", token, folder)
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": str(running.threads), **own},
        )
        try:
            _wait_for(running, server, home / "server.log")
            running._setting(
                "@jupyterlab/apputils-extension:notification", {"checkForUpdates": False, "fetchNews": "false"}
            )
            yield running
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(lab: Lab, server: subprocess.Popen[bytes], log: Path, seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            lab.request("/api/status")
        except (URLError, ConnectionError, TimeoutError):
            if server.poll() is not None:
                break
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"JupyterLab did not start: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(params=["light"])
def theme(request: pytest.FixtureRequest) -> str:
    """Return the theme of the page; ``@pytest.mark.parametrize("theme", ["light", "dark"])`` takes both."""
    return str(request.param)


@pytest.fixture
def page(browser: Browser, lab: Lab, theme: str) -> Iterator[Page]:
    """Open a page of its own, which may use the clipboard and must not meet an error that nobody catches."""
    lab.set_theme(theme)
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, color_scheme=theme)  # type: ignore[arg-type]
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=lab.url)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert errors == []


@pytest.fixture
def notebook(page: Page, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Write a notebook of some cells and open it: ``book = notebook(["1 + 1"])``; its kernel ends with the test."""
    name = "".join(c if c.isalnum() else "_" for c in request.node.name)

    def make(cells: Sequence[str], *, simple: bool = True) -> Notebook:
        lab.write_notebook(name, cells)
        book = Notebook(page, lab, name)
        book.open(simple=simple)
        return book

    yield make
    for session in lab.request("/api/sessions"):
        if session["path"] == f"{name}.ipynb":
            lab.request(f"/api/sessions/{session['id']}", "DELETE")


@pytest.fixture
def shared_notebook(page: Page, lab: Lab, request: pytest.FixtureRequest) -> Any:
    """Do as ``notebook`` does, with one kernel for all tests of a file, so that heavy imports are made once."""
    name = request.module.__name__.rpartition(".")[2]

    def make(cells: Sequence[str], *, simple: bool = True) -> Notebook:
        lab.write_notebook(name, cells)
        book = Notebook(page, lab, name)
        book.open(simple=simple)
        return book

    return make
