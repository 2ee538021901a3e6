"""``tunebook report`` and ``tunebook audit``: bias reports without a notebook."""

from __future__ import annotations

from pathlib import Path  # typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from tunebook.cli_tables import print_table
from tunebook.errors import StorageError, TunebookError
from tunebook.opening import from_home
from tunebook.progress import safe

if TYPE_CHECKING:
    from tunebook.bias import BiasReport, Settings
    from tunebook.examples import Examples
    from tunebook.figures import Page, Picture
    from tunebook.runs import Run

_LONGEST = 60
_MINIMUM, _DRAWS, _FEWEST_DRAWS, _MOST_DRAWS = 20, 1_000, 200, 100_000

Minimum = Annotated[int, typer.Option("--min-n", min=1, help="Fewest examples with which a group counts in gaps.")]
Draws = Annotated[
    int, typer.Option("--draws", min=_FEWEST_DRAWS, max=_MOST_DRAWS, help="Draws for intervals and p-values.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of what is drawn.")]
Positive = Annotated[
    str, typer.Option("--positive", metavar="CLASS", help="Of two classes, the one that rates are of.")
]


class Several(TyperCommand):
    """A command whose option ``--sensitive`` takes any number of values, as ``--sensitive a b``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Write the option once for each of its values, which is what the parser knows."""
        spread: list[str] = []
        inside = first = False
        for word in args:
            if word.startswith("-"):
                inside = first = word == "--sensitive"
            elif inside and not first:
                spread.append("--sensitive")
            else:
                first = False
            spread.append(word)
        return list(super().parse_args(ctx, spread))


def report_command(
    name: Annotated[str, typer.Argument(metavar="RUN", help="The run's path or name.", show_default=False)],
    runs_dir: Annotated[
        str, typer.Option("--runs-dir", metavar="DIR", help="Folder that holds the run directories.")
    ] = "runs",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Where the files go; the run's report folder if not given.", show_default=False
        ),
    ] = None,
    minimum: Minimum = _MINIMUM,
    draws: Draws = _DRAWS,
    seed: Seed = 0,
    positive: Positive = "",
    *,
    pictures: Annotated[
        bool, typer.Option("--examples/--no-examples", help="Show the worst group's mistakes; reads the data again.")
    ] = True,
) -> None:
    """Compare a finished run's predictions between groups: bias.html, bias.json, bias.csv."""
    from tunebook.bias import BiasReport, Settings  # noqa: PLC0415
    from tunebook.runs import Run  # noqa: PLC0415

    run = Run.open(name, runs_dir)
    if not (run.path / "predictions.parquet").is_file():
        msg = f"run {run.name} has no predictions yet, so there is nothing to compare; let it finish first"
        raise StorageError(msg)
    known = run.report()
    before = known.bias().settings
    examples = _examples(run) if pictures else None
    notes = tuple(examples.notes) if examples is not None else before.notes
    settings = Settings(
        minimum, draws, seed, positive or before.positive, before.derived, notes, before.source, decided=before.decided
    )
    report = BiasReport(known.predictions, known.classes, multi_label=known.multi_label, settings=settings)
    gallery = None if examples is None else report.mistakes(examples, run.state().task)
    folder = from_home(out or run.path / "report")
    _finish(report, folder, gallery)
    _put_remedies(run, report, folder)


