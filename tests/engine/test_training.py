"""The loop: what it changes, what it may not, and what a hand can change between steps."""

from __future__ import annotations

import math
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from tunebook.checkpoints import Checkpoint, Checkpoints
from tunebook.errors import RecipeError, TrainingError
from tunebook.events import EventLog
from tunebook.monitors import curve, larger_is_better, measured
from tunebook.run_curves import RunCurves, best_epoch
from tunebook.training import Trainer, TrainingStopped

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import small_run

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run.make_pictures(tmp_path_factory.mktemp("data") / "colours", count=20)


def _trainer(pictures: Path, checkpoints: Checkpoints | None = None, **changes: Any) -> Trainer:
    import tunebook
    from tunebook import workflow
    from tunebook.devices import Devices
    from tunebook.tasks import get_task

    recipe = small_run.recipe(pictures, pictures, **changes)
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    reader = workflow._features(recipe, examples, model).reader
    devices = Devices(recipe, model.module)
    return Trainer(get_task(recipe.task), recipe, examples, model, reader, devices, checkpoints=checkpoints)


def _weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.module.state_dict().items()}


def test_the_loss_falls_on_colours_that_can_be_told_apart(pictures: Path) -> None:
    plain = {"mixup": 0.0, "augment": "none", "label_smoothing": 0.0, "dropout": 0.0, "stochastic_depth": 0.0}
    history = _trainer(pictures, freeze="none", unfreeze=[], epochs=6, lr=5e-3, **plain).fit().history
    assert history[-1]["running_loss"] < 0.6 * history[0]["running_loss"]
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]


def test_a_new_head_gives_every_class_the_same_chance(pictures: Path) -> None:
    trainer = _trainer(pictures, mixup=0.0)
    trainer._step(trainer._batches(0)[0], 0, 0)
    assert trainer.last_loss == pytest.approx(math.log(3), rel=1e-5)


def test_what_is_frozen_does_not_move(pictures: Path) -> None:
    trainer = _trainer(pictures, freeze="backbone", unfreeze=[[1, -2]], epochs=2)
    before = _weights(trainer)
    trainer.fit()
    moved = {name for name, value in _weights(trainer).items() if not torch.equal(value, before[name])}
    late = {name for stage in trainer.model.stages.items[-2:] for name in stage.parameters}
    assert set(trainer.model.stages.items[-1].parameters) <= moved
    assert {name for name in moved if name in dict(trainer.model.module.named_parameters())} <= late
    assert [row["trains"] for row in trainer.progress.history] == ["head", trainer.model.stages.describe(-2)]


def test_a_resumed_training_ends_with_the_same_bits(pictures: Path, tmp_path: Path) -> None:
    whole = _trainer(pictures)
    whole.fit()
    stop = threading.Event()
    stopped = _trainer(pictures, Checkpoints(tmp_path))

    def after_seven(trainer: Trainer) -> None:
        if trainer.progress.step == 7:
            stop.set()

    with pytest.raises(TrainingStopped, match="step 7"):
        stopped.fit(stop, after_seven)
    found = Checkpoints(tmp_path).latest()
    assert found is not None
    resumed = _trainer(pictures)
    torch.manual_seed(99)  # what drew random numbers in between changes nothing
    resumed.restore(found[0])
    assert resumed.progress.step == 7
    resumed.fit()
    assert asdict(resumed.progress) == asdict(whole.progress)
    expected = _weights(whole)
    assert all(torch.equal(value, expected[name]) for name, value in _weights(resumed).items())


def test_a_checkpoint_of_another_model_is_refused(pictures: Path) -> None:
    with pytest.raises(TrainingError, match="does not fit"):
        _trainer(pictures).restore(Checkpoint({"weight": torch.zeros(2)}, {}, {}))


