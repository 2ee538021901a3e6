"""
Do what Binder does with this folder, in a fresh environment on this machine, as far as that goes without a container.

``python -m binder.rehearse`` from the repository's root. It needs Python, git and a package index, nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROOT = Path(__file__).parents[1]
#: Where conda-forge calls a package otherwise than Python's own index does.
_NAMES = {"pytorch-cpu": "torch"}
#: Not installed by pip: one is there, the other is the interpreter.
_GIVEN = ("python", "pip")
#: Seconds until a server that does not answer is given up.
_PATIENCE = 120.0
#: Variables that say where packages of Python and of Node.js come from, and whose certificates to trust.
_INDEX = re.compile(r"(?i)pip_|ssl_|node_extra_ca|(npm|yarn)_|(https?|no)_proxy")
#: Directories of programs that a bare image has; whatever else this machine has, such as a Node.js, is out of sight.
_PLACES = ("/usr/bin", "/bin")


class RehearsalError(Exception):
    """A step did not do what Binder needs of it."""


@dataclass(frozen=True)
class Stage:
    """
    Where the rehearsal takes place.

    Attributes
    ----------
    folder
        Holds all of it: ``env``, ``home`` (the user's, with the repository in it, as in Binder's images) and logs.
    """

    folder: Path

    @property
    def home(self) -> Path:
        """The user's folder, which on Binder is the repository's, too."""
        return self.folder / "home"

    @property
    def programs(self) -> Path:
        """Folder of the environment's programs."""
        return self.folder / "env" / "bin"

    @property
    def variables(self) -> dict[str, str]:
        """Variables of the image, and of this machine those alone that lead to its package indexes."""
        path = os.pathsep.join([str(self.programs), *_PLACES])
        index = {name: value for name, value in os.environ.items() if _INDEX.match(name)}
        return {**index, "PATH": path, "HOME": str(self.home), "REPO_DIR": str(self.home), "LANG": "C.UTF-8"}

    def run(self, command: Sequence[str], log: str, extra: Mapping[str, str] | None = None) -> str:
        """
        Run a command in the repository as the image would, and return what it printed.

        Raises
        ------
        RehearsalError
            It failed; the message ends with its last lines.
        """
        file = self.folder / log
        with file.open("wb") as output:
            code = subprocess.run(  # noqa: S603 - commands of this module, without a shell
                command, cwd=self.home, env={**self.variables, **(extra or {})}, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, check=False,
            ).returncode  # fmt: skip
        text = file.read_text(encoding="utf-8", errors="replace")
        if code != 0:
            last = "\n".join(text.splitlines()[-15:])
            raise RehearsalError(f"{command[0]} ended with {code}, see {file}:\n{last}")
        return text


def main(words: Sequence[str] | None = None) -> int:
    """Run the rehearsal; 1 where a step failed."""
    parser = argparse.ArgumentParser(prog="python -m binder.rehearse", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, help="where to do it, kept afterwards; an environment in it is used again"
    )
    parser.add_argument("--repo2docker", default="jupyter-repo2docker", help="the command, if it is not on the path")
    parser.add_argument("--skip", action="append", default=[], choices=list(_STEPS), help="leave a step out")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="tunebook-binder-") as scratch:
        stage = Stage((arguments.folder or Path(scratch)).resolve())
        stage.home.mkdir(parents=True, exist_ok=True)
        copy_repository(stage.home)
        for name, step in _STEPS.items():
            if name in arguments.skip:
                continue
            started = time.monotonic()
            try:
                said = accept(stage, arguments.repo2docker) if name == "accept" else step(stage)
            except (RehearsalError, OSError) as error:
                say(f"FAILED {name}: {error}")
                return 1
            say(f"{name} ({time.monotonic() - started:.0f} s): {said}")
    return 0


