"""A run from start to end: what it leaves, how it is awaited, stopped and resumed."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch

import tunebook
from tunebook.errors import RecipeError, StorageError
from tunebook.runs import Run
from tunebook.storage import read_json, write_json
from tunebook.training import TrainingStopped

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import small_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.runs import State
    from tunebook.tuning import Tuning


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run.make_pictures(tmp_path_factory.mktemp("data") / "colours", count=20)


def _tune(pictures: Path, runs: Path, **changes: Any) -> Tuning[Run]:
    recipe = small_run.recipe(pictures, runs, **changes)
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    return tunebook.tune(recipe, examples, model, tunebook.measure_baseline(recipe, examples, model))


@pytest.fixture(scope="module")
def finished(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _tune(pictures, tmp_path_factory.mktemp("runs"), run="done", epochs=2, onnx=True).result()


def test_a_finished_run_has_everything(finished: Run) -> None:
    assert finished.state().state == "finished"
    names = {"recipe.json", "metrics.json", "predictions.parquet", "README.md", "model", "report", "checkpoints"}
    assert names <= {p.name for p in finished.path.iterdir()}
    metrics = json.loads((finished.path / "metrics.json").read_text())
    assert finished.state().metric == metrics["tuned"]["test"]["accuracy"]
    assert set(metrics["baselines"]) == {"majority class", "linear probe"}
    assert set(finished.recipe()) >= {"parameters", "versions", "seed", "data", "model"}
    assert "# done" in (finished.path / "README.md").read_text()


def test_predictions_agree_with_the_metrics(finished: Run) -> None:
    table = pd.read_parquet(finished.path / "predictions.parquet")
    assert table.groupby("model").size().tolist() == [24, 24]
    assert np.stack(table["scores"].to_list()).sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    test = table[(table["model"] == "tuned") & (table["split"] == "test")]
    assert (test["truth"] == test["prediction"]).mean() == pytest.approx(finished.state().metric)


def test_timm_s_own_transform_gives_the_predictions(finished: Run, pictures: Path) -> None:
    import timm
    from PIL import Image
    from timm.data import create_transform, resolve_data_config

    module = timm.create_model(f"local-dir:{finished.path / 'model'}", pretrained=True).eval()
    cut = create_transform(**resolve_data_config({}, model=module))
    table = pd.read_parquet(finished.path / "predictions.parquet")
    table = table[table["model"] == "tuned"]
    batch = torch.stack([cut(Image.open(pictures / name).convert("RGB")) for name in table["id"]])
    with torch.no_grad():
        scores = module(batch).softmax(dim=1).numpy()
    assert scores == pytest.approx(np.stack(table["scores"].to_list()), abs=1e-4)


def test_timm_and_onnx_open_the_model_and_agree(finished: Run) -> None:
    import onnxruntime
    import timm

    file = finished.path / "model" / "model.safetensors"
    module = timm.create_model("test_efficientnet", num_classes=3, checkpoint_path=str(file)).eval()
    inputs = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = module(inputs).numpy()
    session = onnxruntime.InferenceSession(finished.path / "model" / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": inputs.numpy()})[0] == pytest.approx(expected, abs=1e-3)


def test_a_tuned_folder_is_a_model_with_its_head(finished: Run, pictures: Path, tmp_path: Path) -> None:
    recipe = small_run.recipe(pictures, tmp_path, model=str(finished.path / "model"), weights="pretrained")
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    assert model.head_is_trained
    baseline = tunebook.measure_baseline(recipe, examples, model)
    assert baseline.metrics["model as it starts"]["test"]["accuracy"] == pytest.approx(finished.state().metric)


def test_the_report_is_made_from_the_directory_alone(finished: Run) -> None:
    report = Run(finished.path).report()
    table = report.stages()
    assert list(table.index[:2]) == ["baseline: majority class", "baseline: linear probe"]
    assert table.index[-1].startswith("final: epoch ")
    # Only baselines and the final model were ever measured on the test set.
    assert table["test accuracy"].isna().tolist() == [False, False, *[True] * (len(table) - 3), False]
    assert report.curves().png.startswith(b"\x89PNG")
    assert report.verdicts()
    assert "undefined" not in tunebook.formatted(report.classes_table(), missing="undefined").to_string()
    assert report.by_group().empty


def test_a_model_tuned_again_begins_where_it_began(pictures: Path, tmp_path: Path) -> None:
    recipe = small_run.recipe(pictures, tmp_path, epochs=1)
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    runs = [tunebook.tune(recipe, examples, model).result() for _ in range(2)]
    weights = [(run.path / "model" / "model.safetensors").read_bytes() for run in runs]
    assert runs[0].path != runs[1].path
    assert weights[0] == weights[1]


def test_a_run_is_never_written_over(finished: Run, pictures: Path) -> None:
    with pytest.raises(StorageError, match="is there already"):
        _tune(pictures, finished.path.parent, run="done")
    with pytest.raises(StorageError, match="nothing to resume"):
        _tune(pictures, finished.path.parent, resume=str(finished.path))


def test_stopping_leaves_a_run_that_goes_on(pictures: Path, tmp_path: Path) -> None:
    tuning = _tune(pictures, tmp_path, run="stopped")
    tuning.stop()
    with pytest.raises(TrainingStopped, match="resume="):
        tuning.result()
    assert Run(tmp_path / "stopped").state().state == "stopped"
    with pytest.raises(RecipeError, match=r"parameter lr .*keeps its recipe"):
        _tune(pictures, tmp_path, resume=str(tmp_path / "stopped"), lr=0.5).result()
    # A run of an earlier version lacks the parameters that came since, and other libraries are remarked on.
    kept = read_json(tmp_path / "stopped" / "recipe.json")
    del kept["parameters"]["on_memory"]
    kept["versions"]["timm"] = "1.0.0"
    write_json(tmp_path / "stopped" / "recipe.json", kept)
    resumed = _tune(pictures, tmp_path, resume=str(tmp_path / "stopped"))
    assert resumed.result().state().state == "finished"
    assert "resume: timm 1.0.0 then, " in resumed.describe()
    assert "; then resumed with timm " in (tmp_path / "stopped" / "README.md").read_text(encoding="utf-8")


def test_only_one_process_owns_a_run(pictures: Path, tmp_path: Path) -> None:
    tuning = _tune(pictures, tmp_path, run="mine")
    tuning.stop()
    with pytest.raises(TrainingStopped):
        tuning.result()
    with Run(tmp_path / "mine").owned(), pytest.raises(StorageError, match="owned by process"):
        _tune(pictures, tmp_path, resume=str(tmp_path / "mine")).result()


def test_it_can_be_awaited(pictures: Path, tmp_path: Path) -> None:
    async def notebook() -> tuple[Run, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        run = await _tune(pictures, tmp_path, epochs=1, unfreeze=[])
        ticking.cancel()
        return run, ticks

    run, ticks = asyncio.run(notebook())
    assert run.state().state == "finished"
    assert ticks > 5  # the loop was free meanwhile


def test_interrupting_the_cell_ends_with_a_checkpoint(pictures: Path, tmp_path: Path) -> None:
    async def notebook() -> None:
        async def cell() -> None:
            await _tune(pictures, tmp_path, run="interrupted", epochs=500)

        task = asyncio.create_task(cell())
        run = tmp_path / "interrupted"
        while not list((run / "checkpoints").glob("step-*")):  # noqa: ASYNC110 - the file is written by a thread
            await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(notebook())
    state = Run(tmp_path / "interrupted").state()
    assert state.state == "stopped"
    assert "can be resumed" in state.message


def _until(tuning: Tuning[Run], condition: Callable[[State], bool], seconds: float = 60.0) -> State:
    """Wait for a state of a run, as another process sees it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = Run(tuning.run.path).state()
        if condition(state):
            return state
        assert not tuning.done(), tuning.result()
        time.sleep(0.02)
    raise TimeoutError(state)


