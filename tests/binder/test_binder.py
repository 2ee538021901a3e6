"""What Binder reads is what Binder can use: names, permissions, places and settings; the whole of it is marked long."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def module(name: str) -> Any:
    return importlib.import_module(f"binder.{name}")


def environment() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((BINDER / "environment.yml").read_text(encoding="utf-8"))
    return found


def settings(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((BINDER / name).read_text(encoding="utf-8"))
    return found


def test_torch_and_torchvision_come_from_the_one_channel_without_cuda() -> None:
    file = environment()
    assert [name for name in file["channels"] if name != "nodefaults"] == ["conda-forge"]
    assert {"pytorch-cpu", "torchvision"} <= set(file["dependencies"])
    # A part for pip, or a package of another channel, could bring a torch that does not match.
    assert all(isinstance(one, str) and "::" not in one for one in file["dependencies"])


def test_the_python_asked_for_is_one_that_tunebook_runs_on() -> None:
    (version,) = module("rehearse").python_version((BINDER / "environment.yml").read_text(encoding="utf-8"))
    assert f"Programming Language :: Python :: {version}" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_rehearsal_reads_the_environment_as_a_yaml_parser_does() -> None:
    rehearse = module("rehearse")
    text = (BINDER / "environment.yml").read_text(encoding="utf-8")
    assert rehearse.dependencies(text) == environment()["dependencies"]
    assert rehearse.pip_names(text)[:2] == ["torch", "torchvision"]


def test_post_build_is_a_script_that_can_be_started() -> None:
    script = BINDER / "postBuild"
    assert os.access(script, os.X_OK)
    assert script.read_bytes().startswith(b"#!/bin/bash\n")
    assert b"\r" not in script.read_bytes()
    subprocess.run(["bash", "-n", str(script)], check=True, timeout=60)


def test_post_build_installs_the_demo_and_keeps_torch(tmp_path: Path) -> None:
    """Run it with a stand-in for Python that writes down what it is asked to do."""
    repository = tmp_path / "repository"
    (repository / "binder").mkdir(parents=True)
    (repository / "extension" / "node_modules").mkdir(parents=True)
    shutil.copy2(BINDER / "postBuild", repository / "binder")
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$*" >> "$0.log"\n'
        'case "$*" in\n'
        '*"pip list"*) printf "numpy==2.0\\ntorch==2.9.1\\ntorchaudio==1.0\\ntorchvision==0.24.1\\n";;\n'
        '*"pip install"*) cp "$6" "$0.constraints";;\nesac\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run([str(repository / "binder" / "postBuild")], env=variables, cwd=tmp_path, check=True, timeout=60)
    asked = (tmp_path / "python.log").read_text(encoding="utf-8").splitlines()
    assert [line.split()[:3] for line in asked[:2]] == [["-m", "pip", "list"], ["-m", "pip", "install"]]
    assert asked[1].endswith(" .[demo]")
    assert (tmp_path / "python.constraints").read_text(encoding="utf-8") == "torch==2.9.1\ntorchvision==0.24.1\n"
    assert asked[2] == "binder/prepare.py"
    assert not (repository / "extension" / "node_modules").exists()


def test_post_build_fails_where_the_environment_has_no_torch(tmp_path: Path) -> None:
    (tmp_path / "binder").mkdir()
    shutil.copy2(BINDER / "postBuild", tmp_path / "binder")
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "numpy==2.0"\n', encoding="utf-8")
    python.chmod(0o755)
    done = subprocess.run(
        [str(tmp_path / "binder" / "postBuild")], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False, timeout=60
    )
    assert done.returncode != 0


def test_the_address_opened_first_is_that_of_a_template() -> None:
    addresses = {part["default_url"] for part in settings("jupyter_server_config.json").values()}
    (address,) = addresses
    assert (ROOT / address.removeprefix("/lab/tree/")).is_file()


def test_settings_land_where_jupyter_looks_for_them(tmp_path: Path) -> None:
    places = module("prepare").install_settings(tmp_path)
    assert [str(place.relative_to(tmp_path)) for place in places] == [
        "etc/jupyter/jupyter_server_config.json",
        "share/jupyter/lab/settings/overrides.json",
    ]
    assert [json.loads(place.read_text(encoding="utf-8")) for place in places] == [
        settings("jupyter_server_config.json"),
        settings("overrides.json"),
    ]
    assert {file.name for file in tmp_path.rglob("*.*")} == {"jupyter_server_config.json", "overrides.json"}


def test_overrides_of_tunebook_are_settings_that_it_has() -> None:
    for name, values in settings("overrides.json").items():
        plugin, _, part = name.partition(":")
        if plugin != "tunebook":
            continue
        schema = json.loads((ROOT / "extension" / "schema" / f"{part}.json").read_text(encoding="utf-8"))
        for key, value in values.items():
            assert schema["properties"][key]["type"] == "boolean"
            assert isinstance(value, bool)


def test_torch_and_torchvision_of_this_machine_match(capsys: pytest.CaptureFixture[str]) -> None:
    module("prepare").check_torch()
    assert "torchvision" in capsys.readouterr().out


def test_a_torchvision_of_another_build_ends_the_build_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    def broken(*_: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(torchvision.ops, "nms", broken)
    with pytest.raises(SystemExit, match=r"does not match torch .*: take both from one channel \(operator"):
        module("prepare").check_torch()


def test_a_step_that_fails_says_which_and_shows_its_last_lines(tmp_path: Path) -> None:
    rehearse = module("rehearse")
    stage = rehearse.Stage(tmp_path)
    stage.home.mkdir()
    with pytest.raises(rehearse.RehearsalError, match=r"sh ended with 3, see .*log:\nno torch"):
        stage.run(["sh", "-c", "echo no torch; exit 3"], "log")


def test_the_rehearsal_hides_the_programs_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/opt/node/bin:/usr/bin")
    monkeypatch.setenv("TUNEBOOK_CACHE", "/elsewhere")
    variables = module("rehearse").Stage(tmp_path).variables
    assert variables["PATH"] == f"{tmp_path}/env/bin:/usr/bin:/bin"
    assert "TUNEBOOK_CACHE" not in variables
    assert variables["HOME"] == variables["REPO_DIR"] == str(tmp_path / "home")


def test_repo2docker_writes_a_dockerfile_for_it(tmp_path: Path) -> None:
    command = shutil.which("jupyter-repo2docker", path=sysconfig.get_path("scripts"))
    if command is None:
        pytest.skip("jupyter-repo2docker is not installed; the long test installs it")
    rehearse = module("rehearse")
    stage = rehearse.Stage(tmp_path)
    shutil.copytree(BINDER, stage.home / "binder", ignore=shutil.ignore_patterns("__pycache__"))
    assert "binder/postBuild" in rehearse.accept(stage, command)


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_the_rehearsal_passes_in_a_fresh_environment(tmp_path: Path) -> None:
    """Every step, repo2docker's and both templates in 2 GB among them; it prints its figures."""
    tools = tmp_path / "tools"
    subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True, timeout=300)
    subprocess.run([str(tools / "bin" / "pip"), "install", "-q", "jupyter-repo2docker"], check=True, timeout=900)
    command = [sys.executable, "-m", "binder.rehearse", "--folder", str(tmp_path / "rehearsal")]
    command += ["--repo2docker", str(tools / "bin" / "jupyter-repo2docker")]
    done = subprocess.run(command, cwd=ROOT, check=False, timeout=5000, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left out" not in done.stdout
