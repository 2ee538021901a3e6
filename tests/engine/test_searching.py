"""A sweep from start to end: exact numbers of trials whatever is killed, and what its directory holds."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pandas as pd
import psutil
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tunebook.errors import RecipeError, StorageError, TunebookError
from tunebook.runs import Run, list_runs
from tunebook.searching import Search, Searching, resume_search, search
from tunebook.tasks import recipe_class
from tunebook.training import TrainingStopped

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import small_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunebook.search_ledger import Row

SPACES = {"lr": "log(1e-3,1e-1)", "freeze": "backbone,-2"}
SMALL = {
    "model": "test_efficientnet", "weights": "none", "image_size": 32, "batch_size": 8, "epochs": 2, "augment": "none",
    "unfreeze": [], "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return pictures of three colours, half of each in a group of their own."""
    folder = small_run.make_pictures(tmp_path_factory.mktemp("data") / "colours", count=40)
    rows = [(str(p), p.parent.name, "ab"[int(p.stem) % 2]) for p in sorted(folder.glob("*/*.png"))]
    pd.DataFrame(rows, columns=["path", "label", "tone"]).to_csv(folder.parent / "colours.csv", index=False)
    return folder.parent / "colours.csv"


@pytest.fixture
def begin(pictures: Path, tmp_path: Path) -> Callable[..., Searching]:
    def start(**changes: Any) -> Searching:
        given = {**SMALL, "data": str(pictures), "sensitive": ["tone"], **changes.pop("parameters", {})}
        options = {"trials": 6, "method": "random", "name": "sweep", "runs_dir": str(tmp_path), "prune": False}
        spaces = changes.pop("space", SPACES)
        return search("image-classification", spaces, parameters=given, **{**options, **changes})

    return start


def _states(run: Path) -> list[str]:
    storage = JournalStorage(JournalFileBackend(str(run / "optuna.journal")))
    return [trial.state.name for trial in optuna.load_study(study_name=run.name, storage=storage).trials]


def _workers(parent: int) -> Iterator[psutil.Process]:
    for child in psutil.Process(parent).children(recursive=True):
        if "tunebook.search_worker" in child.cmdline():
            yield child