#: Long enough to be interfered with; short when it is told to finish.
LONG = {"epochs": 2_000, "unfreeze": [], "schedule": "constant", "cache": "off"}


def test_a_run_is_known_at_once_and_says_how_it_goes(pictures: Path, tmp_path: Path) -> None:
    tuning = _tune(pictures, tmp_path, run="live", **LONG)
    assert tuning.run.path == tmp_path / "live"
    state = _until(tuning, lambda state: state.step > 2 and state.state == "running")
    assert state.examples_per_second is not None
    assert state.examples_per_second > 0
    assert 50e6 < state.memory < 50e9
    assert (state.lr, state.freeze, state.paused) == (2e-3, "head trains", False)
    assert "/2000" in tuning.describe()
    assert "/s" in tuning.describe()
    tuning.run.control.send("lr", 1e-4)
    tuning.run.control.send("freeze", -2)
    _until(tuning, lambda state: state.lr == 1e-4 and state.freeze.endswith(" + head train"))
    tuning.run.control.send("finish")
    run = tuning.result(60)
    state = run.state()
    assert (state.state, state.paused, state.examples_per_second, state.seconds_left) == ("finished", False, None, None)
    assert state.metric is not None
    assert [o.words.split(" ")[0] for o in run.control.outcomes()] == ["lr", "freeze", "finish"]