def test_freeze_dropout_and_rate_change_between_steps(pictures: Path) -> None:
    trainer = _trainer(pictures, freeze="none", unfreeze=[], epochs=2, mixup=0.0)
    seen: list[tuple[int, float]] = []

    def change(trainer: Trainer) -> None:
        if trainer.progress.step == 2 and trainer.progress.in_epoch:
            trainer.set_freeze("backbone")
            trainer.set_dropout({"head": 0.5})
            trainer.set_lr(1e-5)
            seen.append((trainer.model.stages.trainable(), trainer.model.dropout.rates()["head"]))
            change.before = _weights(trainer)  # type: ignore[attr-defined]
        if trainer.progress.step == 3 and trainer.progress.in_epoch:
            after = _weights(trainer)
            head = set(trainer.model.stages.items[-1].parameters)
            before = change.before  # type: ignore[attr-defined]
            assert {name for name in after if not torch.equal(after[name], before[name])} <= head
            assert max(group["lr"] for group in trainer.optimizer.param_groups) <= 1e-5

    trainer.fit(on_step=change)
    assert seen == [(sum(p.numel() for p in trainer.model.module.parameters() if p.requires_grad), 0.5)]
    with pytest.raises(RecipeError, match="lr"):
        trainer.set_lr(float("nan"))


def test_a_loss_that_is_not_a_number_ends_training_at_once(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path)
    trainer = _trainer(pictures, checkpoints)
    real = trainer.model.objective.loss

    def loss(*args: Any, **kwargs: Any) -> torch.Tensor:
        return real(*args, **kwargs) * (math.nan if trainer.progress.step == 8 else 1.0)

    monkeypatch.setattr(trainer.model.objective, "loss", loss)
    with pytest.raises(TrainingError, match=r"nan at step 9 .*lower lr"):
        trainer.fit()
    assert trainer.progress.step == 8
    assert all(torch.isfinite(value).all() for value in checkpoints.load_best()[0].values())


def test_patience_ends_it(pictures: Path) -> None:
    trainer = _trainer(pictures, lr=1e-9, epochs=50, patience=2, monitor="accuracy")
    assert len(trainer.fit().history) < 50
    assert trainer.progress.waited == 2


def test_an_unknown_class_is_refused_before_training(pictures: Path) -> None:
    with pytest.raises(RecipeError, match="'rde'; did you mean 'red'"):
        _trainer(pictures, class_weights={"rde": 2.0})
    with pytest.raises(RecipeError, match="sampler"):
        _trainer(pictures, sampler={"rde": 2.0})


