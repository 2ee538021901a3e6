"""A search for the best parameters: planned, run, stopped and resumed, and what it found."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunebook.errors import RecipeError, StorageError, TunebookError, shown
from tunebook.runs import Run
from tunebook.search_plan import POINTS, Plan, make_plan
from tunebook.storage import read_json, scratch, write_json
from tunebook.templates import find_notebook, load_notebook
from tunebook.training import TrainingStopped
from tunebook.tuning import Tuning

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from tunebook.examples import Examples
    from tunebook.figures import Picture
    from tunebook.search_ledger import Ledger, Row
    from tunebook.search_trials import TrialResult
    from tunebook.search_workers import Executor

#: Seconds between two writes of state.json.
_HEARTBEAT = 0.5
#: Seconds between two writes of the table of trials while more of them end.
_SAVE = 10.0
_MOST_WORKERS = 1_024
#: What workers are handed; in the sweep's directory, so that a killed one leaves it nowhere else.
_HANDOFF = ".workers"


class Search:
    """
    What a sweep found, read from its directory alone.

    Parameters
    ----------
    run
        The sweep's directory.

    Raises
    ------
    StorageError
        It is no sweep, or nothing of it has ended yet.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.plan = Plan.load(run)
        self._best: dict[str, Any] = read_json(run.path / "best.json")

    def __repr__(self) -> str:
        return f"Search({str(self.run.path)!r}: {self.run.state().message})"

    @classmethod
    def open(cls, path: Path | str, runs_dir: Path | str = "runs") -> Search:
        """Open a sweep by its path, or by its name below ``runs_dir``."""
        return cls(Run.open(path, runs_dir))

    @property
    def path(self) -> Path:
        """The sweep's directory."""
        return self.run.path

    @property
    def best(self) -> dict[str, Any]:
        """
        The best trial: ``number``, ``parameters``, ``values``, ``metrics``, ``epoch``, ``seconds``.

        With two objectives it is the one on the Pareto front with the best first objective.

        Raises
        ------
        StorageError
            No trial is complete.
        """
        best: dict[str, Any] | None = self._best["best"]
        if best is None:
            msg = f"sweep {self.run.name} has no complete trial; see the messages in {self.run.path / 'trials.csv'}"
            raise StorageError(msg)
        return best

    @property
    def front(self) -> list[dict[str, Any]]:
        """The trials of the Pareto front as :attr:`best` gives one; that one alone with one objective."""
        found: list[dict[str, Any]] = self._best.get("front", [self.best])
        return found

    def table(self) -> pd.DataFrame:
        """Return all trials by number, see :func:`tunebook.search_files.trials_table`."""
        import pandas as pd  # noqa: PLC0415

        return pd.read_parquet(self.run.path / "trials.parquet")

    def best_trials(self, count: int = 5) -> pd.DataFrame:
        """Return the best complete trials, the best first."""
        order: list[int] = self._best["ranking"][:count]
        return self.table().drop(columns=["state", "message"]).reindex(order)

    @property
    def figures(self) -> dict[str, Picture]:
        """Name to picture: history, importance, parallel, slice, and pareto where there are two objectives."""
        from tunebook.figures import Picture  # noqa: PLC0415
        from tunebook.search_figures import NAMES  # noqa: PLC0415

        folder = self.run.path / "figures"
        return {
            name: Picture((folder / f"{name}.png").read_bytes(), (folder / f"{name}.txt").read_text("utf-8").strip())
            for name in NAMES
            if (folder / f"{name}.png").is_file()
        }

    def parameters_cell(self) -> str:
        """Return the best trial's whole recipe as the source of a parameters cell."""
        from tunebook.tasks import recipe_class  # noqa: PLC0415

        recipe = self.plan.recipe(**self.best["parameters"])
        return recipe_class(self.plan.task).parameters_cell(recipe.model_dump())

    def files(self) -> list[str]:
        """Return the names of what the directory holds."""
        return sorted(
            path.name + ("/" if path.is_dir() else "")
            for path in self.run.path.iterdir()
            if not path.name.startswith(".")
        )


class Searching(Tuning[Search]):
    """
    A search under way.

    In a notebook, ``found = await search(...)`` keeps the kernel free; in a script, ``search(...).result()`` waits.
    Interrupting either ends it after the step under way; it can be resumed.

    Parameters
    ----------
    sweep
        What is done.
    """

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        super().__init__(lambda stop: Search(sweep.work(stop)), sweep.describe, sweep.run)


