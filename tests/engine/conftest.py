"""What the tests of notebooks share: a notebook written in a line, in a folder of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    WriteNotebook = Callable[..., Path]


@pytest.fixture
def write_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteNotebook:
    """Write cells as a notebook: prose starts with ``#``, and ``parameters`` is the source of the tagged cell."""
    monkeypatch.chdir(tmp_path)

    def write(*sources: str, name: str = "work.ipynb", parameters: str = "", **metadata: Any) -> Path:
        cells = [_cell(f"c{at}", source) for at, source in enumerate(sources)]
        if parameters:
            cells.insert(0, _code("p", parameters) | {"metadata": {"tags": ["parameters"]}})
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
        path.write_text(json.dumps(notebook), encoding="utf-8")
        return path

    return write


def _cell(name: str, source: str) -> dict[str, Any]:
    if source.startswith("#"):
        return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}
    return _code(name, source)


def _code(name: str, source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