def copy_repository(target: Path) -> None:
    """Copy the files that git keeps or would keep, as they stand."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=_ROOT, capture_output=True, check=True)  # noqa: S603
    for name in listed.stdout.decode().split("\0"):
        source = _ROOT / name
        if name and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def accept(stage: Stage, command: str) -> str:
    """Let repo2docker read the repository and write the Dockerfile, without building it."""
    found = shutil.which(command)
    if found is None:
        return "left out: pip install jupyter-repo2docker, and name the command with --repo2docker"
    text = stage.run([found, "--no-build", "--debug", str(stage.home)], "repo2docker.log")
    wanted = ["binder/environment.yml", "binder/postBuild", *python_version(environment_file())]
    missing = [word for word in wanted if word not in text]
    if missing:
        raise RehearsalError(f"its Dockerfile has no {', '.join(missing)}")
    return f"its Dockerfile of {text.count(chr(10))} lines has {', '.join(wanted)}"


def make_environment(stage: Stage) -> str:
    """Install what environment.yml names: with conda or mamba where there is one, else the same packages by pip."""
    if (stage.folder / "env" / "complete").exists():
        return "the one that is there is used again"
    shutil.rmtree(stage.folder / "env", ignore_errors=True)
    text = environment_file()
    tool = next(filter(None, map(shutil.which, ("mamba", "micromamba", "conda"))), None)
    if tool:
        file = str(stage.home / "binder" / "environment.yml")
        stage.run([tool, "env", "create", "-y", "-p", str(stage.folder / "env"), "-f", file], "environment.log")
        said = f"by {Path(tool).name}"
    else:
        (wanted,) = python_version(text)
        python = shutil.which(f"python{wanted}") or sys.executable
        stage.run([python, "-m", "venv", str(stage.folder / "env")], "environment.log")
        packages = pip_names(text)
        stage.run([str(stage.programs / "python"), "-m", "pip", "install", "-q", *packages], "environment.log")
        said = f"no conda here: {', '.join(packages)} by pip, with {Path(python).name}"
    (stage.folder / "env" / "complete").touch()
    return said


def build(stage: Stage) -> str:
    """Run postBuild."""
    text = stage.run(["bash", "binder/postBuild"], "postBuild.log")
    lines = [line for line in text.splitlines() if re.match(r"torch|warning: torch|\w+Classification:", line)]
    left = [name for name in ("extension/node_modules", "extension/lib") if (stage.home / name).exists()]
    if left:
        raise RehearsalError(f"it leaves {', '.join(left)}")
    return "; ".join(lines)


def start(stage: Stage) -> str:
    """Start JupyterLab's server below a path, as a hub does, and ask it for what a browser would see first."""
    listed = {
        "labextension": stage.run(["jupyter", "labextension", "list"], "labextension.log"),
        "server extension": stage.run(["jupyter", "server", "extension", "list"], "server-extension.log"),
    }
    for kind, text in listed.items():
        if not re.search(r"tunebook\S* .*(enabled|OK)", text):
            raise RehearsalError(f"the {kind} is not enabled:\n{text}")
    runtime, token = stage.folder / "runtime", secrets.token_hex(16)
    shutil.rmtree(runtime, ignore_errors=True)
    command = [
        "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root",
        "--ServerApp.base_url=/user/reader/", f"--IdentityProvider.token={token}",
    ]  # fmt: skip
    began = time.monotonic()
    with (stage.folder / "server.log").open("wb") as output:
        server = subprocess.Popen(  # noqa: S603 - without a shell
            [str(stage.programs / command[0]), *command[1:]], cwd=stage.home, stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, env={**stage.variables, "JUPYTER_RUNTIME_DIR": str(runtime)},
        )  # fmt: skip
    try:
        address = _address(runtime, server)
        # The server's own address: http, on this machine.
        with urlopen(f"{address}?token={token}", timeout=_PATIENCE) as answer:  # noqa: S310
            first = answer.geturl().partition("?")[0].removeprefix(address)
        with urlopen(f"{address}tunebook/api/templates?token={token}", timeout=_PATIENCE) as answer:  # noqa: S310
            found = json.load(answer)
    finally:
        server.terminate()
        server.wait(30)
    if not first.endswith("templates/vision/image-classification.ipynb"):
        raise RehearsalError(f"it opens {first!r} in place of the first template")
    templates = [one["name"] for one in (found["templates"] if isinstance(found, dict) else found)]
    return f"after {time.monotonic() - began:.1f} s it opens {first}; templates: {', '.join(templates)}"


def _address(runtime: Path, server: subprocess.Popen[bytes]) -> str:
    began = time.monotonic()
    while not (files := list(runtime.glob("jpserver-*.json"))):
        if server.poll() is not None or time.monotonic() - began > _PATIENCE:
            raise RehearsalError("the Jupyter server did not start, see server.log")
        time.sleep(0.1)
    time.sleep(0.5)  # the file is there before all of it is written
    return str(json.loads(files[0].read_text(encoding="utf-8"))["url"])


def remember(stage: Stage) -> str:
    """Run both templates as they stand beside a Jupyter server, in 2 GB and on one core."""
    chosen = [f"{name}, with a Jupyter server" for name in ("image-classification", "text-classification")]
    words = [word for name in chosen for word in ("--only", name)]
    command = ["python", "-m", "benchmarks", "run", "memory", "--repeats", "1", *words]
    text = stage.run([str(stage.programs / command[0]), *command[1:]], "memory.log")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    if len(rows) != len(chosen) + 2 or any(" no " in row for row in rows):
        raise RehearsalError(f"not all ran to their end:\n{text}")
    return "\n" + "\n".join([*rows, *(line for line in text.splitlines() if line.startswith("Limit"))])


_STEPS = {
    "accept": lambda stage: accept(stage, "jupyter-repo2docker"),
    "environment": make_environment,
    "postBuild": build,
    "start": start,
    "memory": remember,
}


def environment_file() -> str:
    """Return the text of environment.yml."""
    return (_ROOT / "binder" / "environment.yml").read_text(encoding="utf-8")


def dependencies(text: str) -> list[str]:
    """
    Return the packages that an environment.yml names, as it writes them.

    It reads this folder's file, a flat list, without a YAML parser: a bare Python has none.
    """
    _, _, listed = text.partition("\ndependencies:\n")
    return re.findall(r"^  - (\S+)$", listed, flags=re.MULTILINE)


def python_version(text: str) -> list[str]:
    """Return the version of Python that an environment.yml asks for, if any, as a list."""
    return [one.partition("=")[2] for one in dependencies(text) if one.startswith("python=")]


def pip_names(text: str) -> list[str]:
    """Return the same packages by the names that pip knows, without Python and pip themselves."""
    found = []
    for one in dependencies(text):
        name, rest = re.match(r"([\w.-]+)(.*)", one).groups()  # type: ignore[union-attr]
        if name not in _GIVEN:
            found.append(_NAMES.get(name, name) + rest)
    return found


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
