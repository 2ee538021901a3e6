"""Running a notebook from start to end without a person: papermill, with its sharp edges covered."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import nbformat
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from tunebook import machine
from tunebook.adoption import JOB, SOURCE, adopt
from tunebook.data_place import require_place
from tunebook.errors import NotebookError, RecipeError, StorageError, TunebookError, shown
from tunebook.feature_store import wanted_limit
from tunebook.opening import is_folder, is_there
from tunebook.parameters import settle_parameters
from tunebook.preflight import refuse_beforehand
from tunebook.progress import safe
from tunebook.runs import Run, State
from tunebook.storage import read_json, write_json, write_text
from tunebook.tasks import recipe_class
from tunebook.templates import SUFFIX, load_notebook, parameters_of, source_of, task_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from subprocess import Popen
    from types import FrameType

    from papermill.engines import NotebookExecutionManager

#: Longest time in seconds to wait for a kernel; a small shared machine may need a minute.
START_TIMEOUT = 180
#: Seconds that an interrupted kernel has to write its checkpoint before it is killed; batch systems
#: commonly allow 30 between their first signal and the last.
GRACE = 20.0

#: Environment variable that tells what runs in the kernel that nobody looks on: pictures and text do, widgets do not.
BATCH_VARIABLE = "TUNEBOOK_BATCH"

_ENGINE = "tunebook"
_PART = ".notebook.ipynb.part"
_KERNEL_LOG = "kernel.log"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

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


def execute(  # a front door: all but two are named, and optional
    notebook: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    name: str = "",
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
        Names and values; see :func:`tunebook.parameters.settle_parameters`.
    name
        Name of the run directory; without it ``parameters`` may name one.
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
    DataError
        The data is nowhere; nothing was run.
    StorageError
        A file cannot be written.
    ExecutionError
        A cell failed, the kernel died, or the user stopped it; what was finished is kept.
    """
    _require_session()
    source = _valid(notebook)
    task = task_of(source)
    given = dict(parameters or {})
    if given.get("resume"):
        msg = f"resume is not a parameter of a new run; use `tunebook run --resume {given['resume']}`"
        raise RecipeError(msg)
    if task and runs_dir:
        given.setdefault("runs_dir", runs_dir)
    values = settle_parameters(source, given)
    kernel = _kernel_of(source)
    if output is not None:
        _check_output(output, notebook)
    if task:
        made = recipe_class(task)
        # What the notebook's own cell computes is known to the kernel alone; where the run is, is decided here.
        names = made.model_fields.keys() - {"run", "runs_dir", "resume"}
        known = {name: value for name, value in (parameters_of(source) | values).items() if name in names}
        recipe = made(**{name: value for name, value in known.items() if value is not ...})
        require_place(recipe.data)
        refuse_beforehand(recipe)

    root = (values.get("runs_dir") if task else runs_dir) or "runs"
    stem = re.sub(r"[^\w.-]+", "-", notebook.stem).lstrip(".") or "notebook"
    # A notebook without a task still needs a word for its directory's name.
    run = Run.create(root, name or (str(values.get("run", "")) if task else ""), task or stem)
    Run(run.path).update(task=task)
    if task:
        values |= {"run": run.name, "runs_dir": root}
    write_text(run.path / SOURCE, notebook.read_text(encoding="utf-8"))
    place = str(output.absolute()) if output else None
    job = {"notebook": str(notebook.absolute()), "output": place, "folder": str(Path.cwd()), "parameters": values}
    write_json(run.path / JOB, job)
    return _Execution(run.path, source, kernel, job, on_cell).carry_out(values, on_start)