class Sweep:
    """
    One sweep from its start, or its resumption, to its end.

    Parameters
    ----------
    run
        Its directory.
    plan
        What is searched.
    url
        Of Optuna's storage with all that it takes to open it; empty for the journal in the directory.
    workers
        Number of worker processes; 0 runs the trials in this one.
    scheduler
        Address of a dask scheduler; empty for none.
    resumed
        Whether it was begun before.
    on_trial
        Called with each trial that ends and the best one so far.
    """

    def __init__(
        self,
        run: Run,
        plan: Plan,
        *,
        url: str = "",
        workers: int = 0,
        scheduler: str = "",
        resumed: bool = False,
        on_trial: Callable[[Row, Row | None], None] | None = None,
    ) -> None:
        self.run, self.plan = run, plan
        self._url, self._workers, self._scheduler = url, workers, scheduler
        self._resumed, self._on_trial = resumed, on_trial
        self._ledger: Ledger | None = None
        self._rows: list[Row] = []
        self._phase = "preparing"
        self._where = ""
        self._beat = self._saved = 0.0
        self._started, self._before = time.monotonic(), 0

    def work(self, stop: threading.Event) -> Run:
        """
        Run the trials that are left, and write the directory.

        Raises
        ------
        TunebookError
            It failed or was stopped; ``state.json`` says the same.
        """
        run = self.run
        with run.owned():
            try:
                self._say(state="running", phase="preparing", message="", finished=0.0, steps=self.plan.trials,
                          started=run.state().started or time.time())  # fmt: skip
                self._search(stop)
            except TrainingStopped:
                message = f"stopped after {len(self._rows)} of {self.plan.trials} trials"
                self._say(state="stopped", phase="stopped", message=message, finished=time.time())
                msg = f"{message}; go on with: tunebook sweep --resume {run.path}"
                raise TrainingStopped(msg) from None
            except BaseException as error:
                with suppress(StorageError):  # a full disk may refuse this too
                    message = str(error) if isinstance(error, TunebookError) else f"{type(error).__name__}: {error}"
                    self._say(state="failed", phase="failed", message=message, finished=time.time())
                raise
        return run

    def describe(self) -> str:
        """Say how far it is: a line on now, and one on each of the best trials."""
        from tunebook.search_files import parameters_text, values_text  # noqa: PLC0415
        from tunebook.search_ledger import ranked  # noqa: PLC0415

        rows = list(self._rows)
        width = 24
        filled = round(width * len(rows) / max(self.plan.trials, 1))
        head = (
            f"{self.run.name}: {self._phase}  [{'#' * filled}{'.' * (width - filled)}]  {len(rows)}/{self.plan.trials}"
        )
        left = self._seconds_left()
        head += f" trials {self._where}" + (f"  {left / 60:.1f} min left" if left else "")
        best = ranked(rows, self.plan.read_objectives())[:5]
        return "\n".join(
            [
                head,
                *(f"trial {row.number:>4}  {values_text(row, self.plan)}  {parameters_text(row)}" for row in best),
            ]
        )

    @property
    def done(self) -> int:
        """Number of trials that ended."""
        return len(self._rows)

    # The parent's side of the trials.

    def reported(self, number: int, epoch: int, value: float) -> bool:
        """Note a trial's value after an epoch; return whether to give it up."""
        assert self._ledger is not None  # noqa: S101
        prune = self._ledger.report(number, epoch, value)
        self._heartbeat()
        return prune

    def ended(self, number: int, result: TrialResult) -> None:
        """Note what became of a trial."""
        from tunebook.search_files import write_trials  # noqa: PLC0415
        from tunebook.search_ledger import ranked  # noqa: PLC0415

        assert self._ledger is not None  # noqa: S101
        row = self._ledger.tell(number, result)
        if row is None:
            return
        self._rows = sorted([*self._rows, row], key=lambda row: row.number)
        if time.monotonic() - self._saved > _SAVE:
            write_trials(self.run.path, self._rows, self.plan)
            self._saved = time.monotonic()
        self._heartbeat()
        if self._on_trial is not None:
            best = ranked(self._rows, self._ledger.objectives)
            self._on_trial(row, best[0] if best else None)

    def _search(self, stop: threading.Event) -> None:
        from tunebook.search_files import ended_trials, outcome, write_results  # noqa: PLC0415
        from tunebook.search_ledger import Ledger  # noqa: PLC0415
        from tunebook.search_materials import checked_examples  # noqa: PLC0415
        from tunebook.search_objectives import Judge  # noqa: PLC0415

        examples = checked_examples(self.plan.recipe())
        plan = self._described(examples)
        Judge(plan.read_objectives(), examples)  # a mistake there is told before a trial runs
        ledger = self._ledger = Ledger(plan, self.run.path, self.run.name, self._url, resumed=self._resumed)
        if ledger.ended < (kept := ended_trials(self.run.path)):
            raise StorageError(
                f"the study of {self.run.name} has {ledger.ended} of the {kept} trials that its table has; put its "
                "journal or database back, or start a new sweep"
            )
        self._rows = ledger.rows()
        self._started, self._before = time.monotonic(), len(self._rows)
        try:
            if len(self._rows) < plan.trials:
                self._run_trials(ledger, examples, stop)
        finally:
            ledger.release()
            self._say(phase="reporting", step=len(self._rows), seconds_left=None)
            # Whoever stops a search wants it to end, and a system that does so soon sends a second signal.
            write_results(self.run.path, ledger, figures=not stop.is_set())
        if not any(row.state == "complete" for row in self._rows):
            first = next((row.message for row in self._rows if row.message), "")
            raise TunebookError(f"no trial is complete: {first}")
        message = outcome(plan, self._rows, ledger.objectives)
        self._say(state="finished", phase="finished", message=message, finished=time.time())

    def _run_trials(self, ledger: Ledger, examples: Examples, stop: threading.Event) -> None:
        with (
            scratch(self.run.path / _HANDOFF) as folder,
            closing(self._executor(examples, folder)) as executor,
        ):
            self._say(phase="searching")
            while ledger.ended < self.plan.trials:
                if stop.is_set():
                    raise TrainingStopped("stopped")
                room = min(executor.room(), self.plan.trials - ledger.asked)
                if room > 0:
                    executor.submit([ledger.ask() for _ in range(room)])
                self._where = executor.describe()
                executor.turn(self, stop)
                self._heartbeat()

    def _executor(self, examples: Examples, folder: Path) -> Executor:
        if self._scheduler:
            from tunebook.search_cluster import Cluster  # noqa: PLC0415

            return Cluster(self.plan, examples, self._scheduler)
        from tunebook.search_workers import InProcess, Processes  # noqa: PLC0415

        if self._workers:
            return Processes(self.plan, examples, min(self._workers, self.plan.trials), folder)
        from tunebook.search_materials import Materials  # noqa: PLC0415
        from tunebook.search_trials import evaluator  # noqa: PLC0415

        materials = Materials(self.plan.recipe(), examples)
        return InProcess(self.plan, evaluator(materials, self.plan.read_objectives()))

    def _described(self, examples: Examples) -> Plan:
        described = self.plan.described(examples)
        if self._resumed and self.plan.data and self.plan.data["sha256"] != described.data["sha256"]:
            msg = (
                f"resume: the data of sweep {self.run.name} changed since it was started; give it the same data, or "
                "start a new sweep"
            )
            raise RecipeError(msg)
        self.plan = described
        described.save(self.run)
        # What `tunebook show` reads of any run.
        recipe = {"task": described.task, "parameters": described.parameters, "versions": described.versions,
                  "seed": described.seed, "data": described.data}  # fmt: skip
        write_json(self.run.path / "recipe.json", recipe)
        return described

    def _heartbeat(self) -> None:
        now = time.monotonic()
        if now - self._beat > _HEARTBEAT:
            self._beat = now
            self._say(durable=False, step=len(self._rows), seconds_left=self._seconds_left())

    def _seconds_left(self) -> float | None:
        done = len(self._rows) - self._before
        return (time.monotonic() - self._started) / done * (self.plan.trials - len(self._rows)) if done > 0 else None

    def _say(self, *, durable: bool = True, **changes: Any) -> None:  # noqa: ANN401
        self._phase = changes.get("phase", self._phase)
        self.run.update(durable=durable, **changes)


