"""Weights by group and class, in the loss and in the drawing of examples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tunebook
from tunebook.errors import RecipeError
from tunebook.examples import Examples
from tunebook.mitigating import Mitigation
from tunebook.tasks.text_classification.recipe import TextClassification

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import small_run


def _examples() -> Examples:
    frame = pd.DataFrame(
        {
            "id": [str(k) for k in range(12)],
            "split": ["train"] * 10 + ["validation", "test"],
            "label": list("aaaabbaabbab"),
            "sex": list("mmmmmfffffmf"),
        }
    )
    return Examples(frame, ("a", "b"), source="here", sensitive=("sex",))


def _recipe(**values: Any) -> TextClassification:
    return TextClassification(**values)


def test_nothing_is_weighed_by_default() -> None:
    found = Mitigation(_recipe(), _examples(), can_weigh=True)
    assert found.loss is None
    assert found.drawing is None


def test_reweighting_makes_classes_independent_of_groups() -> None:
    examples = _examples()
    found = Mitigation(_recipe(mitigate="reweight"), examples, can_weigh=True)
    assert found.drawing is None
    assert found.loss is not None
    train = examples.frame.iloc[:10].assign(weight=found.loss[:10])
    sums = train.pivot_table("weight", "sex", "label", aggfunc="sum")
    shares = sums.div(sums.sum(axis=1), axis=0)
    assert np.allclose(shares.loc["f"], shares.loc["m"])
    assert found.loss[:10].mean() == pytest.approx(1.0)


def test_resampling_draws_all_groups_alike() -> None:
    examples = _examples()
    found = Mitigation(_recipe(mitigate="resample"), examples, can_weigh=True)
    assert found.loss is None
    assert found.drawing is not None
    sums = examples.frame.iloc[:10].assign(weight=found.drawing).groupby("sex")["weight"].sum()
    assert sums["f"] == pytest.approx(sums["m"])


def test_what_cannot_be_weighed_is_drawn_more_often() -> None:
    weighed = Mitigation(_recipe(mitigate="reweight"), _examples(), can_weigh=True).loss
    drawn = Mitigation(_recipe(mitigate="reweight"), _examples(), can_weigh=False).drawing
    assert weighed is not None
    assert drawn == pytest.approx(weighed[:10])


def test_an_unknown_column_is_refused_in_one_line() -> None:
    with pytest.raises(RecipeError, match=r"no sensitive column 'sxe'; did you mean 'sex'\?"):
        Mitigation(_recipe(mitigate="reweight", mitigate_by="sxe"), _examples(), can_weigh=True)
    bare = Examples(_examples().frame, ("a", "b"), source="here", sensitive=())
    with pytest.raises(RecipeError, match="name one in sensitive"):
        Mitigation(_recipe(mitigate="resample"), bare, can_weigh=True)


def test_a_run_trains_with_weights_of_groups_and_ends_elsewhere(tmp_path: Path) -> None:
    pictures = small_run.make_pictures(tmp_path / "colours", count=20)
    files = sorted(pictures.rglob("*.png"))
    table = pd.DataFrame({"path": [str(f) for f in files], "label": [f.parent.name for f in files]})
    table["region"] = ["north" if k % 3 else "south" for k in range(len(table))]
    table.loc[table["label"] == "red", "region"] = "south"
    table.to_csv(tmp_path / "table.csv", index=False)
    weights = set()
    for mitigate in ("none", "reweight", "resample"):
        recipe = small_run.recipe(
            tmp_path / "table.csv", tmp_path / "runs", epochs=1, sensitive=["region"], mitigate=mitigate
        )
        examples = tunebook.load_examples(recipe)
        run = tunebook.tune(recipe, examples, tunebook.load_model(recipe, examples)).result()
        weights.add((run.path / "model" / "model.safetensors").read_bytes())
    assert len(weights) == 3