def resume(
    run: Run,
    *,
    output: Path | None = None,
    on_start: Callable[[Run], None] | None = None,
    on_cell: Callable[[int, int, str], None] | None = None,
) -> BatchResult:
    """
    Go on with a run that was stopped, failed or killed: its own notebook and parameters, from its last checkpoint.

    One that was begun in a notebook by hand goes on in its task's template, see :func:`tunebook.adoption.adopt`.
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
        The run is finished, is running, or ended before it had a recipe.
    ExecutionError
        As for :func:`execute`.
    """
    _require_session()
    state = run.state()
    if state.state == "finished":
        msg = f"run {run.name} is finished, there is nothing to resume; see it with `tunebook show {run.path}`"
        raise NotebookError(msg)
    if state.state == "running":
        msg = f"run {run.name} is running, process {state.pid} on {state.host}; wait for it, or stop it first"
        raise NotebookError(msg)
    path = run.path.absolute()
    if (path / "sweep.json").is_file():
        msg = f"{run.name} is a search, not a run; go on with it: tunebook sweep --resume {run.path}"
        raise NotebookError(msg)
    if not all((path / name).is_file() for name in (SOURCE, JOB)):
        adopt(path)
    source = _valid(path / SOURCE)
    if not task_of(source):
        msg = f"run {run.name} has no checkpoints, since its notebook names no task; run the notebook again"
        raise NotebookError(msg)
    job = read_job(path / JOB)
    if output is not None:
        job["output"] = str(output.absolute())
    if job["output"]:
        _check_output(Path(job["output"]), Path(job["notebook"]))
    # The directory may have been moved since.
    values = job["parameters"] | {"run": path.name, "runs_dir": str(path.parent), "resume": str(path)}
    values = settle_parameters(source, values)
    execution = _Execution(path, source, _kernel_of(source), job, on_cell)
    result = execution.carry_out(values, on_start)
    for ending in ("failed", "stopped"):  # the whole notebook says all that the unfinished one said
        execution.kept_name(ending).unlink(missing_ok=True)
    return result


def _require_session() -> None:
    """Refuse what the kernel would find in its environment when it is too late."""
    machine.allow_open_files()
    wanted_limit()


class _Stop(Exception):  # noqa: N818
    """The user wants no further cell."""


class _Engine(Engine):  # type: ignore[misc]
    """The papermill engine that lets an :class:`_Execution` drive its cells."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: NotebookExecutionManager, kernel_name: str, **kwargs: Any) -> None:  # noqa: ANN401
        kwargs["execution"].drive(nb_man, kernel_name)


class _OwnPython(KernelSpecManager):
    """Gives the native kernel the Python that runs Tunebook, whatever a kernelspec in the user's home says."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        if kernel_name != NATIVE_KERNEL_NAME:
            return super().get_kernel_spec(kernel_name)
        from ipykernel.kernelspec import RESOURCES, get_kernel_dict  # noqa: PLC0415

        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


def _kernel_manager(kernel: str) -> AsyncKernelManager:
    manager = AsyncKernelManager(kernel_name=kernel, kernel_spec_manager=_OwnPython())
    # Others on a shared machine could listen to a kernel's plain TCP; new ones warn of it on our stderr.
    if manager.has_trait("transport_encryption"):
        manager.transport_encryption = "auto"
    return manager