def search(
    template: str = "image-classification",
    space: Mapping[str, str] | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    trials: int | None = None,
    method: str = "bayesian",
    objectives: Sequence[str] = ("macro_f1",),
    workers: int = 0,
    scheduler: str = "",
    name: str = "",
    runs_dir: str = "runs",
    storage: str = "",
    prune: bool | None = None,
    points: int = POINTS,
    seed: int = 0,
    on_trial: Callable[[Row, Row | None], None] | None = None,
) -> Searching:
    """
    Search for the parameters with which a template reaches most on the validation set.

    Parameters
    ----------
    template
        A template's name or a notebook's path; its parameters cell gives what is not searched.
    space
        Parameter to its space as text: ``"0..0.5"``, ``"8..64/8"``, ``"log(1e-5,1e-1)"``, or ``"backbone,6,4"``.
    parameters
        Values in place of the template's.
    trials
        Number of trials that end; ``None`` is 30, or the whole grid.
    method
        ``"bayesian"`` (TPE [1]_), ``"random"`` or ``"grid"``.
    objectives
        Metrics of :data:`tunebook.monitors.WORDS`, ``"gap"`` or ``"gap:attribute"`` (largest difference in accuracy
        between groups); two give a Pareto front.
    workers
        Worker processes on this machine; 0 runs the trials in this one.
    scheduler
        Address of a dask scheduler, whose workers run the trials.
    name, runs_dir
        Of the sweep's directory; an empty name makes one from task and time.
    storage
        Database for Optuna, such as ``"sqlite:///sweeps.db"``; empty keeps a journal in the directory.
    prune
        Whether trials below the median of those before are given up; ``None`` does so with one objective.
    points
        Values into which a grid cuts a range.
    seed
        Seed of the choice of parameters; that of training is a parameter.
    on_trial
        Called, in the search's thread, with each trial that ends and the best one so far.

    Returns
    -------
    Searching
        ``await search(...)`` in a notebook, ``search(...).result()`` in a script; both give a :class:`Search`.

    Raises
    ------
    TunebookError
        At once for what is wrong beforehand; from awaiting it for what goes wrong later.

    References
    ----------
    .. [1] Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011.
    """
    notebook = load_notebook(find_notebook(template))
    plan = make_plan(
        notebook, dict(space or {}), parameters=parameters, objectives=objectives, trials=trials, method=method,
        points=points, prune=prune, seed=seed, storage=_kept(storage),
    )  # fmt: skip
    _check_place(workers, scheduler)
    plan.recipe(run=name)  # a name that could leave the folder is refused
    run = Run.create(runs_dir, name or _new_name(plan), plan.task)
    plan.save(run)
    return Searching(Sweep(run, plan, url=storage, workers=workers, scheduler=scheduler, on_trial=on_trial))