def audit_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Predictions: .csv, .tsv, .parquet or .jsonl.", show_default=False)
    ],
    truth: Annotated[str, typer.Option("--truth", metavar="COLUMN", help="What is right.", show_default=False)],
    prediction: Annotated[
        str, typer.Option("--prediction", metavar="COLUMN", help="What the model says.", show_default=False)
    ],
    sensitive: Annotated[
        list[str],
        typer.Option(
            "--sensitive", metavar="COLUMN...", help="Columns to compare by, one or more.", show_default=False
        ),
    ],
    baseline: Annotated[
        str, typer.Option("--baseline", metavar="COLUMN", help="What another model says, to compare with.")
    ] = "",
    confidence: Annotated[
        str, typer.Option("--confidence", metavar="COLUMN", help="How sure the model is, 0 to 1, for calibration.")
    ] = "",
    split: Annotated[str, typer.Option("--split", metavar="COLUMN", help="Split of each example.")] = "",
    id_: Annotated[str, typer.Option("--id", metavar="COLUMN", help="Name of each example.")] = "",
    derived: Annotated[
        list[str] | None,
        typer.Option("--derived", metavar="COLUMN=HOW", help="Mark a column as derived, such as gender='from names'."),
    ] = None,
    note: Annotated[list[str] | None, typer.Option("--note", help="What a reader must know of the data.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where the files go; FILE-bias if not given.", show_default=False),
    ] = None,
    minimum: Minimum = _MINIMUM,
    draws: Draws = _DRAWS,
    seed: Seed = 0,
    positive: Positive = "",
    *,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="The prediction is a score, of the positive one of two classes from here on.",
            show_default=False,
        ),
    ] = None,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="Truth and prediction name several classes, with | between them.")
    ] = False,
) -> None:
    """Compare any model's predictions between groups: bias.html, bias.json, bias.csv."""
    from tunebook.audit import Audit, Columns, read_derived  # noqa: PLC0415
    from tunebook.bias import Settings  # noqa: PLC0415

    columns = Columns(truth, prediction, tuple(sensitive), baseline, confidence, split, id_)
    settings: Settings = Settings(minimum, draws, seed, positive, read_derived(derived or []), tuple(note or ()))
    audit = Audit(columns, multi_label=multi_label, settings=settings, threshold=threshold)
    report = audit.of_file(from_home(file))
    for remark in report.settings.notes[len(settings.notes) :]:
        typer.echo(f"{safe(remark)}\n")
    _finish(report, from_home(out or Path(f"{file.stem}-bias")), None)


def _examples(run: Run) -> Examples | None:
    """Read a run's data again for the pictures or texts; the report does without them where that fails."""
    from tunebook.tasks import recipe_class  # noqa: PLC0415
    from tunebook.workflow import load_examples  # noqa: PLC0415

    try:
        kept = run.recipe()
        return load_examples(recipe_class(kept["task"])(**kept["parameters"]))
    except TunebookError as error:
        typer.echo(f"without examples: {safe(error)}", err=True)
        return None


def _put_remedies(run: Run, report: BiasReport, folder: Path) -> None:
    """Put remedies that were compared before into the page, unless it compares groups otherwise than they were."""
    from tunebook.remedy_page import put_section  # noqa: PLC0415
    from tunebook.storage import read_json, write_text  # noqa: PLC0415

    kept = run.path / "report" / "remedies.json"
    if not kept.is_file():
        return
    found = read_json(kept)
    if (found["minimum"], found["positive"] or "") != (report.settings.minimum, report.positive):
        typer.echo("without remedies: they were compared with another --min-n or --positive", err=True)
        return
    page = folder / "bias.html"
    write_text(page, put_section(page.read_text(encoding="utf-8"), found), durable=False)


def _finish(report: BiasReport, folder: Path, gallery: Picture | Page | None) -> None:
    report.save(folder, gallery)
    split = report.splits[0]
    typer.echo(safe(report.headline(split)))
    for attribute in report.attributes:
        typer.echo(f"\n{safe(attribute)}, {safe(split)} set")
        for sentence in report.sentences(attribute, split):
            typer.echo(f"- {safe(sentence)}")
        for remark in report.remarks(attribute, split):
            typer.echo(f"  {safe(remark)}")
    for remark in report.general_remarks(split):
        typer.echo(f"\n{safe(remark)}")
    table = report.by_group(split)
    names = [f"{attribute}: {group}"[:_LONGEST] for attribute, group in table.index.tolist()]
    rows = [
        (name, f"{n:.0f}", _number(before), _number(after), f"{_number(low)} to {_number(high)}")
        for name, (n, before, after, low, high, _) in zip(names, table.to_numpy().tolist(), strict=True)
    ]
    if rows:
        typer.echo("")
        print_table(("group", "n", "baseline", "accuracy", "95 % interval"), rows)
    typer.echo("")
    for name in ("bias.html", "bias.json", "bias.csv"):
        typer.echo(safe(folder / name))


def _number(value: float) -> str:
    return "" if value != value else f"{value:.3f}"  # noqa: PLR0124 - NaN alone differs from itself