class _Execution:
    """One notebook being run, from the start of its kernel to its end, good or bad."""

    def __init__(
        self,
        path: Path,
        source: Mapping[str, Any],
        kernel: str,
        job: Mapping[str, Any],
        on_cell: Callable[[int, int, str], None] | None,
    ) -> None:
        self.path = path
        self.job = job
        self.output = Path(job["output"]) if job["output"] else path / f"notebook{SUFFIX}"
        self._task = task_of(source)
        self._language = source["metadata"].get("language_info", {}).get("name") or "python"
        self._kernel = kernel
        self._on_cell = on_cell
        self._manager: AsyncKernelManager | None = None
        self._process: Popen[bytes] | None = None
        self._notebook: nbformat.NotebookNode | None = None
        self._titles: list[str] = []
        self._at = 0
        self._signal = 0
        self._killer: threading.Timer | None = None

    def kept_name(self, ending: str) -> Path:
        """Name under which an unfinished notebook is kept: never the one of the finished."""
        return self.output.with_name(f"{self.output.stem}.{ending}{SUFFIX}")

    def carry_out(self, values: dict[str, Any], on_start: Callable[[Run], None] | None) -> BatchResult:
        """Run all cells, and leave the notebook and the run's state as the outcome demands."""
        # The kernel's process writes the state too, so nothing is kept here between two changes of it.
        Run(self.path).update(state="queued", phase="starting the kernel", message="", finished=0.0)
        if on_start is not None:
            on_start(Run(self.path))
        failure: Exception | None = None
        begin = time.monotonic()
        with self._listening():
            try:
                self._papermill(values)
            except Exception as error:  # noqa: BLE001  # papermill, nbclient, jupyter_client, zmq: each has its own
                failure = error
        self._count(time.monotonic() - begin, failure)
        log = self.path / _KERNEL_LOG
        if log.is_file() and not log.stat().st_size:
            log.unlink()
        if failure is not None or self._signal:
            raise self._unfinished(failure) from None
        self._finish()
        state = Run(self.path).state().state
        # A task's run says by itself how its training ended; one that never trained cannot.
        if state in {"queued", "running", "died"}:
            Run(self.path).update(state="finished", phase="done", message="", finished=time.time())
        return BatchResult(self.output, Run(self.path))

    def drive(self, manager: NotebookExecutionManager, kernel: str) -> None:
        """Run the cells of papermill's notebook in a kernel; called by the engine."""
        self._notebook = manager.nb
        self._titles = _titles(manager.nb.cells)
        manager.nb.metadata.papermill.update(input_path=self.job["notebook"], output_path=str(self.output))

        def save(**_: object) -> None:
            # papermill's own way is not atomic. A disk that is full for a moment must not end the
            # training: the finished notebook is written, and its failure told, at the end.
            with suppress(StorageError):
                write_text(self.path / _PART, _text(manager.nb), durable=False)
            manager.last_save_time = manager.now()

        manager.save = save
        folder = Path(self.job["folder"])
        client = PapermillNotebookClient(
            manager,
            kernel_name=kernel,
            startup_timeout=START_TIMEOUT,
            timeout=None,
            log=_log,
            resources={"metadata": {"path": str(folder if folder.is_dir() else Path.cwd())}},
            on_cell_start=self._cell_starts,
        )
        client.km = self._manager = _kernel_manager(kernel)
        try:
            # The kernel's own log would come between the lines that a command prints.
            with (self.path / _KERNEL_LOG).open("wb") as log:
                client.execute(stdout=log, stderr=log, env={**os.environ, BATCH_VARIABLE: "1"})
        except BaseException:
            # papermill would mark the cell in which the kernel died, and all after it, as completed.
            if manager.nb.cells:
                manager.cell_exception(manager.nb.cells[self._at], cell_index=self._at)
            raise

    def _papermill(self, values: dict[str, Any]) -> None:
        papermill_engines.register(_ENGINE, _Engine)
        # papermill reads braces in a path as places for parameters.
        path = str((self.path / SOURCE).absolute()).replace("{", "{{").replace("}", "}}")
        options = {"engine_name": _ENGINE, "kernel_name": self._kernel, "language": self._language}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of nbformat, about cells without ids
            execute_notebook(path, None, values, progress_bar=False, execution=self, **options)

    def _cell_starts(self, cell_index: int, **_: object) -> None:
        if self._signal:
            raise _Stop
        self._find_process()
        self._at = cell_index
        if self._on_cell is not None:
            self._on_cell(cell_index, len(self._titles), self._titles[cell_index])

    def _find_process(self) -> None:
        process = getattr(getattr(self._manager, "provisioner", None), "process", None)
        self._process = process or self._process  # the provisioner forgets a kernel that has ended

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Let signals stop the kernel rather than this process, which still has to save the notebook."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._signalled) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            if self._killer is not None:
                self._killer.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        self._find_process()
        if self._signal:
            self._send(signal.SIGKILL)
            return
        self._signal = number
        self._send(signal.SIGINT)
        self._killer = threading.Timer(GRACE, self._send, [signal.SIGKILL])
        self._killer.daemon = True
        self._killer.start()

    def _send(self, number: int) -> None:
        # As Jupyter does it: the kernel leads a session of its own, with the workers that it started.
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _count(self, seconds: float, failure: Exception | None) -> None:
        """Note in the job's file for how long it has run, and how often it failed by itself."""
        failed = failure is not None and not self._signal and not isinstance(failure, DeadKernelError)
        with suppress(StorageError):  # they are for tables, and for the choice between resuming and beginning anew
            job = read_job(self.path / JOB)
            job["seconds"] = round(job.get("seconds", 0.0) + seconds, 1)
            job["failures"] = job.get("failures", 0) + failed
            write_json(self.path / JOB, job, durable=False)

    def _finish(self) -> None:
        part = self.path / _PART
        try:
            write_text(self.output, _text(self._notebook))
        except StorageError as error:
            fallback = self.path / f"notebook{SUFFIX}"
            if not part.is_file() or fallback == self.output:
                raise
            part.replace(fallback)
            msg = f"{error}; the finished notebook is {fallback}"
            raise StorageError(msg) from None
        part.unlink(missing_ok=True)

    def _unfinished(self, error: Exception | None) -> ExecutionError:
        """Keep what there is, write the run's state, and say in one line what happened."""
        run = Run(self.path)
        stopped = False
        with suppress(StorageError):  # the reason why it ended counts more than that it cannot be read or written
            stopped = run.state().state == "stopped"  # the training itself was told to, and raised
        ending: Literal["failed", "stopped"] = "stopped" if self._signal or stopped else "failed"
        message = self._stopped() if self._signal else self._failed(error)
        kept = self._keep(ending)
        with suppress(StorageError):
            if not stopped:
                run.update(state=ending, message=message, finished=time.time())
        return ExecutionError(message, run, kept, 128 + self._signal if self._signal else 1)

    def _keep(self, ending: str) -> Path | None:
        if self._notebook is None:
            return None
        kept = self.kept_name(ending)
        try:
            write_text(kept, _text(self._notebook))
        except StorageError:
            part = self.path / _PART
            return part if part.is_file() else None
        (self.path / _PART).unlink(missing_ok=True)
        return kept

    def _stopped(self) -> str:
        name = signal.Signals(self._signal).name
        return f"stopped by {name} in {self._where(self._at)}; {self._again()}"

    def _failed(self, error: Exception | None) -> str:
        if isinstance(error, PapermillExecutionError):
            lines = [safe(line, 400) for line in _ANSI.sub("", str(error.evalue)).splitlines() if line.strip()]
            first = lines[0] if lines else "no message"
            # What TunebookError has IPython show in a traceback's place; its line says enough.
            if list(error.traceback) == [f"{error.ename}: {error.evalue}"]:
                return first
            return f"{self._where(error.cell_index)}: {safe(error.ename)}: {first}"
        if isinstance(error, DeadKernelError):
            return f"the kernel died in {self._where(self._at)}: {self._death()}; {self._again()}"
        if isinstance(error, TunebookError):
            return str(error)
        first = next(iter(str(error).splitlines()), "")
        return f"the kernel {self._kernel} could not run the notebook: {type(error).__name__}: {safe(first, 400)}"

    def _where(self, index: int) -> str:
        title = self._titles[index] if index < len(self._titles) else ""
        return f"cell {index + 1} ({title})" if title else f"cell {index + 1}"

    def _death(self) -> str:
        code = self._process.poll() if self._process is not None else None
        if code is None or code == -signal.SIGKILL:
            return "it was killed, probably because memory ran out"
        return f"signal {-code}" if code < 0 else f"it ended itself with exit code {code}"

    def _again(self) -> str:
        if not self._task:
            return "its notebook names no task, so it starts from the beginning when you run it again"
        return f"go on with: tunebook run --resume {self.path}"


