"""Running a notebook from start to end without a person: papermill, with its sharp edges covered."""

from __future__ import annotations

import asyncio
import errno
import keyword
import logging
import math
import os
import re
import signal
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from tunebook import errors, tasks
from tunebook.errors import NotebookError, RecipeError, StorageError, TunebookError, did_you_mean, shown
from tunebook.recipe import readings
from tunebook.runs import Run, State
from tunebook.storage import read_json, replacing, storage_error, write_json, write_text
from tunebook.templates import SUFFIX, load_notebook, parameters_of, source_of, task_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from papermill.engines import NotebookExecutionManager

#: Longest time in seconds to wait for a kernel; a small shared machine may need a minute.
START_TIMEOUT = 180
#: Seconds between two saves of the unfinished notebook within one long cell.
AUTOSAVE = 30.0

_ENGINE = "tunebook"
_SOURCE = "source.ipynb"
_PARAMETERS = "parameters.json"
_JOB = "job.json"
_PART = ".notebook.ipynb.part"

_log = logging.getLogger("tunebook.batch")
# Without a handler Python prints warnings of these loggers on stderr; what matters is raised.
for _name in ("tunebook.batch", "papermill"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


class ExecutionError(NotebookError):
    """
    A notebook did not run to its end.

    Attributes
    ----------
    run
        The run directory.
    kept
        The notebook as far as it got; ``None`` when nothing could be kept.
    exit_code
        What a command ends with.
    """

    def __init__(self, message: str, run: Run, kept: Path | None, exit_code: int = 1) -> None:
        super().__init__(message)
        self.run = run
        self.kept = kept
        self.exit_code = exit_code


@dataclass(frozen=True)
class BatchResult:
    """
    A notebook that ran to its end.

    Attributes
    ----------
    notebook
        The finished notebook.
    run
        The run directory.
    """

    notebook: Path
    run: Run

    @property
    def state(self) -> State:
        """The run's state."""
        return self.run.state()


def settle_parameters(notebook: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """
    Check parameters for a notebook and give them the types that it takes.

    papermill writes a parameter's *name* into code as it is and warns about unknown ones, so
    nothing gets there that is not known to be a parameter.

    Parameters
    ----------
    notebook
        The notebook. When its metadata names a task, the task's recipe decides; otherwise its
        cell tagged ``parameters`` does.
    parameters
        Names and values, from Python, YAML or as text from a command line.

    Returns
    -------
    dict
        The same names with values that JSON can hold.

    Raises
    ------
    RecipeError
        A name is unknown or a value is not allowed.
    NotebookError
        The notebook takes no parameters.
    """
    task = task_of(notebook)
    if task:
        recipe = tasks.recipe_class(task)
        recipe.check_names([_text_name(name) for name in parameters])
        values = {name: recipe.settle(name, value) for name, value in parameters.items()}
        recipe(**values)
        return {name: _plain(name, value) for name, value in values.items()}
    defaults = parameters_of(notebook) if parameters else {}
    settled: dict[str, Any] = {}
    for name, value in parameters.items():
        _check_name(_text_name(name), defaults)
        settled[name] = _plain(name, _like(defaults[name], value))
    return settled


def execute(
    notebook: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    output: Path | None = None,
    runs_dir: str | None = None,
    on_start: Callable[[Run], None] | None = None,
    on_cell: Callable[[int, int, str], None] | None = None,
) -> BatchResult:
    """
    Run a notebook in a new run directory.

    The kernel works in the current folder, so relative paths mean what they mean to the caller.

    Parameters
    ----------
    notebook
        The notebook.
    parameters
        Names and values; see :func:`settle_parameters`.
    output
        Where the finished notebook goes; ``notebook.ipynb`` in the run directory when not given.
    runs_dir
        Folder that holds the run directories, unless ``parameters`` name one.
    on_start
        Called with the run before the kernel starts.
    on_cell
        Called before each cell with its number from 0, the count of cells, and the heading above it.

    Returns
    -------
    BatchResult
        The finished notebook and its run.

    Raises
    ------
    RecipeError
        A parameter is not allowed; nothing was run.
    StorageError
        A file cannot be written.
    ExecutionError
        A cell failed, the kernel died, or the user stopped it; what was finished is kept.
    """
    source = load_notebook(notebook)
    task = task_of(source)
    given = dict(parameters or {})
    if given.get("resume"):
        msg = f"resume is not a parameter of a new run; use `tunebook run --resume {given['resume']}`"
        raise RecipeError(msg)
    if task and runs_dir:
        given.setdefault("runs_dir", runs_dir)
    values = settle_parameters(source, given)
    kernel = _kernel_of(source)
    folder = Path.cwd()
    if output is not None:
        _check_output(output, notebook)

    root = values.get("runs_dir") if task else runs_dir
    root = root or "runs"
    stem = re.sub(r"[^\w.-]+", "-", notebook.stem).lstrip(".") or "notebook"
    run = Run.create(root, str(values.get("run", "")) if task else "", task or stem)
    if task:
        values |= {"run": run.name, "runs_dir": root}
    else:
        run.update(task="")
    write_text(run.path / _SOURCE, notebook.read_text(encoding="utf-8"))
    write_json(run.path / _PARAMETERS, values)
    job = {"notebook": str(notebook), "output": str(output.absolute()) if output else None, "folder": str(folder)}
    write_json(run.path / _JOB, job)

    execution = _Execution(run, notebook, task, output, folder, kernel, on_cell)
    return _carry_out(execution, values, on_start)


def resume(
    run: Run,
    *,
    output: Path | None = None,
    on_start: Callable[[Run], None] | None = None,
    on_cell: Callable[[int, int, str], None] | None = None,
) -> BatchResult:
    """
    Go on with a run that was stopped, failed or killed: its own notebook and parameters, from its last checkpoint.

    The kernel works in the folder in which the run was started, so relative paths still hold.

    Parameters
    ----------
    run
        The run.
    output, on_start, on_cell
        As for :func:`execute`; ``output`` is the run's first one when not given.

    Returns
    -------
    BatchResult
        The finished notebook and its run.

    Raises
    ------
    NotebookError
        The run is finished, is running, or was not started in batch.
    ExecutionError
        As for :func:`execute`.
    """
    state = run.state()
    if state.state == "finished":
        msg = f"run {run.name} is finished, there is nothing to resume; see it with `tunebook show {run.path}`"
        raise NotebookError(msg)
    if state.state == "running":
        msg = f"run {run.name} is running, process {state.pid} on {state.host}; wait for it, or stop it first"
        raise NotebookError(msg)
    if not all((run.path / name).is_file() for name in (_SOURCE, _PARAMETERS, _JOB)):
        msg = f"run {run.name} was not started by `tunebook run`; open its notebook and set resume={str(run.path)!r}"
        raise NotebookError(msg)
    source = load_notebook(run.path / _SOURCE)
    task = task_of(source)
    if not task:
        msg = f"run {run.name} has no checkpoints, since its notebook names no task; run the notebook again"
        raise NotebookError(msg)
    job = read_json(run.path / _JOB)
    notebook = Path(job["notebook"])
    folder = Path(job["folder"]) if Path(job["folder"]).is_dir() else Path.cwd()
    if output is None and job["output"]:
        output = Path(job["output"])
    if output is not None:
        _check_output(output, notebook)
    path = run.path.absolute()
    values = read_json(run.path / _PARAMETERS)
    values |= {"run": run.name, "runs_dir": str(path.parent), "resume": str(path)}
    values = settle_parameters(source, values)

    execution = _Execution(run, notebook, task, output, folder, _kernel_of(source), on_cell)
    result = _carry_out(execution, values, on_start)
    for ending in ("failed", "stopped"):  # the whole notebook says all that the unfinished one said
        execution.kept_name(ending).unlink(missing_ok=True)
    return result


class _Stop(Exception):
    """The user wants no further cell."""


class _Execution:
    """One notebook being run: the papermill engine calls back here."""

    def __init__(
        self,
        run: Run,
        notebook: Path,
        task: str,
        output: Path | None,
        folder: Path,
        kernel: str,
        on_cell: Callable[[int, int, str], None] | None,
    ) -> None:
        self.run = run
        self.notebook = notebook
        self.task = task
        self.output = output if output is not None else run.path / f"notebook{SUFFIX}"
        self.folder = folder
        self.kernel = kernel
        self.signal = 0
        self._on_cell = on_cell
        self._part = run.path / _PART
        self._client: PapermillNotebookClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._interrupting: asyncio.Task[None] | None = None
        self._nb: nbformat.NotebookNode | None = None
        self._titles: list[str] = []
        self._at = 0
        self._saved = 0.0
        self._unwritable: OSError | None = None

    @property
    def title(self) -> str:
        """Heading above the cell that runs, or ran last."""
        return self._titles[self._at] if self._at < len(self._titles) else ""

    def kept_name(self, ending: str) -> Path:
        """Name under which an unfinished notebook is kept: never the one of the finished."""
        return self.output.with_name(f"{self.output.stem}.{ending}{SUFFIX}")

    def papermill(self, values: dict[str, Any]) -> None:
        """Run all cells."""
        metadata = load_notebook(self.run.path / _SOURCE).get("metadata", {})
        language = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get("language")
        papermill_engines.register(_ENGINE, _Engine)
        execute_notebook(
            # papermill reads braces in a path as places for parameters.
            str((self.run.path / _SOURCE).absolute()).replace("{", "{{").replace("}", "}}"),
            None,
            values,
            engine_name=_ENGINE,
            kernel_name=self.kernel,
            language=language or "python",
            progress_bar=False,
            start_timeout=START_TIMEOUT,
            execution=self,
        )

    def engine(self, manager: NotebookExecutionManager, kernel: str, start_timeout: int) -> None:
        """Run the cells of papermill's notebook in a kernel; called by the engine."""
        self._nb = manager.nb
        self._titles = _titles(manager.nb.cells)
        manager.save = manager.autosave_cell = lambda **_: None
        client = PapermillNotebookClient(
            manager,
            kernel_name=kernel,
            startup_timeout=start_timeout,
            timeout=None,
            log=_log,
            resources={"metadata": {"path": str(self.folder)}},
            on_cell_start=self._cell_starts,
            on_cell_executed=self._cell_executed,
        )
        client.km = _kernel_manager(kernel)
        self._client = client
        try:
            client.execute()
        except BaseException:
            # papermill would mark the cell in which the kernel died, and all after it, as completed.
            if self._titles:
                manager.cell_exception(manager.nb.cells[self._at], cell_index=self._at)
            raise

    async def _cell_starts(self, cell: nbformat.NotebookNode, cell_index: int) -> None:  # noqa: ARG002
        self._loop = asyncio.get_running_loop()
        if self.signal:
            raise _Stop
        self._at = cell_index
        self._save_part()
        if self._on_cell is not None:
            self._on_cell(cell_index, len(self._titles), self.title)

    async def _cell_executed(self, **_: object) -> None:
        self._save_part()

    def _save_part(self) -> None:
        assert self._nb is not None  # noqa: S101
        with replacing(self._part, durable=False) as temporary:
            temporary.write_text(nbformat.writes(self._nb), encoding="utf-8")

