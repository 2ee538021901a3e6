"""The model card: README.md of a run directory."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from tunebook import remedy_cell
from tunebook.comparison import GAP_WORDS
from tunebook.monitors import WORDS
from tunebook.reports import Report, formatted, score_sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunebook.examples import Examples
    from tunebook.recipe import Recipe
    from tunebook.tasks.base import Model

_MOST_ROWS = 60
#: Headings: what was found of remedies stands before the limits.
_MITIGATION, _LIMITS = "## Mitigation", "## Limits"


def escape(text: object) -> str:
    """Make text from the data harmless in Markdown: one line, no markup, no HTML, no table cells."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~$])", r"\\\1", line).replace("\\<", "&lt;").replace("\\>", "&gt;")


def table(frame: pd.DataFrame, head: str = "") -> str:
    """Write a table as Markdown, numbers with three digits, undefined values as such, every name escaped."""
    frame = frame.head(_MOST_ROWS)
    names = [escape(" / ".join(map(str, k)) if isinstance(k, tuple) else k) for k in frame.index]
    lines = [[head, *map(escape, frame.columns)], ["---"] * (len(frame.columns) + 1)]
    lines += [[name, *map(_cell, row)] for name, row in zip(names, frame.itertuples(index=False), strict=True)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return escape(value)


def write_card(
    report: Report, recipe: Recipe, examples: Examples, model: Model, dropped: dict[str, int], exported: Sequence[str]
) -> str:
    """
    Write a model card.

    Parameters
    ----------
    report
        Of the run, with metrics and predictions in place.
    recipe, examples, model
        What was trained on what.
    dropped
        Examples that the checks dropped, by kind of finding.
    exported
        A sentence on each file of ``model/``.

    Returns
    -------
    str
        Markdown.
    """
    metrics = report.metrics
    counts = examples.counts()
    notes = [f"- {escape(note)}" for note in examples.notes]
    notes += [f"- {escape(kind)}: {escape(text)}." for kind, text in examples.remarks]
    notes += [f"- Dropped by the checks: {number} ({escape(kind)})." for kind, number in dropped.items()]
    defaults = type(recipe)().model_dump()
    parameters = pd.DataFrame(
        [(name, json.dumps(value, ensure_ascii=False, default=str), "" if value == defaults[name] else "changed")
         for name, value in recipe.model_dump().items()],
        columns=["parameter", "value", ""],
    ).set_index("parameter")  # fmt: skip
    parts = [
        f"# {escape(report.run.name)}",
        f"{escape(model.name)}, fine-tuned for {escape(recipe.task)} into {len(examples.classes)} classes "
        "with Tunebook. " + score_sentence(metrics),
        *(f"**{escape(v.name)}**: {escape(v.reason)} {escape(v.advice)}" for v in report.verdicts()),
        "## Data",
        f"{escape(examples.source)}: {len(examples)} examples.",
        table(counts, "class"),
        "\n".join(notes),
        "## Model",
        f"- Base: {escape(model.name)}, {escape(model.origin)}.\n- Stages: {escape(', '.join(model.stages.names))}.\n"
        f"- Input: `{json.dumps(model.settings)}`\n" + "\n".join(f"- {line}" for line in exported),
        "## Metrics",
        "Stages are compared on the validation set, which also chose the epoch; the test set was used once.",
        escape(report.decided()),
        table(report.stages(), "model"),
        table(report.classes_table(), "class"),
        *_of_positive(report),
        *_by_group(report),
        "![curves](report/curves.png)",
        "![confusion matrix](report/confusion.png)",
        _LIMITS,
        _limits(metrics, examples, recipe),
        "## Parameters",
        table(parameters, "parameter"),
        "## Versions",
        _versions(report.run.recipe()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _of_positive(report: Report) -> list[str]:
    """Tabulate what the decision between two classes comes to for the positive one."""
    if report.decision is None:
        return []
    models = {"baseline": report.metrics["baselines"].get(report.metrics["baseline"]), "tuned": report.metrics["tuned"]}
    rows = {
        f"{name}, {split} set": {"threshold": str(of[split]["threshold"]), **of[split]["of_positive"]}
        for name, of in models.items()
        if of is not None
        for split in ("validation", "test")
        if "of_positive" in of[split]
    }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename(columns={**WORDS, "f1": "F1"})
    numbers = {name: frame[name].astype(float) for name in frame.columns if name != "threshold"}
    title = f"### {escape(report.classes[report.decision.positive])}, the positive class"
    return [title, table(formatted(frame.assign(**numbers), "undefined"), "model")]


def _versions(recipe: Mapping[str, Any]) -> str:
    """Name the versions that a run was started with, and those that it was resumed with where they differ."""
    said = ", ".join(f"{escape(name)} {escape(version)}" for name, version in recipe["versions"].items())
    for before, later in pairwise([recipe, *recipe.get("resumed", [])]):
        then, now = before["versions"], later["versions"]
        changed = [f"{escape(name)} {escape(new)}" for name, new in now.items() if then.get(name) != new]
        said += f"; then resumed with {', '.join(changed)}" * bool(changed)
    return said


def _by_group(report: Report) -> list[str]:
    """Say for whom the model is worse, and tabulate accuracy and gaps by group."""
    bias = report.bias()
    groups = bias.by_group("test").dropna(axis="columns", how="all")
    if not len(groups):
        return []
    said = [
        f"- {escape(sentence)}"
        for name in bias.single_attributes()
        for sentence in (*bias.sentences(name, "test"), *(f"{name}: {remark}" for remark in bias.remarks(name, "test")))
    ]
    gaps = pd.concat({name: bias.gaps_table(name, "test") for name in bias.single_attributes()})
    return [
        "### By group, test set",
        f"**{escape(bias.headline('test'))}**",
        table(formatted(groups, "undefined"), "group"),
        table(formatted(gaps.drop(columns="of"), "undefined"), "gap"),
        "\n".join(said),
        "More is in `report/bias.html`: every metric, intersections, and mistakes.",
    ]


def put_mitigation(card: str, found: Mapping[str, Any]) -> str:
    """
    Put remedies, and which of them is exported, into a model card that was written before.

    Parameters
    ----------
    card
        From :func:`write_card`; what it said of remedies is replaced.
    found
        From :func:`tunebook.remedy_json.as_json`.
    """
    cells = remedy_cell.tabulate(found)
    lines = [cells.heads, ["---"] * len(cells.heads), *cells.rows]
    rows = [f"| {' | '.join(cell if k == 1 else escape(cell) for cell in line)} |" for k, line in enumerate(lines)]
    said = "\n".join(f"- {escape(sentence)}" for sentence in remedy_cell.words(found))
    title = f"The gap in {GAP_WORDS[found['gap']]} by {escape(found['attribute'])}, test set:"
    section = "\n\n".join([_MITIGATION, title, "\n".join(rows), said])
    # No name from the data begins a heading: they are escaped.
    known = re.search(rf"^{_MITIGATION}\n.*?(?=^{_LIMITS}\n)", card, re.MULTILINE | re.DOTALL)
    if known:
        return f"{card[: known.start()]}{section}\n\n{card[known.end() :]}"
    return re.sub(rf"^{_LIMITS}\n", lambda limits: f"{section}\n\n{limits[0]}", card, count=1, flags=re.MULTILINE)


def _limits(metrics: dict[str, Any], examples: Examples, recipe: Recipe) -> str:
    recall = {k: v for k, v in metrics["tuned"]["test"]["recall"].items() if v is not None}
    undefined = [k for k, v in metrics["tuned"]["test"]["recall"].items() if v is None]
    lines = [
        f"It knows only the {len(examples.classes)} classes above"
        + ("." if examples.multi_label else " and gives one of them to anything it is shown."),
        "Its figures hold for data like the test set, and for no other.",
    ]
    if recall:
        worst = min(recall, key=lambda name: recall[name])
        lines.insert(1, f"It is worst at {escape(worst)} (test recall {recall[worst]:.2f}).")
    if undefined:
        lines.append(f"Without a test example, so nothing is known of them: {escape(', '.join(undefined))}.")
    if not examples.sensitive:
        lines.append("No sensitive attribute was named (`sensitive`), so it was not compared between groups of people.")
    if recipe.max_examples:
        lines.append(f"It was trained on a sample of at most {recipe.max_examples} examples.")
    return "\n".join(f"- {line}" for line in lines)