def _text(notebook: nbformat.NotebookNode | None) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about cells without ids, as older notebooks have them
        return str(nbformat.writes(notebook))  # type: ignore[no-untyped-call]


def check_notebook(path: Path) -> dict[str, Any]:
    """
    Read a notebook that can be run here.

    Raises
    ------
    NotebookError
        It is not valid, or its kernel is not installed.
    """
    source = _valid(path)
    _kernel_of(source)
    return source


def _valid(path: Path) -> dict[str, Any]:
    source = load_notebook(path)
    if not isinstance(source.setdefault("metadata", {}), dict):
        source["metadata"] = None  # which the check below refuses
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            nbformat.validate(nbformat.from_dict(source))  # type: ignore[no-untyped-call]
    except (nbformat.ValidationError, KeyError, TypeError, ValueError) as error:
        first = safe(str(error).partition("\n")[0], 160)
        msg = f"{path} is not a valid notebook: {first}; open it in JupyterLab and save it"
        raise NotebookError(msg) from None
    return source


def read_job(path: Path) -> dict[str, Any]:
    """
    Read how a run was started.

    Returns
    -------
    dict
        ``notebook``, ``output``, ``folder`` and ``parameters``; once it has run also ``seconds``, of all its attempts,
        and ``failures``, those that were not its being stopped or killed.

    Raises
    ------
    StorageError
        The file is missing or does not say it.
    """
    job = read_json(path)
    kinds = {"notebook": (str,), "output": (str, type(None)), "folder": (str,), "parameters": (dict,)}
    counts = {"seconds": (float, int), "failures": (int,)}  # what there is once it has run
    if (
        not isinstance(job, dict)
        or not all(isinstance(job.get(key, ...), kind) for key, kind in kinds.items())
        or not all(isinstance(job.get(key, 0), kind) for key, kind in counts.items())
    ):
        msg = f"{path} does not say how the run was started; run its notebook again"
        raise StorageError(msg)
    return job


