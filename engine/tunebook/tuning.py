"""One run from its first step to its finished directory, in a thread of its own, so that a notebook can await it."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from concurrent.futures import Future
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import pandas as pd

from tunebook import devices as device_module
from tunebook import machine
from tunebook.baseline import SPLITS, Baseline
from tunebook.card import write_card
from tunebook.checkpoints import Checkpoints
from tunebook.control import recorded
from tunebook.decision import Decider
from tunebook.decision_files import note_decision
from tunebook.devices import Devices
from tunebook.errors import InterruptError, RecipeError, StorageError, TunebookError, shown
from tunebook.events import EventLog
from tunebook.export_check import Known
from tunebook.fairness import PREFIX
from tunebook.features import Features
from tunebook.feeds import DirectFeed
from tunebook.labels import confidence, decide, decode
from tunebook.metrics import measure
from tunebook.monitors import WORDS, measured, monitored, words
from tunebook.opening import from_home
from tunebook.predicting import predict_scores
from tunebook.reports import Report
from tunebook.runs import Run
from tunebook.steps import in_kernel
from tunebook.storage import read_json, replacing, replacing_folder, write_json, write_text
from tunebook.training import Trainer, TrainingStopped, resident_bytes
from tunebook.trying import first_problem
from tunebook.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from tunebook.decision import Decision
    from tunebook.examples import Examples
    from tunebook.recipe import Recipe
    from tunebook.tasks.base import Model, Reader, Task

T = TypeVar("T")

#: What may differ between a run and its resumption: it changes where things are kept, not what is computed.
FREE_TO_CHANGE = (
    "run", "runs_dir", "resume", "onnx", "checkpoint_seconds", "on_problem", "remedy", "remedy_gap", "remedy_by",
)  # fmt: skip
#: Where an export is kept that does not open, in place of ``model/``; and examples on which it is tried.
UNOPENED, _OPENED = "model-unopened", 4
#: Seconds between two writes of state.json while training.
_HEARTBEAT = 0.5
#: Seconds between two updates of a notebook's progress display.
_REFRESH = 0.5
#: What is true of a run that does not train.
_AT_REST: dict[str, Any] = {"paused": False, "seconds_left": None, "examples_per_second": None}


class _UnopenedError(Exception):
    """An export does not open, or says something else than the model."""


class Tuning(Generic[T]):
    """
    A training, or a search, under way.

    In a notebook, ``tuned = await tune(...)`` keeps the kernel free while it trains; in a script,
    ``tune(...).result()`` waits. Interrupting either ends training at the next step with a checkpoint.

    Parameters
    ----------
    work
        Called in a thread with the stop event; returns what it is awaited for, such as the finished run.
    describe
        Gives a text that says how far it is.
    run
        The run directory.
    """

    def __init__(self, work: Callable[[Event], T], describe: Callable[[], str], run: Run) -> None:
        self._run = run
        self._stop = Event()
        self._describe = describe
        self._future: Future[T] = Future()
        self._thread = Thread(target=self._work, args=(work,), name="tunebook-training", daemon=True)
        self._thread.start()

    def _work(self, work: Callable[[Event], T]) -> None:
        try:
            self._future.set_result(work(self._stop))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            self._future.set_exception(error)

    @property
    def run(self) -> Run:
        """The run directory, from the start; ``run.control`` takes live commands."""
        return self._run

    def stop(self) -> None:
        """End training after the step under way, with a checkpoint; awaiting it then raises ``TrainingStopped``."""
        self._stop.set()

    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._future.done()

    def describe(self) -> str:
        """Say how far it is, in some lines."""
        return self._describe()

    def result(self, timeout: float | None = None) -> T:
        """
        Wait for the finished run.

        Parameters
        ----------
        timeout
            Longest time in seconds to wait; ``None`` is no limit.

        Raises
        ------
        TunebookError
            Training failed or was stopped; the run directory says the same.
        TimeoutError
            It is not done yet.
        """
        try:
            return self._future.result(timeout)
        except (KeyboardInterrupt, SystemExit) as interrupt:
            self.stop()
            try:
                self._future.result()
            except TunebookError as error:
                if isinstance(interrupt, KeyboardInterrupt):
                    # Its line names the checkpoint, and how to go on.
                    raise InterruptError(str(error)) from None
            raise

    def __await__(self) -> Generator[Any, None, T]:
        return self.wait(_Display().update).__await__()

    async def wait(self, show: Callable[[str], None] | None = None) -> T:
        """
        Wait for the finished run, and keep the kernel free meanwhile.

        Parameters
        ----------
        show
            Called about twice a second, and once at the end, with a text that says how far it is; ``None`` shows
            nothing. When it raises, training is stopped, and the error goes on.

        Raises
        ------
        TunebookError
            Training failed or was stopped; the run directory says the same.
        asyncio.CancelledError
            It was interrupted; training has then ended with a checkpoint. In a notebook it is the error above.
        """
        future = asyncio.wrap_future(self._future)

        def tell() -> None:
            if show is not None:
                show(self._describe())

        try:
            while not future.done():
                tell()
                # Waiting does not cancel the future when it is itself cancelled, as an interrupt does.
                await asyncio.wait({future}, timeout=_REFRESH)
        except BaseException as interrupt:
            self.stop()
            is_cell = isinstance(interrupt, asyncio.CancelledError) and in_kernel()
            while not future.done():
                try:
                    await asyncio.wait({future})
                except asyncio.CancelledError:
                    if not is_cell:  # who presses a kernel's stop button twice still gets the checkpoint's line
                        raise
            # Asked for, or asyncio complains at exit that nobody did; what came goes on.
            error = future.exception()
            with suppress(Exception):  # it may be what the showing raised
                tell()
            if is_cell and isinstance(error, TunebookError):
                raise error from None
            raise
        tell()
        return self._future.result()


class _Display:
    """A text in the notebook's output that is replaced by newer ones; nothing outside a notebook."""

    def __init__(self) -> None:
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        self._is_notebook = getattr(shell, "kernel", None) is not None
        self._handle: Any = None
        self._text = ""

    def update(self, text: str) -> None:
        if not self._is_notebook or text == self._text:
            return
        from IPython.display import display  # noqa: PLC0415

        self._text = text
        if self._handle is None:
            self._handle = display({"text/plain": text}, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update({"text/plain": text}, raw=True)


class Session:
    """
    All that one tuning needs, and its steps.

    Parameters
    ----------
    task, recipe, examples, model, reader
        What is trained on what.
    baseline
        Measured before; ``None`` leaves it out of the report.
    dropped
        Examples that the checks dropped, by kind of finding, for the model card.
    features
        What is cached of the frozen trunk; made here when not given.

    Raises
    ------
    RecipeError
        There is nothing to replay where the recipe says.
    StorageError
        See :func:`open_run`.
    """

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        examples: Examples,
        model: Model,
        reader: Reader,
        baseline: Baseline | None,
        dropped: Mapping[str, int],
        features: Features | None = None,
    ) -> None:
        self.features = features or Features(task, recipe, examples, model, reader)
        self.task, self.recipe, self.examples, self.model, self.reader = task, recipe, examples, model, reader
        self.baseline, self.dropped = baseline, dict(dropped)
        self.devices = Devices(recipe, model.module)
        self._replay, self._words = self.devices.agree(
            recorded(recipe.replay, recipe.runs_dir) if recipe.replay and self.devices.is_main else ([], [])
        )
        self.run = Run(Path(self.devices.agree(str(open_run(recipe).path) if self.devices.is_main else "")))
        self._since = _resumed_at(self.run) if recipe.resume else 0.0
        #: What is another version than when the run was started.
        self._versions = ""
        self.trainer: Trainer | None = None
        self.phase, self._problem = "preparing", ""
        self._beat = 0.0
        self._told: tuple[Any, ...] = ()

    # The whole of it.

    def work(self, stop: Event) -> Run:
        """
        Train, measure and write the run directory.

        Raises
        ------
        TunebookError
            It failed or was stopped; ``state.json`` says the same.
        """
        run = self.run
        with run.owned() if self.devices.is_main else nullcontext():
            if self.devices.is_main:  # since the first look at the directory another process may have done it all
                _refuse_taken(run, self.recipe)
            try:
                self._train(stop)
                self._finish()
            except TrainingStopped as stopped:
                self._say(state="stopped", phase="stopped", message=str(stopped), finished=time.time(), **_AT_REST)
                msg = f"{stopped}: resume={str(run.path)!r}, or `tunebook run --resume {run.path}`"
                raise TrainingStopped(msg) from None
            except BaseException as error:
                # A full disk may refuse this too; then the run is found without an owner, and reported as died.
                with suppress(StorageError):
                    message = str(error) if isinstance(error, TunebookError) else f"{type(error).__name__}: {error}"
                    self._say(state="failed", phase="failed", message=message, finished=time.time(), **_AT_REST)
                raise
        return run

    def describe(self) -> str:
        """Say how far it is: a line on now, and one on each epoch done."""
        trainer = self.trainer
        if trainer is None:
            return f"{self.run.name}: {self.phase}"
        progress, recipe = trainer.progress, self.recipe
        head = [f"{self.run.name}: {self.phase}"]
        if not progress.is_done:
            width = 24
            filled = round(width * progress.step / max(trainer.steps, 1))
            head.append(f"[{'#' * filled}{'.' * (width - filled)}]")
            head.append(f"epoch {min(progress.epoch + 1, recipe.epochs)}/{recipe.epochs}")
            head.append(f"step {progress.step}/{trainer.steps}")
            if trainer.last_loss is not None:
                head.append(f"loss {trainer.last_loss:.3f}")
            if trainer.examples_per_second is not None:
                head.append(f"{trainer.examples_per_second:.0f}/s")
            if trainer.seconds_left is not None:
                head.append(f"{trainer.seconds_left / 60:.1f} min left")
            if trainer.is_paused:
                head.insert(1, "pauses")
        best = progress.best.get("epoch")
        chosen = "" if recipe.monitor in ("loss", "accuracy", "macro_f1") else f"{words(recipe.monitor):>10}"
        rows = [
            f"{row['epoch']:>5}  {row['train']['loss']:>10.3f}  {row['validation']['loss']:>10.3f}  "
            f"{row['validation']['accuracy']:>10.3f}  {row['validation']['macro_f1']:>10.3f}"
            + (f"  {measured(row['validation'], recipe.monitor):>{len(chosen)}.3f}" if chosen else "")
            + f"{' *' if row['epoch'] == best else '  '}  {row['trains']}"
            for row in progress.history[-30:]
        ]
        said = [f"control: {line}" for line in (*self._words, *trainer.commands.words)]
        said += [f"resume: {self._versions}"] * bool(self._versions)
        seed = self._seed_of_examples()
        said += [f"seed: {recipe.seed}; the examples and their splits stay as read with seed={seed}"] * (
            seed != recipe.seed
        )
        said += [*(f"cache: {line}" for line in self.features.words), *filter(None, [self.features.summary()])]
        said += [self._problem] if self._problem else []
        names = f"{'epoch':>5}  {'train loss':>10}  {'valid loss':>10}  {'accuracy':>10}  {'macro-F1':>10}"
        names += f"  {chosen}" * bool(chosen) + "    trains"
        return "\n".join(["  ".join(head), *([names, *rows] if rows else []), *said])

    def _seed_of_examples(self) -> int:
        seed: int = self.examples.read_with.get("seed", self.recipe.seed)
        return seed

    def _say(self, *, durable: bool = True, **changes: Any) -> None:  # noqa: ANN401
        if "phase" in changes:
            self.phase = changes["phase"]
        if self.devices.is_main:
            self.run.update(durable=durable, **changes)

    def _train(self, stop: Event) -> None:
        recipe, run = self.recipe, self.run
        accuracy = self.baseline.best["test"]["accuracy"] if self.baseline is not None else None
        self._say(
            state="running", task=self.task.name, phase="preparing", message="", epochs=recipe.epochs,
            baseline=accuracy, started=run.state().started or time.time(), finished=0.0,
        )  # fmt: skip
        checkpoints = Checkpoints(run.path / "checkpoints")
        found = checkpoints.latest()
        threads = found[0].progress.get("threads", 0) if found else 0
        with device_module.threads(threads), ExitStack() as opened:
            log = None
            if self.devices.is_main:
                self._describe_run(resumed=bool(recipe.resume))
                purge = found[0].progress["step"] + 1 if found else 0
                log = opened.enter_context(closing(EventLog(run.path, purge if recipe.resume else None)))
            trainer = Trainer(
                self.task, recipe, self.examples, self.model, self.reader, self.devices,
                log=log, checkpoints=checkpoints if self.devices.is_main else None, features=self.features,
                control=run.control if self.devices.is_main else None, replay=self._replay, since=self._since,
            )  # fmt: skip
            self.model.is_tuned = True
            if found:
                trainer.restore(found[0])
            self.trainer = trainer
            self._say(phase="tuning", steps=trainer.steps, step=trainer.progress.step, epoch=trainer.progress.epoch)
            try:
                trainer.fit(stop, self._on_step)
            finally:
                self.features.close()
            if log is not None:
                best = trainer.progress.history[int(trainer.progress.best["epoch"]) - 1]["validation"]
                values = {f"best/{name}": measured(best, name) for name in WORDS}
                found_best = {name: value for name, value in values.items() if np.isfinite(value)}
                log.hyperparameters(recipe.model_dump(), found_best, trainer.progress.step)

    def _on_step(self, trainer: Trainer) -> None:
        now, progress = time.monotonic(), trainer.progress
        told = progress.epoch, trainer.is_paused
        if now - self._beat < _HEARTBEAT and told == self._told:
            return
        self._beat, self._told = now, told
        self._say(
            durable=False, step=progress.step, epoch=progress.epoch, loss=trainer.last_loss,
            seconds_left=trainer.seconds_left, examples_per_second=trainer.examples_per_second,
            memory=resident_bytes(), lr=progress.lr, freeze=trainer.trains, paused=trainer.is_paused,
        )  # fmt: skip

    def _describe_run(self, *, resumed: bool) -> None:
        recipe = {
            "task": self.task.name,
            "parameters": self.recipe.model_dump(),
            "versions": machine.versions(),
            "device": self.devices.describe(),
            "seed": self.recipe.seed,
            "data": {
                "source": self.examples.source, "sha256": self.examples.fingerprint(), "examples": len(self.examples),
                "classes": list(self.examples.classes),
                # Only where it is another than the run's: a replay from the recipe alone would draw other splits.
                **({"seed": seed} if (seed := self._seed_of_examples()) != self.recipe.seed else {}),
            },
            "model": {"name": self.model.name, "origin": self.model.origin, "sha256": self.model.fingerprint},
        }  # fmt: skip
        path = self.run.path / "recipe.json"
        if resumed and path.is_file():
            self._go_on(path, recipe)
            return
        write_json(path, recipe)

    def _go_on(self, path: Path, recipe: dict[str, Any]) -> None:
        """Refuse to go on with another recipe; note what has another version than when the run was last begun."""
        before = read_json(path)
        _check_same(before, recipe, type(self.recipe)().model_dump(), self.run)
        last = [before, *before.get("resumed", [])][-1]["versions"]
        self._versions = machine.changed_versions(last)
        if self._versions:
            since = [*before.get("resumed", []), {"versions": recipe["versions"], "at": time.time()}]
            write_json(path, read_json(path) | {"resumed": since})

    def _finish(self) -> None:
        trainer, run = self.trainer, self.run
        assert trainer is not None  # noqa: S101
        self._say(phase="measuring", step=trainer.progress.step, epoch=trainer.progress.epoch, **_AT_REST)
        machine.trim_memory()
        weights, _ = Checkpoints(run.path / "checkpoints").load_best()
        module = self.model.module
        module.load_state_dict(weights)
        truth = self.examples.targets()
        # The whole model, as it is exported: what is reported is what a user gets.
        direct = DirectFeed(self.task, self.model, self.reader)
        with device_module.threads(trainer.progress.threads):
            scores = {
                split: predict_scores(direct, self.model, self.examples.rows(split), self.devices) for split in SPLITS
            }
        if not self.devices.is_main:
            return
        decider = Decider.of_examples(self.recipe, self.examples)
        rows = {split: self.examples.rows(split) for split in SPLITS}
        decision = None if decider is None else decider.choose(scores["validation"], truth[rows["validation"]])
        tuned = {split: measure(scores[split], truth[rows[split]], self.examples.classes, decision) for split in SPLITS}
        metrics = {**self._metrics(trainer, tuned), "decision": self._decided(decision)}
        write_json(run.path / "metrics.json", metrics)
        # Not among the metrics: a run that was resumed has the same metrics, but computed less.
        write_json(run.path / "cache.json", self.features.record())
        with replacing(run.path / "predictions.parquet") as temporary:
            self._predictions(scores, decision).to_parquet(temporary, index=False)
        self._say(phase="exporting")
        machine.trim_memory()
        exported, self._problem = self._export(metrics["decision"])
        self._say(phase="reporting")
        report = Report(run)
        with replacing_folder(run.path / "report") as folder:
            report.curves().save(folder / "curves.png")
            report.confusion().save(folder / "confusion.png")
            report.calibration().save(folder / "calibration.png")
            mistakes = report.mistakes(self.examples)
            mistakes.save(folder / f"mistakes{mistakes.suffix}")
            bias = report.bias(self.examples.notes, self.examples.derived)
            bias.save(folder, bias.mistakes(self.examples, self.task.name))
        card = write_card(report, self.recipe, self.examples, self.model, self.dropped, exported)
        write_text(run.path / "README.md", card)
        self._say(
            state="finished",
            phase="finished",
            metric=tuned["test"]["accuracy"],
            message=self._problem,
            finished=time.time(),
        )
        Checkpoints(run.path / "checkpoints").drop_steps()
        trainer.commands.close()

    def _export(self, decision: Mapping[str, Any] | None) -> tuple[list[str], str]:
        """
        Write the model and open it again.

        Returns
        -------
        tuple
            A sentence on each file for the card; and why there is no ``model/``, empty where there is one. What cannot
            be opened, or says something else, is kept under another name.
        """
        run, rows = self.run, self.examples.rows("validation")[:_OPENED]
        self.model.module.to("cpu")
        contents = self.examples.frame["content"].iloc[rows].tolist()
        inputs = [self.reader.inputs(rows[place : place + 1]) for place in range(len(rows))]
        known = Known.of(self.task, self.model, contents, inputs)
        try:
            with replacing_folder(run.path / "model") as folder:
                exported = self.task.export(self.model, self.examples.classes, self.recipe, folder)
                exported += note_decision(folder, self.examples.classes, decision)
                self._require_same(folder, known)
        except _UnopenedError as error:
            told = (
                f"no model/: {error}; what was written is in {UNOPENED}/, the best epoch's weights in checkpoints/best/"
            )
            return [told], told
        return exported, ""

    def _require_same(self, folder: Path, known: Known) -> None:
        found: list[str] = []
        problem = first_problem(lambda: found.append(self.task.check_export(self.model, folder, known)))
        problem = f"it does not open ({problem})" if problem else found[0]
        if problem:
            with replacing_folder(self.run.path / UNOPENED) as kept:
                shutil.copytree(folder, kept, dirs_exist_ok=True)
            raise _UnopenedError(problem)

    def _metrics(self, trainer: Trainer, tuned: dict[str, Any]) -> dict[str, Any]:
        history = trainer.progress.history
        best = int(trainer.progress.best["epoch"])
        counts = dict(zip(self.examples.classes, self.examples.class_counts("train").tolist(), strict=True))
        baseline = self.baseline
        base = baseline.best["validation"]["accuracy"] if baseline is not None else None
        return {
            "classes": list(self.examples.classes),
            "multi_label": self.examples.multi_label,
            "train_counts": counts,
            "monitor": self.recipe.monitor,
            "baseline": baseline.name if baseline is not None else "",
            "baselines": baseline.metrics if baseline is not None else {},
            "stages": list(_stages(history, self.recipe.monitor)),
            "tuned": {"epoch": best, **tuned},
            "history": history,
            "verdicts": [asdict(v) for v in judge(history, best, counts, base, self.recipe.regularisers)],
        }

    def _decided(self, decision: Decision | None) -> dict[str, Any] | None:
        """Return how the tuned model decides between two classes, and the baseline's threshold, as JSON."""
        if decision is None:
            return None
        own = self.baseline.decision if self.baseline is not None else None
        return {
            "positive": self.examples.classes[decision.positive],
            "threshold": decision.threshold,
            "chosen_by": self.recipe.threshold,
            "baseline": own.threshold if own is not None else None,
        }

    def _predictions(self, scores: dict[str, np.ndarray], decision: Decision | None) -> pd.DataFrame:
        rows = np.concatenate([self.examples.rows(split) for split in SPLITS])
        parts = [("tuned", rows, np.concatenate([scores[split] for split in SPLITS]), decision)]
        if self.baseline is not None:
            parts.insert(0, ("baseline", self.baseline.rows, self.baseline.scores, self.baseline.decision))
        tables = []
        multi_label = self.examples.multi_label
        for name, where, values, own in parts:
            said = decide(values, multi_label=multi_label, decision=own)
            frame = self.examples.frame.iloc[where]
            table = pd.DataFrame({"model": name, "id": frame["id"].to_numpy(), "split": frame["split"].to_numpy()})
            table["truth"] = frame["label"].to_numpy()
            table["prediction"] = decode(said, self.examples.classes)
            table["confidence"] = confidence(values, multi_label=multi_label, decision=own).astype(np.float32)
            table["scores"] = list(values.astype(np.float32))
            for attribute in self.examples.sensitive:
                table[PREFIX + attribute] = frame[attribute].to_numpy()
            tables.append(table)
        return pd.concat(tables, ignore_index=True)


