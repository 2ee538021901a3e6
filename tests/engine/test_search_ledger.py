"""The study: numbers of trials, what is queued again, pruning, the front, and a journal that was cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from tunebook.errors import StorageError
from tunebook.search_ledger import JOURNAL, Ledger, Row, front, kept_url, ranked
from tunebook.search_objectives import read_objectives
from tunebook.search_plan import Plan
from tunebook.search_trials import TrialResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPACES = {"lr": "log(1e-4,1e-1)", "freeze": "backbone,4,2"}


def _plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {"task": "image-classification", "parameters": {}, "spaces": SPACES, "trials": 8}
    return Plan(**{**values, **changes})


@pytest.fixture
def open_ledger(tmp_path: Path) -> Callable[..., Ledger]:
    def make(*, resumed: bool = False, url: str = "", **changes: Any) -> Ledger:
        return Ledger(_plan(**changes), tmp_path, "study", url, resumed=resumed)

    return make


def _result(value: float = 0.5, outcome: Any = "complete", loss: float = 1.0) -> TrialResult:
    values = (value,) if outcome != "failed" else ()
    return TrialResult(0, outcome, values, 1, {"loss": loss, "accuracy": value}, 0.1)


@pytest.mark.parametrize("method", ["bayesian", "random", "grid"])
@pytest.mark.parametrize("url", ["", "sqlite:///{}/study.db"])
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(method: str, url: str, tmp_path: Path) -> None:
    def search(folder: Path, stops: tuple[int, ...]) -> list[tuple[int, dict[str, Any]]]:
        folder.mkdir()
        database = url.format(folder) if url else ""
        ledger = Ledger(_plan(method=method), folder, "study", database)
        while ledger.ended < 8:
            if ledger.ended in stops:
                stops = stops[1:]
                ledger.ask()  # is under way when the process is killed
                ledger = Ledger(_plan(method=method), folder, "study", database, resumed=True)
            job = ledger.ask()
            ledger.tell(job.number, _result(1.0 - abs(job.parameters["lr"] - 0.01)))
        assert {trial.state for trial in ledger.study.trials} == {TrialState.COMPLETE}
        return [(row.number, row.parameters) for row in ledger.rows()]

    whole = search(tmp_path / "whole", ())
    assert [number for number, _ in whole] == list(range(8))
    assert search(tmp_path / "stopped", (0, 3, 5)) == whole


def test_a_grid_tries_each_point_once(open_ledger: Callable[..., Ledger]) -> None:
    ledger = open_ledger(method="grid", points=3, trials=9)
    jobs = [ledger.ask() for _ in range(9)]
    assert len({(job.parameters["lr"], str(job.parameters["freeze"])) for job in jobs}) == 9


def test_what_is_under_way_is_queued_and_nothing_is_left_running(open_ledger: Callable[..., Ledger]) -> None:
    ledger = open_ledger()
    jobs = [ledger.ask() for _ in range(3)]
    ledger.tell(jobs[1].number, _result())
    ledger.release()
    assert [trial.state.name for trial in ledger.study.trials] == ["WAITING", "COMPLETE", "WAITING"]
    again = open_ledger(resumed=True)
    assert [again.ask(), again.ask()] == [jobs[0], jobs[2]]
    assert again.ask().number == 3


def test_a_journal_cut_off_in_the_middle_of_a_line_is_mended(
    open_ledger: Callable[..., Ledger], tmp_path: Path
) -> None:
    ledger = open_ledger()
    ledger.tell(ledger.ask().number, _result())
    with (tmp_path / JOURNAL).open("ab") as stream:
        stream.write(b'{"op_code":5,"trial_')
    again = open_ledger(resumed=True)
    again.tell(again.ask().number, _result())
    assert open_ledger(resumed=True).ended == 2


@pytest.mark.parametrize(
    "line",
    [b"no JSON", b"5", b"[]", b"{}", b"[" * 100_000, b'{"op_code": ' + b"9" * 5000 + b"}", b'{"op_code": 5}', b"\xff"],
    ids=["text", "number", "list", "nothing", "deep", "digits", "half a step", "no UTF-8"],
)
def test_a_damaged_journal_is_one_line_and_stays_as_it_is(
    line: bytes, open_ledger: Callable[..., Ledger], tmp_path: Path
) -> None:
    ledger = open_ledger()
    ledger.tell(ledger.ask().number, _result())
    with (tmp_path / JOURNAL).open("ab") as stream:
        stream.write(line + b"\n")
    before = (tmp_path / JOURNAL).read_bytes()
    with pytest.raises(StorageError, match=r"^[^\n]*optuna\.journal is damaged: [^\n]*$"):
        open_ledger(resumed=True)
    assert (tmp_path / JOURNAL).read_bytes() == before


def test_a_trial_ends_once(open_ledger: Callable[..., Ledger]) -> None:
    ledger = open_ledger()
    job = ledger.ask()
    assert ledger.tell(job.number, _result(0.25)) is not None
    assert ledger.tell(job.number, _result(0.75)) is None
    assert ledger.rows()[0].values == (0.25,)


def test_a_trial_that_failed_says_why(open_ledger: Callable[..., Ledger]) -> None:
    ledger = open_ledger()
    ledger.tell(ledger.ask().number, TrialResult(0, "failed", message="the loss became nan"))
    row = ledger.rows()[0]
    assert (row.state, row.values, row.message) == ("failed", (), "the loss became nan")


def test_poor_trials_are_pruned_once_there_are_others(open_ledger: Callable[..., Ledger]) -> None:
    ledger = open_ledger(trials=20)
    for _ in range(5):
        number = ledger.ask().number
        assert not any(ledger.report(number, epoch, 0.9) for epoch in (1, 2, 3))
        ledger.tell(number, _result(0.9))
    number = ledger.ask().number
    assert [ledger.report(number, epoch, 0.1) for epoch in (1, 2)] == [False, True]
    ledger.tell(number, _result(0.1, "pruned"))
    assert ledger.study.trials[-1].state == TrialState.PRUNED
    other = open_ledger(resumed=True, prune=False)
    number = other.ask().number
    assert not any(other.report(number, epoch, 0.1) for epoch in (1, 2, 3))


def test_a_trial_that_is_run_again_may_say_the_same_again(open_ledger: Callable[..., Ledger]) -> None:
    ledger = open_ledger()
    ledger.report(ledger.ask().number, 1, 0.5)
    again = open_ledger(resumed=True)
    number = again.ask().number
    again.report(number, 1, 0.5)
    again.report(number, 2, 0.6)
    assert again.study.trials[number].intermediate_values == {1: 0.5, 2: 0.6}


def test_a_storage_is_opened_or_refused_in_one_line(open_ledger: Callable[..., Ledger], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    open_ledger(url=url)
    with pytest.raises(StorageError, match=r"has a study 'study' already"):
        open_ledger(url=url)
    with pytest.raises(StorageError, match="other objectives"):
        open_ledger(url=url, resumed=True, objectives=("loss",))
    with pytest.raises(StorageError, match="cannot be opened"):
        open_ledger(url="nosuchdb://x/y")
    with pytest.raises(StorageError, match="no URL"):
        kept_url("not a url")


def test_a_password_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert "secret" not in kept_url("postgresql://me:secret@host/db")
    assert kept_url("sqlite:///a.db") == f"sqlite:///{tmp_path}/a.db"


def _row(number: int, *values: float, loss: float = 1.0, state: str = "complete") -> Row:
    return Row(number, state, {}, {}, values, metrics={"loss": loss})


def test_the_smaller_loss_decides_between_equals() -> None:
    rows = [_row(0, 0.9, loss=0.5), _row(1, 0.9, loss=0.4), _row(2, 0.8), _row(3, 1.0, state="pruned")]
    assert [row.number for row in ranked(rows, read_objectives(["accuracy"]))] == [1, 0, 2]
    assert [row.number for row in ranked(rows, read_objectives(["loss"]))] == [2, 1, 0]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20))
def test_no_trial_beats_one_on_the_front_and_each_other_is_beaten(pairs: list[tuple[int, int]]) -> None:
    objectives = read_objectives(["accuracy", "gap"])
    rows = [_row(number, float(a), float(b)) for number, (a, b) in enumerate(pairs)]
    best = front(rows, objectives)

    def beats(one: Row, other: Row) -> bool:
        (a, b), (c, d) = one.values, other.values
        return a >= c and b <= d and (a, b) != (c, d)

    for row in rows:
        assert (row in best) != any(beats(other, row) for other in rows)
    assert [row in best for row in ranked(rows, objectives)] == [True] * len(best) + [False] * (len(rows) - len(best))