def resume_search(
    sweep: str,
    *,
    runs_dir: str = "runs",
    trials: int | None = None,
    workers: int = 0,
    scheduler: str = "",
    storage: str = "",
    on_trial: Callable[[Row, Row | None], None] | None = None,
) -> Searching:
    """
    Go on with a sweep that was stopped or killed; trials that were under way are run again.

    Parameters
    ----------
    sweep
        Its path or name.
    trials
        New number of trials in all, such as for more than were wanted at first; ``None`` keeps it.
    runs_dir, workers, scheduler, on_trial
        As for :func:`search`.
    storage
        As for :func:`search`; needed only where its URL has a password, which is not kept.

    Raises
    ------
    StorageError
        There is no such sweep, it is complete, or another process owns it.
    """
    run = Run.open(sweep, runs_dir)
    plan = Plan.load(run)
    state = run.state()
    if trials is not None:
        if trials < plan.trials:
            msg = f"trials: got {trials}; sweep {run.name} has {plan.trials}, and a resumed one can only get more"
            raise RecipeError(msg)
        plan = replace(plan, trials=_most_trials(plan, trials))
    elif state.state == "finished":
        msg = f"sweep {run.name} is finished; give it more with --trials, above {plan.trials}"
        raise StorageError(msg)
    if state.state == "running":
        msg = f"sweep {run.name} is running, process {state.pid} on {state.host}; wait for it, or stop it first"
        raise StorageError(msg)
    _check_place(workers, scheduler)
    url = storage or plan.storage
    return Searching(Sweep(run, plan, url=url, workers=workers, scheduler=scheduler, resumed=True, on_trial=on_trial))


def _most_trials(plan: Plan, trials: int) -> int:
    from tunebook.spaces import grid_size  # noqa: PLC0415

    return min(trials, grid_size(plan.read_spaces(), plan.points)) if plan.method == "grid" else trials


def _check_place(workers: int, scheduler: str) -> None:
    if type(workers) is not int or not 0 <= workers <= _MOST_WORKERS:
        msg = f"workers: got {shown(workers)}; allowed: a whole number from 0 (this process) to {_MOST_WORKERS}"
        raise RecipeError(msg)
    if workers and scheduler:
        msg = "workers and scheduler: trials run in processes here, or on a cluster; leave one of them out"
        raise RecipeError(msg)


def _kept(storage: str) -> str:
    if not storage:
        return ""
    from tunebook.search_ledger import kept_url  # noqa: PLC0415

    return kept_url(storage)


def _new_name(plan: Plan) -> str:
    import secrets  # noqa: PLC0415
    from datetime import UTC, datetime  # noqa: PLC0415

    stamp = datetime.now(tz=UTC).astimezone().strftime("%Y%m%d-%H%M%S")
    return f"sweep-{plan.task}-{stamp}-{secrets.token_hex(3)}"