def open_run(recipe: Recipe) -> Run:
    """
    Return the directory of the run that a recipe asks for: a new one, a queued one, or the one to resume.

    Raises
    ------
    StorageError
        The run is there already, is not there, or cannot be resumed.
    """
    if recipe.resume:
        run = Run.open(recipe.resume, recipe.runs_dir)
        _refuse_taken(run, recipe)
        state = run.state()
        if state.task and state.task != recipe.task:
            msg = f"run {run.name} is a run of {state.task}, not of {recipe.task}; use its own notebook"
            raise StorageError(msg)
        return run
    if recipe.run:
        path = from_home(recipe.runs_dir) / recipe.run
        # `tunebook run` makes the directory before it starts the notebook.
        if (path / "state.json").is_file() and Run(path).state().state == "queued":
            return Run(path)
    return Run.create(recipe.runs_dir, recipe.run, recipe.task)


def _refuse_taken(run: Run, recipe: Recipe) -> None:
    """Refuse to resume what is finished, and to begin where another run has begun."""
    state = run.state().state
    if recipe.resume and state == "finished":
        msg = f"run {run.name} is finished, so there is nothing to resume; start a new one, with resume=''"
        raise StorageError(msg)
    if not recipe.resume and state != "queued":
        msg = f"run {run.name} is there already, and {state}; choose another name"
        raise StorageError(msg)


