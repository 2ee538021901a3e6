"""What the fault tests share: processes that begin with everything imported, and runs that nobody disturbed."""

from __future__ import annotations

import multiprocessing
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerContext

    from small_run import Whole


_HEAVY = [
    "tunebook.workflow", "tunebook.bias", "tunebook.bias_figures", "tunebook.bias_page", "tunebook.bias_tables",
    "tunebook.tasks.image_classification.task", "tunebook.tasks.text_classification.task", "accelerate", "psutil",
    "matplotlib.backends.backend_agg", "matplotlib.figure", "pyarrow.parquet", "sklearn.linear_model",
    "sklearn.metrics", "tensorboardX.summary", "safetensors.torch", "timm", "transformers",
]  # fmt: skip


@pytest.fixture(scope="session")
def context() -> ForkServerContext:
    """Give the maker of processes."""
    found = multiprocessing.get_context("forkserver")
    # Importing takes most of a small run's time: the server does it once, its children share it.
    found.set_forkserver_preload(["small_run", *_HEAVY])
    return found


@pytest.fixture(scope="session")
def whole_of(context: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Whole]:
    """Give the undisturbed run of a task, made once."""

    @cache
    def make(task: str) -> Whole:
        return small_run.Whole.of(context, task, tmp_path_factory.mktemp("whole"))

    return make


# The tasks share all that is tried here but their data and models.
_PICTURES, _TEXTS = small_run.TASKS


@pytest.fixture(params=[_PICTURES, pytest.param(_TEXTS, marks=pytest.mark.long)])
def whole(request: pytest.FixtureRequest, whole_of: Callable[[str], Whole]) -> Whole:
    """Give the undisturbed run of pictures, and with the long tests that of texts."""
    return whole_of(request.param)