def _kernel_of(source: Mapping[str, Any]) -> str:
    """Return the kernel that a notebook wants, which must be installed."""
    name = str(source["metadata"].get("kernelspec", {}).get("name") or NATIVE_KERNEL_NAME)
    manager = _OwnPython()
    try:
        manager.get_kernel_spec(name)
    except (NoSuchKernel, ValueError):
        installed = ", ".join(sorted({NATIVE_KERNEL_NAME, *manager.find_kernel_specs()}))
        msg = (
            f"the notebook wants the kernel {shown(name)}, which is not installed; "
            f"installed: {installed}; choose one in JupyterLab and save the notebook"
        )
        raise NotebookError(msg) from None
    return name


def _check_output(output: Path, notebook: Path) -> None:
    """Refuse a place for the finished notebook now rather than after hours of training."""
    if output.suffix != SUFFIX:
        msg = f"cannot write {shown(output)}: a notebook's name ends in {SUFFIX}; try {shown(f'{output}{SUFFIX}')}"
        raise NotebookError(msg)
    if is_folder(output):
        msg = f"cannot write {shown(output)}: it is a folder; name a file"
        raise NotebookError(msg)
    if is_there(output) and is_there(notebook) and output.samefile(notebook):
        msg = f"{shown(output)} is the notebook to run, which is never replaced; choose another --out"
        raise NotebookError(msg)
    folder = next(parent for parent in output.absolute().parents if is_there(parent))
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        msg = f"cannot write {shown(output)}: {folder} is no folder that you may write to; choose another --out"
        raise NotebookError(msg)


def _titles(cells: list[Any]) -> list[str]:
    """Return for each cell the heading above it."""
    titles: list[str] = []
    title = ""
    for cell in cells:
        if cell.get("cell_type") == "markdown":
            prose = re.sub(r"^```.*?^```", "", source_of(cell), flags=re.MULTILINE | re.DOTALL)
            headings = re.findall(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", prose, flags=re.MULTILINE)
            title = safe(headings[-1], 60) if headings else title
        titles.append(title)
    return titles