def _resumed_at(run: Run) -> float:
    """Return when a run was told to go on, in seconds since 1970: before now where `tunebook run` started a kernel."""
    state = run.state()
    return state.heartbeat if state.state == "queued" else time.time()


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], defaults: Mapping[str, Any], run: Run) -> None:
    for name, value in now["parameters"].items():
        # A run from before there was the parameter did what its default does.
        old = before["parameters"].get(name, defaults.get(name))
        # Both sides as JSON has them: it knows no tuples.
        if name not in FREE_TO_CHANGE and _plain(old) != _plain(value):
            msg = (
                f"resume: parameter {name} is {shown(value)} but run {run.name} has {shown(old)}; "
                "a resumed run keeps its recipe"
            )
            raise RecipeError(msg)
    for what, fix in (("data", "give it the same data"), ("model", "give it the same weights")):
        if before[what]["sha256"] != now[what]["sha256"]:
            msg = f"resume: the {what} of run {run.name} changed since it was started; {fix}, or start a new run"
            raise RecipeError(msg)


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _stages(history: list[dict[str, Any]], monitor: str) -> Iterator[dict[str, Any]]:
    """Yield the best epoch of each stretch of epochs with the same freeze."""
    start = 0
    for end in range(1, len(history) + 1):
        if end < len(history) and history[end]["trains"] == history[start]["trains"]:
            continue
        rows = history[start:end]
        best = max(rows, key=lambda row: (monitored(row["validation"], monitor), -row["validation"]["loss"]))
        yield {
            "trains": best["trains"],
            "epochs": [rows[0]["epoch"], rows[-1]["epoch"]],
            "epoch": best["epoch"],
            "validation": {k: best["validation"][k] for k in ("n", *WORDS, "threshold") if k in best["validation"]},
        }
        start = end
