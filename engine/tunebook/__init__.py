"""
Tunebook: fine-tune a pre-trained model in a notebook.

The names below are loaded when they are first used, so that ``import tunebook`` is cheap and
the thread settings are made before torch is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tunebook.machine import calm_threads

if TYPE_CHECKING:
    from tunebook.errors import TunebookError
    from tunebook.mending import mend
    from tunebook.remedies import compare_remedies
    from tunebook.reports import formatted
    from tunebook.runs import Run, list_runs
    from tunebook.searching import Search, resume_search, search
    from tunebook.tasks.image_classification.recipe import ImageClassification
    from tunebook.tasks.text_classification.recipe import TextClassification
    from tunebook.workflow import (
        check,
        load_examples,
        load_model,
        measure_baseline,
        measure_cost,
        overview,
        preview,
        tune,
    )

calm_threads()

_HOMES = {
    "compare_remedies": "tunebook.remedies",
    "ImageClassification": "tunebook.tasks.image_classification.recipe",
    "Run": "tunebook.runs",
    "Search": "tunebook.searching",
    "TextClassification": "tunebook.tasks.text_classification.recipe",
    "TunebookError": "tunebook.errors",
    "check": "tunebook.workflow",
    "formatted": "tunebook.reports",
    "list_runs": "tunebook.runs",
    "load_examples": "tunebook.workflow",
    "load_model": "tunebook.workflow",
    "measure_baseline": "tunebook.workflow",
    "measure_cost": "tunebook.workflow",
    "mend": "tunebook.mending",
    "overview": "tunebook.workflow",
    "preview": "tunebook.workflow",
    "resume_search": "tunebook.searching",
    "search": "tunebook.searching",
    "tune": "tunebook.workflow",
}

__all__ = [
    "ImageClassification",
    "Run",
    "Search",
    "TextClassification",
    "TunebookError",
    "check",
    "compare_remedies",
    "formatted",
    "list_runs",
    "load_examples",
    "load_model",
    "measure_baseline",
    "measure_cost",
    "mend",
    "overview",
    "preview",
    "resume_search",
    "search",
    "tune",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("tunebook")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    msg = f"module 'tunebook' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
