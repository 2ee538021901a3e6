"""Every block of the documentation is run, or at least checked; what is not has a reason beside it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
import snippets
from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from pathlib import Path

    from sybil import Example

#: Languages of blocks; all but the first two are shown and nothing more.
LANGUAGES = {"python", "bash", "text", "json", "yaml", "csv", "{toctree}", "{include} ../CONTRIBUTING.md"}

#: Pages whose blocks train again or fit remedies: about ten seconds each, and other tests do the like.
SLOW = {"docs/bias.md", "docs/curves.md", "docs/how-to/bias.md", "docs/mitigation.md", "docs/panel.md"}
_RUN = [pytest.param(page, marks=pytest.mark.long) if page in SLOW else page for page in snippets.PAGES]


def _run(page: str, names: snippets.Names, *, long: bool) -> None:
    def python(example: Example) -> None:
        snippets.run_python(example, names)

    def shell(example: Example) -> None:
        for command in snippets.commands(str(example.parsed)):
            snippets.run_command(command)

    document = snippets.parse(page, python, shell)
    document.namespace["long"] = long
    for example, skipped in snippets.evaluate(document):
        if skipped:
            print(f"{page}:{example.line}: not run: {skipped}")


@pytest.mark.parametrize("page", _RUN)
@pytest.mark.timeout(1200)
def test_the_blocks_of_a_page_run(page: str, names: snippets.Names) -> None:
    _run(page, names, long=False)


@pytest.mark.parametrize("page", snippets.PAGES)
def test_a_block_is_python_or_commands_even_if_it_is_not_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def shell(example: Example) -> None:
        if not str(example.parsed).startswith("#!"):
            assert list(snippets.commands(str(example.parsed)))

    def python(example: Example) -> None:
        compile(str(example.parsed), page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    for example in snippets.parse(page, python, shell, skips=False).examples():
        example.evaluate()


@pytest.mark.parametrize("page", snippets.PAGES)
def test_a_block_names_its_language(page: str) -> None:
    # Sybil finds fenced blocks only: one that is indented would not be run.
    tokens = MarkdownIt("commonmark").enable("table").parse((snippets.ROOT / page).read_text(encoding="utf-8"))
    assert [f"line {token.map[0] + 1}" for token in tokens if token.type == "code_block" and token.map] == []
    assert {token.info for token in tokens if token.type == "fence"} <= LANGUAGES


def test_the_page_of_pictures_opens_the_tuned_weights(names: snippets.Names, here: Path) -> None:
    import torch
    from safetensors.torch import load_file

    _run("docs/templates/image-classification.md", names, long=False)
    opened, kept = names["model"].state_dict(), load_file(here / "runs" / "mine" / "model" / "model.safetensors")
    assert set(opened) == set(kept)
    assert all(torch.equal(opened[name], kept[name]) for name in kept)
