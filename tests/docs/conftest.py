"""The folder in which the documentation's blocks run, and the names that they may use."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small_world import make_files, small_recipes
from snippets import Checked, Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd


def _train(recipe: Any) -> dict[str, Any]:
    """Do the steps of a notebook and return its names."""
    import tunebook

    examples = tunebook.load_examples(recipe)
    findings = tunebook.check(examples, recipe)
    examples = findings.resolve(recipe.on_problem)
    model = tunebook.load_model(recipe, examples)
    baseline = tunebook.measure_baseline(recipe, examples, model)
    run = tunebook.tune(recipe, examples, model, baseline, findings).result()
    return {
        "recipe": recipe,
        "examples": examples,
        "findings": findings,
        "model": model,
        "baseline": baseline,
        "run": run,
    }


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, _own_cache: None) -> Path:
    """
    Make the folder once.

    It has ``photos/``, ``table.csv``, ``tweets.csv``, ``reviews.parquet``, ``tags.jsonl``, ``predictions.csv``,
    ``params.yaml``, and in ``runs/`` the finished run ``reviews`` (texts), under other names, too, the search ``heads``
    and the queued run ``waiting``.
    """
    import tunebook
    from tunebook.runs import Run

    folder = tmp_path_factory.mktemp("docs")
    make_files(folder)
    with small_recipes(folder):
        _train(tunebook.TextClassification(data="reviews.parquet", run="reviews"))
        fixed = {"data": "photos", "freeze": "backbone", "unfreeze": []}
        tunebook.search(
            "image-classification", {"lr": "log(1e-3,1e-1)"}, parameters=fixed, trials=2, method="random", name="heads"
        ).result()
        for place in ("runs/head-alone", "runs/gradual", "some/folder"):
            shutil.copytree("runs/reviews", place)
        Run.create("runs", "waiting", "image-classification")
    return folder


@pytest.fixture(scope="session")
def notebook_names(world: Path) -> dict[str, Any]:
    """Return the names of the notebook that made ``runs/mine``, a run on pictures."""
    import tunebook

    with small_recipes(world):
        recipe = tunebook.ImageClassification(
            data=str(world / "table.csv"),
            path="file",
            label="job",
            validation_fraction=0.3,
            sensitive=["region", "skin_tone", "gender"],
            run="mine",
        )
        return _train(recipe)


@pytest.fixture
def here(
    world: Path, notebook_names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Go to a copy of the folder, in which commands that would train are only checked."""
    assert (world / notebook_names["run"].path).is_dir()
    folder = tmp_path / "here"
    shutil.copytree(world, folder)

    def start(*_: Any, **__: Any) -> None:
        raise Checked

    for place in ("tunebook.batch.execute", "tunebook.batch.resume", "tunebook.searching.search",
                  "tunebook.searching.resume_search", "tunebook.batch_runs.Batch.run"):  # fmt: skip
        monkeypatch.setattr(place, start)
    monkeypatch.setitem(os.environ, "TUNEBOOK_BATCH", "1")
    with small_recipes(folder):
        yield folder


@pytest.fixture
def names(here: Path, notebook_names: dict[str, Any]) -> Iterator[Names]:
    """Return the names that a page's Python blocks may use without making them."""
    import tunebook
    import tunebook_widgets
    from tunebook.runs import Run

    examples, model = (notebook_names[name] for name in ("examples", "model"))
    run = Run.open(here / "runs" / "mine")
    # A second run of the same recipe gets a name of its own.
    recipe = notebook_names["recipe"].changed(run="")
    going = []

    def tuning() -> Any:
        longer = recipe.changed(epochs=5_000)
        going.append(tunebook.tune(longer, examples, model, notebook_names["baseline"], notebook_names["findings"]))
        return going[-1]

    def scored() -> pd.DataFrame:
        predictions = run.report().predictions
        return predictions[predictions["model"] == "tuned"]

    makers: dict[str, Callable[[], Any]] = {
        **{name: lambda value=value: value for name, value in notebook_names.items()},
        "recipe": lambda: recipe,
        "tuned": lambda: run,
        "network": lambda: model,
        "tunebook": lambda: tunebook,
        "tuning": tuning,
        "report": run.report,
        "panel": lambda: tunebook_widgets.ControlPanel(recipe, model, examples),
        "watch": lambda: tunebook_widgets.watch,
        "scores": lambda: np.stack(scored()["scores"].to_list()),
        "groups": lambda: scored()["group_skin_tone"],
    }
    yield Names(makers)
    for started in going:
        started.stop()
        with pytest.raises(tunebook.TunebookError):
            started.result(60)