@pytest.fixture(scope="module")
def finished(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Search:
    """Return a sweep with two objectives that has run to its end in this process."""
    given = {**SMALL, "data": str(pictures), "sensitive": ["tone"]}
    return search(
        "image-classification", SPACES, parameters=given, trials=6, objectives=["macro_f1", "gap:tone"],
        runs_dir=str(tmp_path_factory.mktemp("runs")), name="done",
    ).result()  # fmt: skip


# What is there in the end


def test_the_directory_holds_all_that_was_found(finished: Search) -> None:
    assert set(finished.files()) >= {
        "sweep.json", "state.json", "trials.csv", "trials.parquet", "best.json", "figures/", "parameters.py",
        "README.md",
    }  # fmt: skip
    assert not list(finished.path.glob(".*.part"))
    state = finished.run.state()
    assert (state.state, state.task, state.step, state.steps) == ("finished", "image-classification", 6, 6)
    assert state.metric is None  # the test set was not looked at
    assert "6 of 6 trials" in state.message
    plan = json.loads((finished.path / "sweep.json").read_text())
    assert plan["spaces"] == SPACES
    assert len(plan["data"]["sha256"]) == 64
    assert {"optuna", "torch"} <= set(plan["versions"])
    assert list_runs(finished.path.parent)[0].state() == state


def test_tables_say_the_same_as_the_study(finished: Search) -> None:
    table = finished.table()
    assert _states(finished.path) == ["COMPLETE"] * 6
    assert list(table.columns) == ["state", "macro_f1", "gap:tone", "lr", "freeze", "seconds", "epoch", "message"]
    assert list(table.index) == list(range(6))
    assert pd.read_csv(finished.path / "trials.csv")["macro_f1"].tolist() == pytest.approx(table["macro_f1"].tolist())
    assert finished.best["values"] == table.loc[finished.best["number"], ["macro_f1", "gap:tone"]].tolist()
    assert finished.best_trials(3).index[0] == finished.best["number"]
    assert max(table["macro_f1"]) == finished.best["values"][0]
    assert finished.best["number"] in {trial["number"] for trial in finished.front}


def test_the_best_trial_is_a_whole_parameters_cell(finished: Search) -> None:
    source = (finished.path / "parameters.py").read_text()
    assert source == finished.parameters_cell() + "\n"
    values = {node.target.id: ast.literal_eval(node.value) for node in ast.parse(source).body}  # type: ignore[attr-defined]
    recipe = recipe_class("image-classification")(**values)
    assert {name: getattr(recipe, name) for name in SPACES} == finished.best["parameters"]
    assert (recipe.epochs, recipe.model) == (2, "test_efficientnet")


def test_figures_are_pictures_with_words_beside_them(finished: Search) -> None:
    assert list(finished.figures) == ["history", "importance", "parallel", "slice", "pareto"]
    for name, picture in finished.figures.items():
        assert picture.png.startswith(b"\x89PNG")
        assert "cannot be drawn" not in picture.text
        assert picture.text in (finished.path / "figures" / f"{name}.txt").read_text()


def test_more_trials_can_be_asked_for_but_not_fewer(begin: Callable[..., Searching]) -> None:
    first = begin(trials=2, method="bayesian").result()
    before = first.table()["lr"].tolist()
    with pytest.raises(StorageError, match="is finished"):
        resume_search(str(first.path))
    with pytest.raises(RecipeError, match="can only get more"):
        resume_search(str(first.path), trials=1)
    more = resume_search(str(first.path), trials=3).result()
    assert _states(more.path) == ["COMPLETE"] * 3
    assert more.table().loc[:1, "lr"].tolist() == before


# What fails


def test_trials_that_fail_do_not_end_the_search(begin: Callable[..., Searching]) -> None:
    found = begin(space={"freeze": "backbone,99"}, method="grid", trials=None).result()
    assert sorted(_states(found.path)) == ["COMPLETE", "FAIL"]
    failed = found.table().query("state == 'failed'").iloc[0]
    assert "freeze=99" in failed["message"]
    assert "99" in (found.path / "README.md").read_text()


def test_a_search_without_a_complete_trial_fails_with_the_reason(begin: Callable[..., Searching]) -> None:
    searching = begin(space={"freeze": "98,99"}, method="grid", trials=None)
    with pytest.raises(TunebookError, match="no trial is complete: freeze=9"):
        searching.result()
    assert searching.run.state().state == "failed"
    assert _states(searching.run.path) == ["FAIL", "FAIL"]
    with pytest.raises(StorageError, match="no complete trial"):
        _ = Search(searching.run).best


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objectives": ["gap"], "parameters": {"sensitive": []}}, "no sensitive attribute"),
        ({"parameters": {"data": "nowhere"}}, "nowhere"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "does not answer"),
    ],
)
def test_what_no_trial_could_mend_ends_it_at_once(
    begin: Callable[..., Searching], changes: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunebook.cluster.PATIENCE", 1)
    searching = begin(**changes)
    with pytest.raises(TunebookError, match=words):
        searching.result()
    assert searching.run.state().state == "failed"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workers": -1}, "workers: got -1"),
        ({"workers": 2, "scheduler": "tcp://a:1"}, "leave one of them out"),
        ({"name": "../sweep"}, "parameter run"),
        ({"storage": "not a url"}, "no URL"),
    ],
)
def test_mistakes_make_no_directory(begin: Callable[..., Searching], changes: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(TunebookError, match=words):
        begin(**changes)
    assert not list(tmp_path.iterdir())


# What is interrupted


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_its_trial_run_again(begin: Callable[..., Searching]) -> None:
    killed: list[int] = []

    def kill(_row: Row, _best: Row | None) -> None:
        if not killed:
            killed.append(next(_workers(os.getpid())).pid)
            os.kill(killed[0], signal.SIGKILL)

    found = begin(workers=2, on_trial=kill).result()
    assert killed
    assert _states(found.path) == ["COMPLETE"] * 6
    alone = begin(name="alone").result()
    # Trained again with the same parameters, in other processes: the same trials.
    columns = ["state", "lr", "freeze", "epoch"]
    assert found.table()[columns].equals(alone.table()[columns])
    assert found.table()["macro_f1"].tolist() == pytest.approx(alone.table()["macro_f1"].tolist(), abs=0.1)
    assert not list(_workers(os.getpid()))


@pytest.mark.slow
def test_a_trial_that_takes_every_worker_with_it_fails(
    begin: Callable[..., Searching], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunebook.search_workers import Processes

    hear = Processes._hear

    def kill_trial_1(self: Any, worker: Any, desk: Any) -> None:
        if worker.job is not None and worker.job.number == 1:
            worker.process.kill()
            worker.process.wait()
            worker.connection.recv_bytes()
        hear(self, worker, desk)

    monkeypatch.setattr(Processes, "_hear", kill_trial_1)
    monkeypatch.setattr("tunebook.search_workers.MOST_LOSSES", 1)
    found = begin(workers=1, trials=3).result()
    assert _states(found.path) == ["COMPLETE", "FAIL", "COMPLETE"]
    assert "was killed 1 times" in found.table().loc[1, "message"]


def test_workers_that_cannot_start_end_it_with_what_they_said(
    begin: Callable[..., Searching], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr("tunebook.search_workers.sys.executable", "/bin/false")
    with pytest.raises(TunebookError, match="workers die at their start"):
        begin(workers=1).result()


def _start_command(pictures: Path, runs: Path, *more: str) -> subprocess.Popen[str]:
    given = [item for name, value in {**SMALL, "epochs": 4, "data": str(pictures)}.items()
             for item in ("-p", name, value if isinstance(value, str) else json.dumps(value))]  # fmt: skip
    spaces = [item for name, text in SPACES.items() for item in ("-s", f"{name}={text}")]
    command = [
        sys.executable, "-m", "tunebook.cli", "sweep", "image-classification", *given, *spaces, "--trials", "6",
        "--method", "random", "--name", "sweep", "--runs-dir", str(runs), "--no-prune", *more,
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _after_trials(process: subprocess.Popen[str], count: int) -> None:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        count -= line.startswith("trial ")
        if count <= 0:
            return
    pytest.fail(f"the search ended before it could be killed: {''.join(seen)[-2000:]}")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_parent_that_is_killed_goes_on_with_the_same_trials(pictures: Path, tmp_path: Path, workers: int) -> None:
    with _start_command(pictures, tmp_path, "--workers", str(workers)) as process:
        _after_trials(process, 2)
        children = list(_workers(process.pid))
        assert len(children) == workers
        process.kill()
    run = Run(tmp_path / "sweep")
    asked = _asked(run.path)
    assert "RUNNING" in _states(run.path)
    assert run.state().state == "died"
    # Workers hear of it by themselves.
    until = time.monotonic() + 20
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < until
        time.sleep(0.05)
    found = resume_search(str(run.path)).result()
    assert _states(run.path) == ["COMPLETE"] * 6
    assert found.run.state().state == "finished"
    # The last one may have been asked for in part.
    assert all(before.items() <= after.items() for before, after in zip(asked, _asked(run.path), strict=False))


def _asked(run: Path) -> list[dict[str, Any]]:
    storage = JournalStorage(JournalFileBackend(str(run / "optuna.journal")))
    return [trial.params for trial in optuna.load_study(study_name=run.name, storage=storage).trials]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code", "workers"), [(signal.SIGINT, 130, 2), (signal.SIGTERM, 143, 0)])
def test_a_signal_stops_it_and_says_how_to_go_on(
    pictures: Path, tmp_path: Path, number: int, code: int, workers: int
) -> None:
    with _start_command(pictures, tmp_path, "--workers", str(workers)) as process:
        _after_trials(process, 1)
        process.send_signal(number)
        assert process.stdout is not None
        rest = process.stdout.read()
    assert process.returncode == code
    assert rest.splitlines()[-1].startswith("error: stopped after ")
    assert f"tunebook sweep --resume {tmp_path / 'sweep'}" in rest
    assert "RUNNING" not in _states(tmp_path / "sweep")
    assert Run(tmp_path / "sweep").state().state == "stopped"


def test_two_parents_never_share_a_sweep(begin: Callable[..., Searching]) -> None:
    searching = begin()
    searching.stop()
    with pytest.raises(TrainingStopped, match="tunebook sweep --resume"):
        searching.result()
    with searching.run.owned(), pytest.raises(StorageError, match="owned by process"):
        resume_search(str(searching.run.path)).result()


def test_data_that_changed_is_not_gone_on_with(begin: Callable[..., Searching], pictures: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy.csv"
    copied.write_text(pictures.read_text())
    first = begin(trials=1, parameters={"data": str(copied)}).result()
    copied.write_text("\n".join(pictures.read_text().splitlines()[:-5]))
    with pytest.raises(RecipeError, match="changed since it was started"):
        resume_search(str(first.path), trials=2).result()


def test_it_can_be_awaited_and_interrupted(begin: Callable[..., Searching]) -> None:
    async def notebook() -> None:
        async def cell() -> None:
            await begin(trials=500)

        task = asyncio.create_task(cell())
        await asyncio.sleep(2.0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(notebook())


# On a cluster


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # dask's own, of sockets that a killed worker leaves
def test_a_killed_worker_of_a_cluster_costs_no_trial(begin: Callable[..., Searching]) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        killed: list[int] = []

        def kill(_row: Row, _best: Row | None) -> None:
            if not killed:
                killed.append(next(iter(cluster.workers.values())).process.pid)
                os.kill(killed[0], signal.SIGKILL)

        found = begin(scheduler=cluster.scheduler_address, on_trial=kill, prune=True).result()
    assert killed
    assert set(_states(found.path)) <= {"COMPLETE", "PRUNED"}
    assert len(_states(found.path)) == 6
    alone = begin(name="alone").result()
    assert found.table()["lr"].tolist() == alone.table()["lr"].tolist()
