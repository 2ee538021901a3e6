"""Figures of a search: drawn for any study, however little there is to see, and readable as text."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import matplotlib as mpl
import optuna
import pytest

from tunebook.search_figures import draw, short_names
from tunebook.search_objectives import read_objectives

if TYPE_CHECKING:
    from optuna.study import Study

optuna.logging.set_verbosity(optuna.logging.ERROR)


def _study(count: int, objectives: list[str], *, flat: bool = False, single: bool = False) -> Study:
    directions = [objective.direction for objective in read_objectives(objectives)]
    study = optuna.create_study(directions=directions, sampler=optuna.samplers.RandomSampler(seed=1))
    rng = random.Random(1)  # noqa: S311
    for _ in range(count):
        trial = study.ask()
        trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        if not single:
            trial.suggest_categorical("freeze", ("backbone", "-3", '["$a_b$.[0-3]*", "conv_stem"]'))
            trial.suggest_int("batch_size", 8, 64)
        study.tell(trial, [0.5 if flat else rng.random() for _ in directions])
    return study


def test_each_says_in_words_what_it_shows() -> None:
    found = draw(_study(12, ["accuracy"]), read_objectives(["accuracy"]))
    assert list(found) == ["history", "importance", "parallel", "slice"]
    assert found["history"].text.startswith("History of 12 complete trials: accuracy from ")
    assert all(name in found["importance"].text for name in ("lr", "freeze", "batch_size"))
    for picture in found.values():
        assert picture.png.startswith(b"\x89PNG")
        assert "cannot be drawn" not in picture.text


def test_two_objectives_have_a_front() -> None:
    study = _study(12, ["accuracy", "gap"])
    found = draw(study, read_objectives(["accuracy", "gap"]))
    assert f"{len(study.best_trials)} of 12 trials" in found["pareto"].text


@pytest.mark.parametrize(
    ("count", "flat", "single", "words"),
    [
        (0, False, False, "no trial is complete"),
        (1, False, False, "only one trial is complete"),
        (6, True, False, "all trials have the same loss"),
        (6, False, True, "only lr was varied"),
    ],
)
def test_what_cannot_be_compared_is_said(count: int, flat: bool, single: bool, words: str) -> None:  # noqa: FBT001
    found = draw(_study(count, ["loss"], flat=flat, single=single), read_objectives(["loss"]))
    assert words in found["importance"].text
    assert not [picture.text for picture in found.values() if "cannot be drawn" in picture.text]


def test_trials_that_all_failed_make_sentences() -> None:
    study = optuna.create_study()
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    assert all("no trial is complete" in p.text for p in draw(study, read_objectives(["loss"])).values())


def test_matplotlib_is_left_as_it_was() -> None:
    from matplotlib import pyplot as plt

    mine, before = plt.figure(), dict(mpl.rcParams)
    draw(_study(4, ["accuracy"]), read_objectives(["accuracy"]))
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == [mine.number]
    plt.close(mine)


def test_trials_that_figures_leave_out_are_counted() -> None:
    study = _study(8, ["accuracy"])
    for state in ("PRUNED", "PRUNED", "FAIL"):
        study.tell(study.ask(), state=optuna.trial.TrialState[state])
    study.ask()
    for picture in draw(study, read_objectives(["accuracy"])).values():
        assert picture.text.endswith("left out: 2 pruned, 1 failed, 1 running")


def test_labels_are_cut_only_as_far_as_they_differ() -> None:
    names = [f"convnext_base.fb_in22k_ft_in1k_384_{k}" for k in range(6)]
    cut = short_names(names)
    assert len(set(cut)) == 6
    assert max(map(len, cut)) <= 18
    middle = [f"{'a' * 20}{k}{'b' * 20}" for k in range(3)]
    assert len(set(short_names(middle))) == 3
    assert short_names([]) == []
