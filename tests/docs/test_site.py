"""The documentation is one site: it builds, its reference is complete, its links and pictures are there."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import nbformat
import pytest
import snippets
from PIL import Image

sys.path.insert(0, str(snippets.ROOT / "docs"))
import generated
import pictures

if TYPE_CHECKING:
    from pathlib import Path

DOCS = snippets.ROOT / "docs"
#: Bytes that a picture may have, and lines that the README may have.
LARGEST, LONGEST = 200_000, 220


def _text(page: str) -> str:
    return (snippets.ROOT / page).read_text(encoding="utf-8")


@pytest.mark.timeout(1200)
def test_sphinx_builds_the_site_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(tmp_path / "doctrees")]
    done = subprocess.run([*command, str(DOCS), str(tmp_path / "site")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = (tmp_path / "site" / "reference" / "parameters.html").read_text(encoding="utf-8")
    assert "peak learning rate" in found
    assert "tunebook sweep [OPTIONS]" in (tmp_path / "site" / "reference" / "command-line.html").read_text("utf-8")


def test_no_page_has_a_name_that_sphinx_gives_to_its_own() -> None:
    assert {page.stem for page in DOCS.glob("*.md")} & {"search", "genindex", "modindex", "py-modindex"} == set()


@pytest.mark.parametrize("package", ["tunebook", "tunebook_widgets"])
def test_the_reference_has_every_public_name(package: str) -> None:
    public = {f"{package}.{name}" for name in sys.modules.get(package, __import__(package)).__all__}
    page = _text(f"docs/reference/{'python' if package == 'tunebook' else 'widgets'}.rst")
    assert public <= set(re.findall(r"^\.\. auto\w+:: ([\w.]+)", page, re.MULTILINE))


def test_pages_are_filled_with_all_parameters_and_commands() -> None:
    from tunebook.tasks import TASKS, recipe_class

    filled = generated.fill(_text("docs/reference/parameters.md"))
    assert "<!--" not in filled
    for task in TASKS:
        assert all(f"| `{name}` |" in filled for name in recipe_class(task).model_fields)
        # Each task has its section, so that a new one is not forgotten.
        assert f"generated: parameters {task} -->" in _text("docs/reference/parameters.md")
    helps = generated.fill(_text("docs/reference/command-line.md"))
    assert {"## `tunebook run`", "## `tunebook cache clear`"} <= set(helps.splitlines())


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", _text("README.md"))
    assert links
    assert [link for link in links if not (snippets.ROOT / link).exists()] == []


def test_the_readme_is_short_and_has_the_commands() -> None:
    lines = _text("README.md").splitlines()
    assert len(lines) < LONGEST
    commands = [line.split("  #")[0].strip() for line in lines]
    assert "pip install '.[demo]' && tunebook run image-classification" in commands
    assert "pip install -e '.[test]' && pytest -n 2 --dist loadfile" in commands
    assert "pytest -n 2 --dist loadfile" in _text(".ci/run").splitlines(), "CI runs the same"


def test_pictures_are_there_small_and_shown() -> None:
    shown: dict[Path, str] = {}
    for page in snippets.PAGES:
        for link in re.findall(r"!\[[^\]]*\]\((?!https?:)([^)]+)\)", _text(page)):
            shown[(snippets.ROOT / page).parent.joinpath(link).resolve()] = page
    assert {str(path): page for path, page in shown.items() if not path.is_file()} == {}
    kept = {path.resolve() for path in (DOCS / "pictures").glob("*.png")}
    assert {path.name for path in kept - set(shown)} == set()
    assert {path.name: path.stat().st_size for path in kept if path.stat().st_size >= LARGEST} == {}


def test_every_template_has_a_page_and_a_badge() -> None:
    templates = {path.stem: path for path in (snippets.ROOT / "templates").rglob("*.ipynb")}
    for name, path in templates.items():
        assert (DOCS / "templates" / f"{name}.md").is_file()
        place = f"urlpath=lab/tree/{path.relative_to(snippets.ROOT).as_posix()}"
        [reference] = re.findall(rf"^\[(binder-[\w-]+)\]: \S+{re.escape(place)}$", _text("README.md"), re.MULTILINE)
        row = next(line for line in _text("README.md").splitlines() if f"docs/templates/{name}.md" in line)
        assert f"][{reference}]" in row


def test_a_picture_is_taken_from_the_cell_that_shows_it(tmp_path: Path) -> None:
    noise = Image.effect_noise((600, 600), 100).convert("RGB")
    stream = io.BytesIO()
    noise.save(stream, format="PNG")
    book = nbformat.v4.new_notebook()
    shown = nbformat.v4.new_output("display_data", {"image/png": pictures.base64.b64encode(stream.getvalue()).decode()})
    book.cells = [nbformat.v4.new_code_cell("first()"), nbformat.v4.new_code_cell("second()", outputs=[shown])]
    nbformat.write(book, tmp_path / "made.ipynb")
    assert pictures.png_of(tmp_path / "made.ipynb", "second(", 0) == stream.getvalue()
    with pytest.raises(LookupError, match="shows 0 pictures"):
        pictures.png_of(tmp_path / "made.ipynb", "first(", 0)
    with pytest.raises(ValueError, match="take a smaller part"):
        pictures.keep(stream.getvalue(), tmp_path / "large.png")
    assert not (tmp_path / "large.png").exists()
    stream = io.BytesIO()
    noise.resize((40, 40)).save(stream, format="PNG")
    pictures.keep(stream.getvalue(), tmp_path / "small.png")
    assert (tmp_path / "small.png").stat().st_size < pictures.LARGEST
