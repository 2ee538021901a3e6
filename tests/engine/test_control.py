"""Live commands: the file that carries them, what they do between two steps, and their replay to the same bits."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunebook.checkpoints import Checkpoints
from tunebook.commands import one_stage_more
from tunebook.control import COMMANDS, Control, Outcome, Request, recorded, settle
from tunebook.errors import RecipeError, StorageError
from tunebook.runs import Run
from tunebook.training import Trainer, TrainingStopped

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import small_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Script = Mapping[int, list[tuple[str, Any]]]

# The file.


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(tmp_path / "control.jsonl")


def _other(control: Control) -> Control:
    """Return the same commands as another process sees them."""
    return Control(control.path)


def test_a_request_is_polled_once_and_its_outcome_is_found_by_its_id(control: Control) -> None:
    reader = _other(control)
    assert reader.poll() == []
    name = control.send("lr", 1e-4, by="panel")
    (request,) = reader.poll()
    assert (request.id, request.command, request.value, request.by) == (name, "lr", 1e-4, "panel")
    assert abs(request.time - time.time()) < 60
    assert reader.poll() == []
    assert control.outcome(name) is None
    reader.record(Outcome(name, 7, 1, "lr", 1e-4, 2e-3, "lr 0.002 → 0.0001"))
    assert control.outcome(name) == Outcome(name, 7, 1, "lr", 1e-4, 2e-3, "lr 0.002 → 0.0001")
    assert control.wait(name, 0.0) == control.outcomes()[0]


def test_what_has_an_outcome_is_not_polled_by_whoever_comes_later(control: Control) -> None:
    control.send("pause")
    done = control.send("resume")
    control.record(Outcome(done, 0, 0, refused="resume: the run does not pause"))
    assert [request.command for request in _other(control).poll()] == ["pause"]
    assert [request.command for request in _other(control).requests()] == ["pause", "resume"]


def test_lines_are_as_others_read_them(control: Control) -> None:
    name = control.send("dropout", {"head": 0.4}, by="lab")
    control.record(Outcome(name, 12, 1, "dropout", {"head": 0.4}, {"head": 0.2}, "dropout head 0.2 → 0.4"))
    control.record(Outcome("ab", 13, 1, refused="no"))
    request, applied, refused = map(json.loads, control.path.read_text("utf-8").splitlines())
    assert set(request) == {"id", "time", "by", "command", "value"}
    assert applied == {
        "id": name, "step": 12, "epoch": 1, "applied": {"command": "dropout", "value": {"head": 0.4}},
        "was": {"head": 0.2}, "words": "dropout head 0.2 → 0.4",
    }  # fmt: skip
    assert refused == {"id": "ab", "step": 13, "epoch": 1, "refused": "no"}


@pytest.mark.parametrize(
    ("command", "value", "words"),
    [
        ("lr", 100.0, "parameter lr: got 100"),
        ("lr", math.nan, "finite"),
        ("lr", True, "True (bool)"),
        ("lr", "1", "'1' (str)"),
        ("freeze", "blocks", "'blocks'"),
        ("freeze", 1.5, "1.5"),
        ("dropout", 0.4, "a rate for each kind"),
        ("dropout", {}, "a rate for each kind"),
        ("dropout", {"head": 1.0}, "'head'=1.0; allowed"),
        ("dropout", {"head": None}, "'head'=None; allowed"),
        ("dropout", {3: 0.1}, "3=0.1; allowed"),
        ("stop", 1, "stop: got 1 (int); it takes no value"),
        ("next_stage", -2, "it takes no value"),
        ("next-stage", None, "did you mean 'next_stage'?"),
        ("explode", None, "allowed: pause, resume"),
    ],
)
def test_a_command_of_the_wrong_form_is_refused_by_its_sender(
    control: Control, command: str, value: object, words: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        control.send(command, value)
    assert words in str(caught.value)
    assert not control.path.exists()


def test_many_senders_at_once_lose_nothing(control: Control) -> None:
    def send(sender: int) -> list[str]:
        mine = _other(control)
        return [mine.send("dropout", {f"kind {sender}": 0.5, "padding": 0.1}, by=str(sender)) for _ in range(50)]

    with ThreadPoolExecutor(8) as pool:
        reading = pool.submit(lambda: [control.poll() for _ in range(200)])
        sent = [name for names in pool.map(send, range(7)) for name in names]
        found = [request.id for requests in reading.result() for request in requests]
    found += [request.id for request in control.poll()]
    assert sorted(found) == sorted(sent)
    assert control.words == []


def test_a_torn_line_waits_until_it_is_whole(control: Control) -> None:
    line = json.dumps(Request("a1", "lr", 1e-4).line()).encode() + b"\n"
    with control.path.open("wb", buffering=0) as stream:
        for byte in range(len(line)):
            assert control.poll() == []
            stream.write(line[byte : byte + 1])
    assert [request.id for request in control.poll()] == ["a1"]
    assert control.words == []


def test_what_follows_a_line_that_stays_torn_is_not_lost(control: Control) -> None:
    control.path.write_bytes(b'{"id": "a1", "comm')
    assert control.poll() == []
    name = control.send("finish")
    assert [request.id for request in control.poll()] == [name]
    assert control.words == ["line 1 of control.jsonl was skipped: it is not JSON"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"\x00\xff\xfe", "not JSON"),
        (b"[" * 50_000, "more than 1000 lists and mappings"),
        (b"[" * 900 + b"]" * 900, "nested more than 100 levels deep"),
        (b"[]", "no id"),
        (b'{"id": 3, "command": "stop"}', "no id"),
        (b'{"id": "", "command": "stop"}', "its id is ''"),
        (b'{"id": "a\\u001b[2J", "command": "stop"}', "its id is"),
        (b'{"id": "a1", "command": ["stop"]}', "no text"),
        (b'{"id": "a1"}', "no request"),
        (b'{"id": "a1", "step": -1, "epoch": 0, "refused": "x"}', "names no step"),
        (b'{"id": "a1", "step": true, "epoch": 0, "refused": "x"}', "names no step"),
        (b'{"id": "a1", "step": 1, "epoch": 0, "applied": "stop"}', "what was done"),
        (b"x" * 200_000, "too long"),
        (b'"' + b"x" * 65_534 + b'"', "too long"),
    ],
)
def test_lines_of_others_are_skipped_with_a_word(control: Control, line: bytes, words: str) -> None:
    first = control.send("pause")
    with control.path.open("ab") as stream:
        stream.write(line + b"\n\n  \n")
    last = control.send("resume")
    assert [request.id for request in control.poll()] == [first, last]
    (word,) = control.words
    assert word.startswith("line 2 of control.jsonl was skipped: ")
    assert words in word
    assert word.isprintable()


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"\n", b'{"id": "a1", "command": "stop"}\n']), max_size=8))
def test_any_bytes_are_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("any") / "control.jsonl"
    reader = Control(path)
    found: list[Request] = []
    for piece in pieces:
        with path.open("ab") as stream:
            stream.write(piece)
        found += reader.poll()
    name = Control(path).send("finish")
    found += reader.poll()
    assert found[-1].id == name
    # Piece by piece or at once makes no difference.
    assert [request.id for request in found] == [request.id for request in Control(path).poll()]


@given(st.sampled_from([*COMMANDS, "x"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
))  # fmt: skip
def test_any_value_settles_to_what_json_keeps_or_is_refused_in_one_line(command: str, value: object) -> None:
    try:
        found = settle(command, value)
    except RecipeError as error:
        assert "\n" not in str(error)
    else:
        assert settle(command, json.loads(json.dumps(found, allow_nan=False))) == found


def test_a_file_that_was_replaced_is_read_again_and_nothing_is_taken_twice(control: Control, tmp_path: Path) -> None:
    first = control.send("pause")
    assert [request.id for request in control.poll()] == [first]
    copy = tmp_path / "copy"
    copy.write_bytes(control.path.read_bytes())
    copy.replace(control.path)
    second = control.send("resume")
    assert [request.id for request in control.poll()] == [second]


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*control.jsonl"):
        Control(tmp_path / "nowhere" / "control.jsonl").send("stop")


def test_polling_for_nothing_costs_next_to_nothing(control: Control) -> None:
    control.send("pause")
    control.poll()
    began = time.process_time()
    for _ in range(2_000):
        control.poll()
    assert (time.process_time() - began) / 2_000 < 100e-6  # measured: 2 µs


# What they do.


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run.make_pictures(tmp_path_factory.mktemp("data") / "colours", count=20)


class Log:
    """Remembers what was logged."""

    def __init__(self) -> None:
        self.marks: list[tuple[int, str]] = []
        self.histograms: dict[str, tuple[int, Any]] = {}

    def scalars(self, values: Mapping[str, float], step: int) -> None: ...

    def tensor(self, tag: str, array: Any, step: int) -> None: ...

    def flush(self) -> None: ...

    def text(self, tag: str, text: str, step: int) -> None:
        assert tag == "marks"
        self.marks.append((step, text))

    def histogram(self, tag: str, values: Any, step: int) -> None:
        self.histograms[tag] = step, values


#: Five steps an epoch; what is random is turned on, but for what blends a batch, which keeps the cache away.
SESSION: dict[str, Any] = {"epochs": 4, "unfreeze": [[1, -2], [3, "none"]], "mixup": 0.0, "checkpoint_seconds": 1e9}


def _trainer(pictures: Path, folder: Path, since: float = 0.0, log: Any = None, **changes: Any) -> Trainer:
    import tunebook
    from tunebook import workflow
    from tunebook.devices import Devices
    from tunebook.tasks import get_task

    recipe = small_run.recipe(pictures, folder, **{**SESSION, **changes})
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    features = workflow._features(recipe, examples, model)
    replay = recorded(recipe.replay)[0] if recipe.replay else []
    folder.mkdir(exist_ok=True)
    return Trainer(
        get_task(recipe.task), recipe, examples, model, features.reader, Devices(recipe, model.module), log=log,
        checkpoints=Checkpoints(folder / "checkpoints"), features=features, control=Control(folder / "control.jsonl"),
        replay=replay, since=since,
    )  # fmt: skip


def _sending(trainer: Trainer, script: Script, seen: Callable[[Trainer], None] | None = None) -> Callable[..., None]:
    """Return what sends commands, as a person would, while some steps are made."""
    folder = trainer.checkpoints.folder.parent  # type: ignore[union-attr]
    sender = Control(folder / "control.jsonl")
    sent: set[int] = set()

    def on_step(trainer: Trainer) -> None:
        step = trainer.progress.step
        if step in script and step not in sent:
            sent.add(step)
            for command, value in script[step]:
                sender.send(command, value)
        if seen is not None:
            seen(trainer)

    return on_step


def _words(folder: Path) -> list[tuple[int, str]]:
    return [(o.step, o.words or f"refused: {o.refused}") for o in Control(folder / "control.jsonl").outcomes()]


def _weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.module.state_dict().items()}


def _require_same(found: Trainer, expected: Trainer) -> None:
    theirs = _weights(expected)
    # Ids of commands are random.
    assert {**asdict(found.progress), "heard": []} == {**asdict(expected.progress), "heard": []}
    assert [name for name, value in _weights(found).items() if not torch.equal(value, theirs[name])] == []


#: A person's session: it must not end like one without a hand.
CHANGES: Script = {
    2: [("lr", 5e-4)],
    4: [("dropout", {"head": 0.5, "depth": 0.1})],
    7: [("freeze", ["conv_stem", "bn1", "blocks.0"]), ("lr", 2e-3)],
    9: [("next_stage", None)],
    12: [("next_stage", None), ("histograms", None)],
    17: [("finish", None)],
}


def test_each_command_takes_effect_before_the_next_step_and_is_marked(pictures: Path, tmp_path: Path) -> None:
    log = Log()
    trainer = _trainer(pictures, tmp_path, log=log)
    rates: dict[int, tuple[float, float, int]] = {}

    def see(trainer: Trainer) -> None:
        found = trainer.progress.lr, trainer.model.dropout.rates()["head"], trainer.model.stages.trainable()
        rates[trainer.progress.step] = found

    script = {**CHANGES, 10: [("freeze", 99), ("dropout", {"haed": 0.1})]}
    progress = trainer.fit(on_step=_sending(trainer, script, see))
    assert [rates[step][0] for step in (2, 3, 7, 8)] == [trainer.recipe.lr, 5e-4, 5e-4, 2e-3]
    assert [rates[step][1] for step in (4, 5, 17)] == [0.2, 0.5, 0.5]
    names = ", ".join(trainer.model.stages.names)
    count = len(trainer.model.stages)
    expected = [
        (2, "lr 0.002 → 0.0005"),
        (4, "dropout head 0.2 → 0.5, depth 0.2 → 0.1"),
        (7, f"freeze -2 → conv_stem, bn1, blocks.0: {_said(trainer, ['conv_stem', 'bn1', 'blocks.0'])} train"),
        (7, "lr 0.0005 → 0.002"),
        (9, "next stage: whole model trains"),
        (10, f"refused: freeze=99: this model has {count} stages ({names}); allowed: {-count} to {count - 1}"),
        (10, "refused: dropout: this model has no place for kind 'haed'; did you mean 'head'?; it has: head, depth"),
        (12, "refused: next_stage: no frozen stage is left at the input; everything there trains already"),
        (12, "histograms"),
        (17, "finish"),
    ]
    assert _words(tmp_path) == expected
    stages = [(0, "stage: head trains"), (5, f"stage: {_said(trainer, -2)} train")]
    assert log.marks == sorted([*stages, *(pair for pair in expected if not pair[1].startswith("refused"))])
    # The entry for epoch 3 had its turn at step 9, and finishing ends an epoch early.
    assert [row["step"] for row in progress.history] == [5, 10, 15, 17]
    assert progress.is_done
    assert {step for step, _ in log.histograms.values()} == {13}
    assert {f"weights/{name}" for name in trainer.model.stages.names} <= set(log.histograms)


def _said(trainer: Trainer, freeze: Any) -> str:
    return trainer.model.stages.describe(freeze)


def test_histograms_are_of_all_weights_and_of_the_gradients_of_what_trains(pictures: Path, tmp_path: Path) -> None:
    log = Log()
    trainer = _trainer(pictures, tmp_path, log=log, epochs=1, unfreeze=[], clip_norm=1e-6)
    trainer.fit(on_step=_sending(trainer, {1: [("histograms", None)]}))
    gradients = [tag for tag in log.histograms if tag.startswith("gradients/")]
    assert gradients == ["gradients/head"]
    head = trainer.model.stages.items[-1]
    step, values = log.histograms["gradients/head"]
    assert (step, values.shape) == (2, (head.size,))
    assert (values**2).sum() ** 0.5 > 1e-3  # before it was clipped to a millionth
    weights = [log.histograms[f"weights/{stage.name}"][1].size for stage in trainer.model.stages.items]
    assert weights == [stage.size for stage in trainer.model.stages.items]


@pytest.mark.parametrize("cache", ["auto", "off"])
def test_a_replayed_session_ends_with_the_same_bits(pictures: Path, tmp_path: Path, cache: str) -> None:
    live = _trainer(pictures, tmp_path / "live", cache=cache)
    feeds: set[str] = set()
    live.fit(on_step=_sending(live, CHANGES, lambda trainer: feeds.add(type(trainer.feed).__name__)))
    assert feeds == ({"DirectFeed"} if cache == "off" else {"CachedFeed", "DirectFeed"})
    record = tmp_path / "live" / "control.jsonl"
    again = _trainer(pictures, tmp_path / "again", cache=cache, replay=str(record))
    again.fit()
    _require_same(again, live)
    # What was repeated is recorded like what a hand did, so that it can be repeated once more.
    outcomes = [o for o in Control(record).outcomes() if not o.refused]
    assert Control(tmp_path / "again" / "control.jsonl").outcomes() == outcomes
    assert {r.by for r in Control(tmp_path / "again" / "control.jsonl").requests()} == {"replay"}
    third = _trainer(pictures, tmp_path / "third", cache=cache, replay=str(tmp_path / "again" / "control.jsonl"))
    third.fit()
    _require_same(third, live)
    plain = _trainer(pictures, tmp_path / "plain", cache=cache)
    plain.fit()
    assert asdict(plain.progress)["history"][0] != asdict(live.progress)["history"][0]


def test_pausing_resuming_and_stopping_are_not_replayed(pictures: Path, tmp_path: Path) -> None:
    live = _trainer(pictures, tmp_path / "live")
    script = {3: [("pause", None), ("lr", 5e-4), ("resume", None)], 6: [("stop", None)]}
    with pytest.raises(TrainingStopped, match="stopped after step 6"):
        live.fit(on_step=_sending(live, script))
    outcomes, words = recorded(str(tmp_path / "live" / "control.jsonl"))
    assert [(o.step, o.command) for o in outcomes] == [(3, "lr")]
    assert words == []


def test_a_run_that_is_stopped_and_resumed_repeats_what_came_after_its_checkpoint(
    pictures: Path, tmp_path: Path
) -> None:
    whole = _trainer(pictures, tmp_path / "whole")
    whole.fit(on_step=_sending(whole, CHANGES))
    # Killed in step 14: the last checkpoint is that of the second epoch's end, in step 10.
    killed = _trainer(pictures, tmp_path / "killed")

    class KilledError(Exception):
        pass

    def kill(trainer: Trainer) -> None:
        if trainer.progress.step == 14:
            raise KilledError

    with pytest.raises(KilledError):
        killed.fit(on_step=_sending(killed, CHANGES, kill))
    found = Checkpoints(tmp_path / "killed" / "checkpoints").latest()
    assert found is not None
    assert found[0].progress["step"] == 10
    log = Log()
    resumed = _trainer(pictures, tmp_path / "killed", since=time.time(), log=log)
    resumed.restore(found[0])
    resumed.fit(on_step=_sending(resumed, {17: [("finish", None)]}))
    _require_same(resumed, whole)
    assert _words(tmp_path / "killed") == _words(tmp_path / "whole")  # nothing is recorded twice
    # The log is kept up to step 10: what was marked behind it is marked again, and nothing else.
    assert log.marks == [(12, "histograms"), (17, "finish")]


@pytest.mark.parametrize("at", [0, 5, 7])
def test_what_a_pause_has_in_its_checkpoint_is_not_done_twice(pictures: Path, tmp_path: Path, at: int) -> None:
    """Changes before and during a pause, which is then killed; the next stage is the one that must not count twice."""
    changes = [("next_stage", None), ("pause", None), ("lr", 5e-4)]
    folder = tmp_path / "killed"
    killed = _trainer(pictures, folder)
    sender = Control(folder / "control.jsonl")
    if at == 0:
        for change in changes:
            sender.send(*change)

    class KilledError(Exception):
        pass

    def kill(trainer: Trainer) -> None:
        if trainer.is_paused:
            raise KilledError

    with pytest.raises(KilledError):
        killed.fit(on_step=_sending(killed, {at: changes} if at else {}, kill))
    whole = _trainer(pictures, tmp_path / "whole")
    for change in changes if at == 0 else []:
        Control(tmp_path / "whole" / "control.jsonl").send(*change)
    whole.fit(on_step=_sending(whole, {at: [*changes, ("resume", None)]} if at else {}, _resuming(tmp_path / "whole")))
    found = Checkpoints(folder / "checkpoints").latest()
    assert found is not None
    assert found[0].progress["step"] == at
    resumed = _trainer(pictures, folder, since=time.time())
    resumed.restore(found[0])
    resumed.fit()
    assert resumed.progress.stage == 2
    _require_same(resumed, whole)


def _resuming(folder: Path) -> Callable[[Trainer], None]:
    def resume(trainer: Trainer) -> None:
        if trainer.is_paused:
            Control(folder / "control.jsonl").send("resume")

    return resume


def test_a_pause_waits_with_a_checkpoint_and_takes_commands_and_no_time(pictures: Path, tmp_path: Path) -> None:
    trainer = _trainer(pictures, tmp_path)
    sender = Control(tmp_path / "control.jsonl")
    looks: list[tuple[int, float | None]] = []

    def see(trainer: Trainer) -> None:
        if not trainer.is_paused:
            return
        if not looks:
            assert [path.name for path in (tmp_path / "checkpoints").glob("step-*")] == ["step-000000003"]
            sender.send("lr", 5e-4)
            sender.send("pause")
        looks.append((trainer.progress.step, trainer.seconds_left))
        if len(looks) == 8:
            assert trainer.progress.lr == 5e-4
            sender.send("resume")

    trainer.fit(on_step=_sending(trainer, {3: [("pause", None)], 6: [("resume", None)]}, see))
    assert {step for step, _ in looks} == {3}
    assert trainer.waited_seconds > 0.6
    assert _words(tmp_path) == [
        (3, "pause"), (3, "lr 0.002 → 0.0005"), (3, "refused: pause: the run pauses already"), (3, "resume"),
        (6, "refused: resume: the run does not pause"),
    ]  # fmt: skip
    assert trainer.progress.is_done
    # Time left is that of the steps, not of the waiting.
    assert trainer.seconds_left == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("how", ["command", "interrupt"])
def test_a_pause_ends_when_the_run_is_stopped(pictures: Path, tmp_path: Path, how: str) -> None:
    trainer = _trainer(pictures, tmp_path)
    stop = threading.Event()
    asked: list[float] = []

    def see(trainer: Trainer) -> None:
        if trainer.is_paused and not asked:
            asked.append(time.monotonic())
            if how == "interrupt":
                stop.set()
            else:
                Control(tmp_path / "control.jsonl").send("stop")

    with pytest.raises(TrainingStopped, match="step 4"):
        trainer.fit(stop, _sending(trainer, {4: [("pause", None)]}, see))
    assert time.monotonic() - asked[0] < 2.0
    assert not trainer.is_paused


def test_finishing_while_it_pauses_measures_what_there_is(pictures: Path, tmp_path: Path) -> None:
    trainer = _trainer(pictures, tmp_path)

    def see(trainer: Trainer) -> None:
        if trainer.is_paused:
            Control(tmp_path / "control.jsonl").send("finish")

    progress = trainer.fit(on_step=_sending(trainer, {4: [("pause", None)]}, see))
    assert [row["step"] for row in progress.history] == [4]
    assert progress.best["epoch"] == 1


def test_finishing_between_two_epochs_adds_none(pictures: Path, tmp_path: Path) -> None:
    trainer = _trainer(pictures, tmp_path)
    progress = trainer.fit(on_step=_sending(trainer, {5: [("finish", None)]}))
    assert [row["step"] for row in progress.history] == [5]
    found = Checkpoints(tmp_path / "checkpoints").latest()
    assert found is not None
    assert found[0].progress["is_done"]


def test_nothing_is_finished_before_its_first_step(pictures: Path, tmp_path: Path) -> None:
    trainer = _trainer(pictures, tmp_path, epochs=1, unfreeze=[])
    Control(tmp_path / "control.jsonl").send("finish")
    trainer.fit()
    (word,) = _words(tmp_path)
    assert word == (0, "refused: finish: no step was trained yet; wait for the first one, or stop the run")
    assert trainer.progress.step == 5


def test_a_stop_does_not_wait_until_everything_is_measured(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _trainer(pictures, tmp_path)
    measured: list[int] = []

    def slow(_feed: Any, inputs: Any) -> Any:
        measured.append(1)
        Control(tmp_path / "control.jsonl").send("stop")
        return real(inputs)

    real = trainer.feed.logits
    feed = trainer.feed
    monkeypatch.setattr(type(feed), "logits", slow)
    monkeypatch.setattr(trainer, "_step", lambda *_: _pretend(trainer))
    # Batches of one: the first asks for the stop, and the second must not come.
    monkeypatch.setattr(type(feed), "evaluation_batches", lambda _feed, rows: [rows[k : k + 1] for k in range(9)])
    with pytest.raises(TrainingStopped, match="step 5"):
        trainer.fit()
    assert len(measured) == 1
    found = Checkpoints(tmp_path / "checkpoints").latest()
    assert found is not None
    assert (found[0].progress["in_epoch"], found[0].progress["history"]) == (5, [])


def _pretend(trainer: Trainer) -> None:
    trainer.progress.step += 1
    trainer.progress.in_epoch += 1


def test_what_comes_too_late_is_refused(pictures: Path, tmp_path: Path) -> None:
    trainer = _trainer(pictures, tmp_path, epochs=1, unfreeze=[])
    trainer.fit(on_step=_sending(trainer, {5: [("lr", 1e-4), ("pause", None)]}))
    assert _words(tmp_path) == [(5, "refused: lr: training is over"), (5, "refused: pause: training is over")]


def test_what_was_asked_of_a_process_that_is_gone(pictures: Path, tmp_path: Path) -> None:
    """A change is still wanted, but who resumes a run does not want it to stop for an old reason."""
    sender = Control(tmp_path / "control.jsonl")
    for command in (("stop", None), ("pause", None), ("lr", 5e-4)):
        sender.send(*command)
    trainer = _trainer(pictures, tmp_path, since=time.time(), epochs=1, unfreeze=[])
    trainer.fit()
    assert _words(tmp_path) == [
        (0, "refused: stop: it was asked for before the run was resumed"),
        (0, "refused: pause: it was asked for before the run was resumed"),
        (0, "lr 0.002 → 0.0005"),
    ]
    with sender.path.open("a") as stream:
        stream.write(json.dumps({"id": "later", "time": time.time(), "command": "explode", "by": "x"}) + "\n")
    trainer = _trainer(pictures, tmp_path, epochs=1, unfreeze=[])
    trainer.fit()
    assert _words(tmp_path)[3][1].startswith("refused: unknown command 'explode'; allowed: pause")
    assert len(_words(tmp_path)) == 4  # and nothing is answered twice


def test_a_freeze_by_hand_holds_until_the_recipe_s_next_stage(pictures: Path, tmp_path: Path) -> None:
    trainer = _trainer(pictures, tmp_path)
    progress = trainer.fit(on_step=_sending(trainer, {2: [("freeze", "none")], 11: [("freeze", -3)]}))
    assert [row["freeze"] for row in progress.history] == ["none", -2, -3, "none"]


def test_the_next_stage_of_the_recipe_comes_once_and_then_one_more_from_the_input(
    pictures: Path, tmp_path: Path
) -> None:
    trainer = _trainer(pictures, tmp_path, unfreeze=[[2, -2]])
    count = len(trainer.model.stages)
    script = {1: [("next_stage", None)], 6: [("freeze", "backbone")], 11: [("next_stage", None), ("next_stage", None)]}
    progress = trainer.fit(on_step=_sending(trainer, script))
    assert [row["freeze"] for row in progress.history] == [-2, "backbone", count - 3, count - 3]
    assert [o.value for o in Control(tmp_path / "control.jsonl").outcomes()] == [-2, "backbone", count - 2, count - 3]


def test_one_stage_more_keeps_what_is_frozen_behind_a_gap(pictures: Path, tmp_path: Path) -> None:
    stages = _trainer(pictures, tmp_path).model.stages
    first, second, _, later = stages.names[:4]
    stages.apply([first, second, later])
    before = stages.frozen
    freeze = one_stage_more(stages)
    assert before - stages.frozen_by(freeze) == set(stages.items[1].parameters)
    assert stages.frozen_by(freeze) < before
    stages.apply(1)
    assert one_stage_more(stages) == "none"
    stages.apply("none")
    with pytest.raises(RecipeError, match="no frozen stage is left"):
        one_stage_more(stages)


# Replays that cannot be.


def _record(folder: Path, *outcomes: Outcome) -> str:
    path = folder / "control.jsonl"
    for outcome in outcomes:
        Control(path).record(outcome, Request(outcome.id, outcome.command, outcome.value, "panel"))
    return str(path)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome("a", 20, 4, "lr", 1e-4, None, "lr"), "at step 20 in epoch 5, but this run has 20 steps, 5 in"),
        (Outcome("a", 7, 0, "lr", 1e-4, None, "lr"), "at step 7 in epoch 1, but"),
        (Outcome("a", 7, 1, "freeze", 99, None, "freeze"), "step 7: freeze=99: this model has"),
        (Outcome("a", 7, 1, "next_stage", ["nothing"], None, "x"), "step 7: freeze: pattern 'nothing' matches no"),
        (Outcome("a", 7, 1, "dropout", {"inner": 0.1}, None, "x"), "step 7: dropout: this model has no place"),
        (Outcome("a", 7, 1, "lr", 1e9, None, "x"), "step 7: parameter lr: got"),
        (Outcome("a", 7, 1, "explode", None, None, "x"), "step 7: unknown command 'explode'"),
    ],
)  # fmt: skip
def test_a_replay_that_does_not_fit_is_refused_before_training(
    pictures: Path, tmp_path: Path, outcome: Outcome, words: str
) -> None:
    record = _record(tmp_path, outcome)
    with pytest.raises(RecipeError) as caught:
        _trainer(pictures, tmp_path / "run", replay=record)
    assert str(caught.value).startswith("parameter replay: ")
    assert words in str(caught.value)


def test_a_record_is_found_by_its_run_or_its_file(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", "t")
    assert recorded(str(run.path)) == ([], [])  # nobody touched it
    assert recorded("r", str(tmp_path)) == ([], [])
    changed = Outcome("b", 9, 1, "lr", 1e-4, 1e-3, "lr")
    _record(run.path, changed, Outcome("a", 3, 0, "finish", None, None, "finish"), Outcome("c", 4, 0, refused="no"))
    found, words = recorded("r", str(tmp_path))
    assert [o.id for o in found] == ["a", "b"]
    assert recorded(str(run.path / "control.jsonl")) == (found, words)
    with (run.path / "control.jsonl").open("ab") as stream:
        stream.write(b"{}\n")
    assert recorded(str(run.path))[1] == ["replay: line 7 of control.jsonl was skipped: it has no id"]
    for nothing in ("nowhere", "x" * 5_000, "\x00", str(tmp_path)):
        with pytest.raises(RecipeError, match="parameter replay: no run and no file"):
            recorded(nothing, str(tmp_path))
    (tmp_path / "notes.txt").write_text("some\nnotes\n")
    with pytest.raises(RecipeError, match=r"holds no live commands: line 1 of notes\.txt"):
        recorded(str(tmp_path / "notes.txt"))


def test_the_outcome_is_on_the_disk_before_the_next_step(pictures: Path, tmp_path: Path) -> None:
    trainer = _trainer(pictures, tmp_path, epochs=1, unfreeze=[])
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(trainer.progress.step)
        real(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunebook.control.os.fsync", fsync)
        trainer.fit(on_step=_sending(trainer, {2: [("lr", 1e-4)]}))
    assert 2 in synced


#: The head alone trains: BatchNorms that train would see the part of their own process.
SHARED: dict[str, Any] = {
    "batch_size": 14, "unfreeze": [[1, ["blocks*", "conv*", "bn*"]]], "epochs": 2, "augment": "none", "mixup": 0.0,
    "dropout": None, "sampler": "none", "stochastic_depth": None, "class_weights": "balanced", "precision": "fp32",
}  # fmt: skip
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {faults!r})
import small_run
small_run.train(Path("data"), Path("runs"), run="two", **{shared!r})
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_processes_do_what_the_main_one_was_told(tmp_path: Path) -> None:
    small_run.make_pictures(tmp_path / "data")
    runs = [Run.create(tmp_path / "runs", name, "image-classification") for name in ("one", "two")]
    for run in runs:
        for asked in (("lr", 5e-4), ("next_stage", None), ("freeze", 99), ("pause", None), ("resume", None)):
            run.control.send(*asked)
    small_run.train(tmp_path / "data", tmp_path / "runs", run="one", **SHARED)
    script = SCRIPT.format(faults=str(Path(small_run.__file__).parent), shared=SHARED)
    (tmp_path / "script.py").write_text(script)
    launch = ["-m", "torch.distributed.run", "--nproc_per_node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    done = subprocess.run(
        [sys.executable, *launch, "script.py"], cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    histories = [json.loads((run.path / "metrics.json").read_text())["history"] for run in runs]
    assert [row["freeze"] for history in histories for row in history] == [SHARED["unfreeze"][0][1]] * 4
    losses = [[row["running_loss"] for row in history] for history in histories]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    outcomes = [[(o.step, o.command, o.value, o.refused) for o in run.control.outcomes()] for run in runs]
    assert outcomes[0] == outcomes[1]
    assert [command for _, command, _, _ in outcomes[0]] == ["lr", "next_stage", "", "pause", "resume"]
