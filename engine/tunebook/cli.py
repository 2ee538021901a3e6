"""The ``tunebook`` command. Heavy modules are imported by the command that needs them, so that help is instant."""

from __future__ import annotations

import sys
from contextlib import suppress
from os.path import lexists
from pathlib import Path  # noqa: TC003  # typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from tunebook.cli_bias import Several, audit_command, report_command
from tunebook.cli_cache import cache_app
from tunebook.cli_control import control_command
from tunebook.cli_handout import handout_command
from tunebook.cli_sweep import sweep_command
from tunebook.cli_tables import print_columns, print_table
from tunebook.errors import StorageError, TunebookError, shown
from tunebook.progress import safe
from tunebook.quantities import age, amount
from tunebook.standard_streams import open_standard_streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunebook.batch import BatchResult
    from tunebook.runs import Run, State

# The class lives in click or in typer, as typer's version has it.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]
_INTERRUPTED = 130

app = typer.Typer(
    help="Fine-tune a pre-trained model in a notebook, here without opening it.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.add_typer(cache_app, name="cache")

RunsDir = Annotated[str, typer.Option("--runs-dir", metavar="DIR", help="Folder that holds the run directories.")]


class _Pairs(TyperCommand):
    """A command whose option ``-p`` takes two values, which typer cannot express for an option given many times."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        for parameter in self.params:
            if parameter.name == "pairs":
                parameter.nargs = 2


def _version(wanted: bool) -> None:  # noqa: FBT001  # typer calls it so
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"tunebook {version('tunebook')}")
        raise typer.Exit


@app.callback()
def _common(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command("templates")
def templates_command() -> None:
    """List the templates: the notebooks to start from."""
    from tunebook.templates import list_templates  # noqa: PLC0415

    found = list_templates()
    if not found:
        typer.echo("no templates; put notebooks into the folder tunebook/templates of a Jupyter data path")
    rows = [(t.name, f"cannot be used: {t.problem}" if t.problem else t.summary or t.title or t.task) for t in found]
    print_columns(rows)


@app.command("new")
def new_command(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="Name of a template.", show_default=False)],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new notebook, or a folder.", show_default=False)],
) -> None:
    """Copy a template to a new notebook."""
    from tunebook.templates import copy_template  # noqa: PLC0415

    typer.echo(safe(copy_template(template, file)))


@app.command("run", cls=_Pairs)
def run_command(  # a command's parameters are its options
    *,
    notebook: Annotated[
        str, typer.Argument(metavar="TEMPLATE|NOTEBOOK", help="A template's name or a notebook's path.")
    ] = "",
    pairs: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="NAME VALUE", parser=lambda text: text, help="Set a parameter; overrides -f."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-f", metavar="FILE", help="YAML file with parameters.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where the finished notebook goes.", show_default=False)
    ] = None,
    runs_dir: RunsDir = "",
    resume: Annotated[
        str, typer.Option("--resume", metavar="RUN", help="Go on with a run that stopped: its path or name.")
    ] = "",
    sets: Annotated[
        Path | None,
        typer.Option(
            "--sets",
            metavar="FILE",
            help="Run once for each set of parameters in a YAML or CSV file.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="With --sets: runs at a time on this machine.")] = 1,
    scheduler: Annotated[
        str, typer.Option("--scheduler", metavar="ADDRESS", help="With --sets: dask scheduler whose workers run them.")
    ] = "",
    table: Annotated[
        Path | None,
        typer.Option(
            "--table", metavar="FILE", help="With --sets: .csv, .parquet or .html for the table.", show_default=False
        ),
    ] = None,
) -> int:
    """
    Run a notebook from start to end, and show how it goes.

    With --sets it is run many times, and what is finished is not run again. The exit code is then the number of runs
    that did not finish, at most 125.
    """
    if bool(notebook) == bool(resume):
        wanted = "name a template, a notebook's path, or --resume RUN"
        message = "--resume takes the run's own notebook: leave the other out" if notebook else wanted
        raise typer.BadParameter(message)
    if resume and (pairs or file):
        message = "--resume keeps the run's own parameters: leave -p and -f out, or start a new run"
        raise typer.BadParameter(message)
    # typer's annotation cannot say that each is a pair.
    given: list[Any] = [*(pairs or [])]
    many = {"--jobs": jobs != 1, "--scheduler": bool(scheduler), "--table": table is not None}
    if sets is not None:
        alone = {"--resume": bool(resume), "--out": out is not None, "--jobs": jobs != 1 and bool(scheduler)}
        other = next((option for option, is_given in alone.items() if is_given), None)
        if other is not None:
            message = f"{other} is for {'this machine' if other == '--jobs' else 'one run'}: leave it out"
            raise typer.BadParameter(message)
        return _run_sets(
            notebook, sets, file, dict(given), runs_dir=runs_dir or "runs", jobs=jobs, scheduler=scheduler, table=table
        )
    other = next((option for option, is_given in many.items() if is_given), None)
    if other is not None:
        message = f"{other} is for many runs: give --sets FILE too"
        raise typer.BadParameter(message)
    result = _resume(resume, out, runs_dir) if resume else _execute(notebook, file, dict(given), out, runs_dir)
    _print_end(result.notebook, result.run.path, result.state)
    return 0


app.command("sweep", cls=_Pairs)(sweep_command)
app.command("report")(report_command)
app.command("audit", cls=Several)(audit_command)
# A freeze may be -2, which is no option.
app.command("control", context_settings={"ignore_unknown_options": True})(control_command)
app.command("handout")(handout_command)


@app.command("runs")
def runs_command(runs_dir: RunsDir = "runs") -> None:
    """List the runs, the newest first."""
    from tunebook.runs import list_runs  # noqa: PLC0415

    runs = list_runs(runs_dir)
    if not runs:
        typer.echo(f"no runs in {safe(runs_dir)}; start one with `tunebook run`")
        return
    from tunebook.run_notes import read_notes  # noqa: PLC0415

    titles: tuple[str, ...] = ("name", "state", "epoch", "baseline", "tuned", "age")
    notes = [read_notes(run.path) for run in runs]
    rows = [_row(run) for run in runs]
    # Columns that nobody has filled would only make the others narrow.
    if any(each.star for each in notes):
        titles = (*titles, "star")
        rows = [(*row, "*" if each.star else "") for row, each in zip(rows, notes, strict=True)]
    if any(each.tags for each in notes):
        titles = (*titles, "tags")
        rows = [(*row, ", ".join(each.tags)) for row, each in zip(rows, notes, strict=True)]
    print_table(titles, rows)


@app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(metavar="RUN", help="The run's path or name.", show_default=False)],
    runs_dir: RunsDir = "runs",
) -> None:
    """Show a run: state, parameters, metrics, files."""
    from tunebook.progress import describe, read_state  # noqa: PLC0415
    from tunebook.runs import Run  # noqa: PLC0415

    run = Run.open(name, runs_dir)
    state = read_state(run)
    typer.echo(safe(run.path))
    head = [("state", describe(state)), ("task", state.task or "none"), ("age", _age(state)), *_written(run)]
    print_columns(head)
    damage: StorageError | None = None
    for title, lines in (
        ("changed parameters", _changed(run, state.task)),
        ("metrics", _metrics(run)),
        ("files", _files(run)),
    ):
        try:
            found = list(lines)
        except StorageError as error:  # a broken file hides nothing of the others
            damage = damage or error
            continue
        if found:
            typer.echo(f"\n{title}")
            print_columns([(f"  {key}", value) for key, value in found])
    if damage is not None:
        raise damage


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run the command, and leave with its exit code.

    0 is success, 1 an error that the user can act on, 2 a mistake on the command line, 130 and 143
    a run that was stopped by Ctrl-C or SIGTERM and can be resumed. After ``run --sets`` a number from 1 to 125 is
    how many runs did not finish.
    """
    open_standard_streams()
    code = _call(arguments)
    sys.stdout.flush()
    sys.exit(code)


def _call(arguments: Sequence[str] | None) -> int:
    try:
        code = app(None if arguments is None else list(arguments), prog_name="tunebook", standalone_mode=False)
    except _CommandLineError as error:
        text = str(getattr(error, "format_message", error.__str__)()).removeprefix("Invalid value: ")
        _complain(text, "see `tunebook --help`, or --help after a command")
        return 2
    except TunebookError as error:
        _complain(str(error))
        return int(getattr(error, "exit_code", 1))
    except (KeyboardInterrupt, typer.Abort):
        _complain("stopped")
        return _INTERRUPTED
    except RecursionError:
        _complain("a file is nested too deeply to be read")
        return 1
    except OSError as error:
        where = f"{shown(str(error.filename))}: " if error.filename is not None else ""
        _complain(f"{where}{error.strerror or error}")
        return 1
    return code if isinstance(code, int) else 0


def _complain(*lines: str) -> None:
    first, *rest = (safe(line) for line in lines)
    typer.echo("\n".join([f"error: {first}", *rest]), err=True)


def _execute(name: str, file: Path | None, pairs: dict[str, str], out: Path | None, runs_dir: str) -> BatchResult:
    from tunebook.parameters import settle_parameters  # noqa: PLC0415
    from tunebook.progress import Progress  # noqa: PLC0415
    from tunebook.templates import find_notebook, load_notebook  # noqa: PLC0415
    from tunebook.yaml_file import read_mapping  # noqa: PLC0415

    path = find_notebook(name)
    parameters = {**(read_mapping(file) if file else {}), **pairs}
    settle_parameters(load_notebook(path), parameters)  # a mistake is told before papermill's slow import
    from tunebook.batch import ExecutionError, execute  # noqa: PLC0415

    try:
        with Progress() as progress:
            return execute(
                path,
                parameters,
                output=out,
                runs_dir=runs_dir or None,
                on_start=progress.watch,
                on_cell=progress.cell,
            )
    except ExecutionError as error:
        _print_end(error.kept, error.run.path, None)
        raise


def _run_sets(notebook: str, sets: Path, file: Path | None, fixed: dict[str, str], **options: Any) -> int:  # noqa: ANN401
    from tunebook.cli_sets import run_sets  # noqa: PLC0415
    from tunebook.yaml_file import read_mapping  # noqa: PLC0415

    return run_sets(notebook, sets, common=read_mapping(file) if file else {}, fixed=fixed, **options)


def _resume(name: str, out: Path | None, runs_dir: str) -> BatchResult:
    from tunebook.progress import Progress  # noqa: PLC0415
    from tunebook.runs import Run  # noqa: PLC0415

    run = Run.open(name, runs_dir or "runs")
    _say_versions(run)
    from tunebook.batch import ExecutionError, resume  # noqa: PLC0415

    try:
        with Progress() as progress:
            return resume(run, output=out, on_start=progress.watch, on_cell=progress.cell)
    except ExecutionError as error:
        _print_end(error.kept, error.run.path, None)
        raise


def _say_versions(run: Run) -> None:
    """Say that libraries have changed since a run was started: its numbers may be others than without a stop."""
    from tunebook.machine import changed_versions  # noqa: PLC0415

    with suppress(StorageError, KeyError, AttributeError):  # it stopped before it had a recipe, or resuming says why
        changed = changed_versions(run.recipe()["versions"])
        if changed:
            typer.echo(f"remark    {safe(changed)}: its numbers may differ from those of a run that was not stopped")


def _print_end(notebook: Path | None, run: Path, state: State | None) -> None:
    if notebook is not None:
        typer.echo(f"notebook  {safe(notebook)}")
    typer.echo(f"run       {safe(run)}")
    if state is not None and state.metric is not None:
        from tunebook.progress import gain, is_below  # noqa: PLC0415

        reached = f"tuned {state.metric:.3f}" if state.baseline is None else gain(state.baseline, state.metric)
        typer.echo(f"test accuracy  {reached}{', below its baseline' if is_below(state) else ''}")
    if state is not None and (run / "cache.json").is_file():
        summary = _read(run / "cache.json")["summary"]
        if summary:
            typer.echo(safe(summary))
    if state is not None and state.state == "finished" and state.message:
        typer.echo(safe(state.message))


def _row(run: Run) -> tuple[str, ...]:
    from tunebook.progress import is_below, read_state  # noqa: PLC0415

    try:
        state = read_state(run)
    except StorageError:  # one broken state.json must not hide the other runs
        return run.name, "unreadable", "", "", "", ""
    epoch = f"{state.epoch}/{state.epochs}" if state.epochs else ""
    ended = "finished, below baseline" if is_below(state) else state.state
    return run.name, ended, epoch, _score(state.baseline), _score(state.metric), _age(state)


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _age(state: State) -> str:
    """Say how long ago a run was last heard of."""
    return age(max(state.heartbeat, state.finished))


def _changed(run: Run, task: str) -> Iterator[tuple[str, str]]:
    """Yield the recipe's parameters that differ from their defaults."""
    from tunebook.tasks import TASKS, recipe_class  # noqa: PLC0415

    # Before the notebook has made its recipe, what was asked for is known.
    for name in ("recipe.json", "job.json"):
        if lexists(run.path / name):
            raw = _read(run.path / name)
            values = raw.get("parameters", raw) if isinstance(raw, dict) else {}
            defaults = recipe_class(task)().model_dump(mode="json") if task in TASKS else {}
            # run, runs_dir and resume say where the run is, not what it does.
            for key, value in values.items() if isinstance(values, dict) else ():
                if key not in {"run", "runs_dir", "resume"} and (key not in defaults or defaults[key] != value):
                    yield key, shown(value)
            return


def _written(run: Run) -> Iterator[tuple[str, str]]:
    """Yield what a person wrote beside the run."""
    from tunebook.run_notes import read_notes  # noqa: PLC0415

    notes = read_notes(run.path)
    if notes.star:
        yield "star", "yes"
    if notes.tags:
        yield "tags", ", ".join(notes.tags)
    if notes.note:
        yield "note", notes.note


def _metrics(run: Run) -> Iterator[tuple[str, str]]:
    if lexists(run.path / "metrics.json"):
        found = _read(run.path / "metrics.json")
        yield from _scores(found, "")
        yield from _decision(found)


def _decision(found: object) -> Iterator[tuple[str, str]]:
    """Yield a line on how two classes are told apart; none where there are others, or an old run does not say."""
    from tunebook.decision import in_words  # noqa: PLC0415

    if isinstance(found, dict) and found.get("decision"):
        try:
            yield "decision", in_words(found["decision"], found["tuned"]["validation"])
        except (AttributeError, KeyError, TypeError, ValueError):
            yield "decision", "damaged"


def _scores(value: object, name: str) -> Iterator[tuple[str, str]]:
    """Yield a line for each evaluation in nested mappings, named by the keys that lead to it."""
    if not isinstance(value, dict):
        return
    if isinstance(value.get("accuracy"), float):
        # A threshold is told to its last digit, or it would decide otherwise.
        yield (
            name,
            ", ".join(
                f"{key} {number if key == 'threshold' else format(number, '.3f')}"
                for key, number in value.items()
                if isinstance(number, float)
            ),
        )
        return
    for key, inner in value.items():
        yield from _scores(inner, f"{name}, {key}" if name else str(key))


def _files(run: Run) -> Iterator[tuple[str, str]]:
    try:
        paths = sorted(run.path.iterdir())
    except OSError as error:
        raise StorageError(f"cannot read {run.path}: {error.strerror}") from None
    for path in paths:
        if not path.name.startswith("."):
            yield path.name + ("/" if path.is_dir() else ""), "" if path.is_dir() else _size(path)


def _size(path: Path) -> str:
    try:
        return amount(path.stat().st_size)
    except OSError:  # a link to nowhere, or a file that has gone since
        return ""


def _read(path: Path) -> Any:  # noqa: ANN401
    from tunebook.storage import read_json  # noqa: PLC0415

    return read_json(path)


if __name__ == "__main__":
    main()