class Log:
    """Remembers at which step which tags were logged."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self.seen += [(step, tag) for tag in values]

    def text(self, tag: str, text: str, step: int) -> None:
        self.seen.append((step, f"{tag}: {text}"))

    def tensor(self, tag: str, array: Any, step: int) -> None:
        self.seen.append((step, f"{tag} {array.sum()}"))

    def flush(self) -> None: ...


def test_a_resumed_training_logs_what_the_log_lost_and_nothing_else(pictures: Path, tmp_path: Path) -> None:
    logs = [Log(), Log(), Log()]
    whole, first, second = (_trainer(pictures, Checkpoints(tmp_path / str(k))) for k in range(3))
    for trainer, log in zip((whole, first, second), logs, strict=True):
        trainer.log = log  # type: ignore[assignment]
    whole.fit()

    class KilledError(Exception):
        pass

    def kill(trainer: Trainer) -> None:
        if trainer.progress.step == 8:
            raise KilledError

    with pytest.raises(KilledError):
        first.fit(on_step=kill)
    found = Checkpoints(tmp_path / "1").latest()
    assert found is not None
    at = found[0].progress["step"]
    assert 5 <= at < 8
    second.restore(found[0])
    second.fit()
    # Readers drop what was logged behind the checkpoint.
    kept = [entry for entry in logs[1].seen if entry[0] <= at]
    assert sorted(kept + logs[2].seen) == sorted(logs[0].seen)
    marks = [entry for entry in logs[0].seen if entry[1].startswith("marks")]
    stages = whole.model.stages.describe
    assert marks == [(0, "marks: stage: head trains"), (5, f"marks: stage: {stages(-2)} train"),
                     (10, "marks: stage: whole model trains")]  # fmt: skip
    assert [step for step, tag in logs[0].seen if tag == "confusion/validation 12"] == [5, 10, 15, 20]
    assert [step for step, tag in logs[0].seen if tag == "trainable_parameters"] == [0, 5, 10, 15]
    for tag in ("speed/examples_per_second", "memory/rss_mb"):
        assert [step for step, name in logs[0].seen if name == tag] == [5, 10, 15, 20]


def test_speed_is_that_of_the_last_steps(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    trainer = _trainer(pictures, epochs=1, unfreeze=[])
    assert trainer.examples_per_second is None
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    trainer._started = trainer._first = 0
    for seconds in (1.0, 1.0, 0.1):
        trainer.progress.step += 1
        now += seconds
        trainer._note_time(10, now - seconds)
        if seconds == 1.0:
            assert trainer.examples_per_second == pytest.approx(10.0)
    # What was before counts nine tenths a step.
    assert trainer.examples_per_second == pytest.approx((8.1 + 9 + 10) / (0.81 + 0.9 + 0.1))
    assert trainer.seconds_left == pytest.approx(2.1 / 3 * (trainer.steps - 3))


def test_what_trains_is_said_in_words(pictures: Path) -> None:
    trainer = _trainer(pictures)
    names = trainer.model.stages.names
    for freeze, words in (
        ("backbone", "head trains"), (-2, f"{names[-2]} + head train"), ("none", "whole model trains"),
        (-3, f"{names[-3]} … head (3 stages) train"),
    ):  # fmt: skip
        trainer.set_freeze(freeze)
        assert trainer.trains == words


def _logged(pictures: Path, folder: Path, **changes: Any) -> tuple[Trainer, RunCurves]:
    log = EventLog(folder)
    trainer = _trainer(pictures, **changes)
    trainer.log = log
    trainer.fit()
    log.close()
    curves = RunCurves(folder)
    curves.poll()
    return trainer, curves


@pytest.mark.parametrize("monitor", ["loss", "ece", "roc_auc", "gap", "gap:tone"])
def test_what_chooses_the_best_epoch_is_logged_and_the_curves_find_that_epoch(
    pictures: Path, tmp_path: Path, monitor: str
) -> None:
    rows = [
        f"{file},{file.parent.name},{'dark' if int(file.stem) % 3 else 'light'}" for file in pictures.rglob("*.png")
    ]
    (tmp_path / "table.csv").write_text("\n".join(["path,label,tone", *rows]))
    grouped = {"data": str(tmp_path / "table.csv"), "sensitive": ["tone"], "validation_fraction": 0.6}
    trainer, curves = _logged(pictures, tmp_path, monitor=monitor, epochs=3, unfreeze=[], lr=5e-2, **grouped)
    history, best = trainer.progress.history, int(trainer.progress.best["epoch"])
    chosen = [measured(row["validation"], monitor) for row in history]
    points = curves.points(curve(monitor))
    assert points[:, 0].tolist() == [row["step"] for row in history]
    assert points[:, 1] == pytest.approx(chosen, abs=1e-6)
    assert chosen[best - 1] == (max if larger_is_better(monitor) else min)(chosen)
    assert best_epoch(curves, monitor) == best


def test_a_metric_that_the_validation_set_leaves_undefined_cannot_choose(pictures: Path) -> None:
    import tunebook

    recipe = small_run.recipe(pictures, pictures, monitor="roc_auc", validation_fraction=0.2)
    examples = tunebook.load_examples(recipe)
    frame = examples.frame
    frame.loc[(frame["split"] == "validation") & (frame["label"] != "red"), "split"] = "test"
    with pytest.raises(RecipeError, match="monitor='roc_auc': ROC AUC compares"):
        tunebook.load_model(recipe, examples)
