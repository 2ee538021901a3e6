"""The tree keeps its own rules: style, types, layers, clean notebooks and nothing of one machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def tool(name: str) -> str:
    """Find a tool beside this Python, whatever the PATH says."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    assert found, f"{name} is not installed: pip install -e '.[test]'"
    return found


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports",)],
    ids=" ".join,
)
def test_tools_find_nothing(command: tuple[str, ...]) -> None:
    done = run(tool(command[0]), *command[1:])
    assert done.returncode == 0, done.stdout + done.stderr


def test_notebooks_have_no_outputs() -> None:
    notebooks = [str(path) for path in sorted((ROOT / "templates").rglob("*.ipynb")) if "checkpoint" not in path.name]
    if notebooks:
        done = run(tool("nbstripout"), "--verify", *notebooks)
        assert done.returncode == 0, done.stdout + done.stderr


# Written in two parts, so that this file is not found itself.
@pytest.mark.parametrize(
    "text",
    [
        "/wo" + "rk/",
        "/ro" + "ot/",
        "/ho" + "me/[a-z]+/work",
        "pypi." + "org",
        "python" + "hosted",
        "registry." + "npmjs",
    ],
)
def test_tracked_files_name_no_machine_and_no_registry(text: str) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    done = run("git", "grep", "-nIE", text)
    assert done.returncode == 1, done.stdout + done.stderr


@pytest.mark.parametrize(
    "module",
    ["tunebook", "tunebook.recipe", "tunebook.errors", "tunebook.runs", "tunebook.storage", "tunebook.cli"],
)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    heavy = ["torch", "timm", "torchvision", "transformers", "accelerate", "datasets"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_recipe_class_of_a_task_imports_nothing_heavy() -> None:
    code = "import sys; from tunebook.tasks import recipe_class; recipe_class('image-classification'); "
    done = run(sys.executable, "-c", code + "print('torch' in sys.modules or 'timm' in sys.modules)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"