def test_a_paused_run_has_a_heartbeat_and_is_stopped_within_two_seconds(pictures: Path, tmp_path: Path) -> None:
    tuning = _tune(pictures, tmp_path, run="paused", **LONG)
    control = tuning.run.control
    control.send("pause")
    state = _until(tuning, lambda state: state.paused)
    assert "pauses" in tuning.describe()
    first = state.heartbeat
    later = _until(tuning, lambda state: state.heartbeat > first + 0.9)
    assert (later.step, later.state) == (state.step, "running")
    began = time.monotonic()
    control.send("stop")
    with pytest.raises(TrainingStopped, match="resume="):
        tuning.result(30)
    assert time.monotonic() - began < 2.0
    assert Run(tmp_path / "paused").state().state == "stopped"
    assert not Run(tmp_path / "paused").state().paused
    resumed = _tune(pictures, tmp_path, resume=str(tmp_path / "paused"), run="paused", **LONG)
    _until(resumed, lambda state: state.step > state.epoch and state.state == "running" and not state.paused)
    resumed.run.control.send("finish")
    assert resumed.result(60).state().state == "finished"


def test_a_session_with_changes_at_any_time_is_replayed_to_the_same_bits(pictures: Path, tmp_path: Path) -> None:
    """What a person does comes when it comes: a thread that sends does not wait for steps."""
    session = {"epochs": 40, "unfreeze": [[20, "none"]], "mixup": 0.0}
    tuning = _tune(pictures, tmp_path, run="live", **session)
    control = tuning.run.control
    _until(tuning, lambda state: state.step > 3)
    commands = [("lr", 5e-4), ("dropout", {"head": 0.5}), ("freeze", -3), ("pause", None), ("resume", None),
                ("next_stage", None), ("lr", 1e-3), ("finish", None)]  # fmt: skip
    for command, value in commands:
        assert control.wait(control.send(command, value, by="test"), 60) is not None
    tuning.result(120)
    done = [outcome.command for outcome in control.outcomes()]
    assert done == [command for command, _ in commands]
    replayed = _tune(pictures, tmp_path, run="replayed", replay="live", **session).result(120)
    assert small_run.outcome(replayed.path) == small_run.outcome(tmp_path / "live")


def test_what_cannot_be_replayed_is_told_before_there_is_a_run(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="parameter replay: no run and no file 'nowhere'"):
        _tune(pictures, tmp_path, run="never", replay="nowhere")
    assert not (tmp_path / "never").exists()


def test_the_log_says_what_changed_how_fast_it_went_and_what_is_mistaken_for_what(finished: Run) -> None:
    from tunebook.events import read_scalars

    scalars = read_scalars(finished.path)
    for tag in ("speed/examples_per_second", "memory/rss_mb"):
        assert len(scalars[tag]) == 2
        assert (scalars[tag][:, 1] > 0).all()
    from tunebook.run_curves import RunCurves

    curves = RunCurves(finished.path)
    curves.poll()
    stages = [row["trains"] for row in json.loads((finished.path / "metrics.json").read_text())["history"]]
    assert curves.texts("marks") == [(0, f"stage: {stages[0]} trains"), (5, f"stage: {stages[1]} train")]
    confusion = curves.tensors("confusion/validation")
    assert [step for step, _ in confusion] == [5, 10]
    assert all(table.shape == (3, 3) and table.sum() == 12 for _, table in confusion)


def test_waiting_can_show_elsewhere_or_nowhere(pictures: Path, tmp_path: Path) -> None:
    texts: list[str] = []
    run = asyncio.run(_tune(pictures, tmp_path, run="shown", epochs=1, unfreeze=[]).wait(texts.append))
    assert run.state().state == "finished"
    assert texts[-1].startswith("shown: finished")
    assert asyncio.run(_tune(pictures, tmp_path, epochs=1, unfreeze=[]).wait()).state().state == "finished"


def test_a_display_that_fails_does_not_leave_a_training_behind(pictures: Path, tmp_path: Path) -> None:
    def show(_: str) -> None:
        raise ZeroDivisionError

    tuning = _tune(pictures, tmp_path, run="blind", **LONG)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(tuning.wait(show))
    assert tuning.done()
    assert Run(tmp_path / "blind").state().state == "stopped"
    for thread in [thread for thread in threading.enumerate() if thread.name == "tunebook-training"]:
        thread.join(60)  # its result is there a moment before its end
        assert not thread.is_alive()


def test_a_run_from_before_a_parameter_goes_on_with_its_default() -> None:
    from tunebook.tuning import _check_same

    whole = {"data": {"sha256": "1"}, "model": {"sha256": "2"}}
    defaults = {"lr": 1e-3, "threshold": 0.5}
    before = {"parameters": {"lr": 0.1}, **whole}
    _check_same(before, {"parameters": {"lr": 0.1, "threshold": 0.5}, **whole}, defaults, Run(Path("old")))
    with pytest.raises(RecipeError, match="parameter threshold is 'f1' but run old has"):
        _check_same(before, {"parameters": {"lr": 0.1, "threshold": "f1"}, **whole}, defaults, Run(Path("old")))
