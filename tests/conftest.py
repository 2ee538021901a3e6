"""What many tests need: a cache folder and no network, small recipes, tables and pictures."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from PIL import Image

from tunebook.examples import Examples
from tunebook.tasks import recipe_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tunebook.recipe import Recipe

    MakeRecipe = Callable[..., Recipe]

# Tests that run side by side share the cores; threads that wait for one another by spinning would take them all.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# ONNX Runtime tells a server of its use and writes to the home folder unless it finds this when it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# A laptop that is busy is not a bug; the same examples every time make a red test mean something.
settings.register_profile("tunebook", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tunebook")


class MakePicture(Protocol):
    """Write a picture; the same seed draws the same one."""

    def __call__(self, path: Path, seed: int = 0, side: int = 64, **save: Any) -> Path: ...


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is made once, such as the demo, in one folder of this test session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEBOOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Let no name be looked up but this machine's own."""
    look_up = socket.getaddrinfo

    def local_only(host: Any, *args: Any, **keywords: Any) -> Any:
        if host in (None, "", "localhost", "127.0.0.1", "::1", socket.gethostname()):
            return look_up(host, *args, **keywords)
        raise socket.gaierror(socket.EAI_NONAME, "the tests use no network")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", local_only)
        yield


@pytest.fixture
def recipe() -> MakeRecipe:
    """Make a recipe of image classification from some values."""
    return recipe_class("image-classification")


@pytest.fixture
def table() -> Callable[..., Examples]:
    """Make examples from rows ``(label, split)`` or ``(label, split, content)``."""

    def make(rows: Iterable[tuple[Any, ...]], classes: tuple[str, ...] | None = None) -> Examples:
        listed = [(f"e{n}", row[2] if len(row) > 2 else f"c{n}", row[0], row[1]) for n, row in enumerate(rows)]
        frame = pd.DataFrame(listed, columns=["id", "content", "label", "split"])
        return Examples(frame, classes or tuple(sorted(frame["label"].unique())), "made for a test")

    return make


@pytest.fixture
def make_picture() -> MakePicture:
    """Draw a picture with soft, random blobs of colour."""

    def make(path: Path, seed: int = 0, side: int = 64, **save: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(path, **save)
        return path

    return make
