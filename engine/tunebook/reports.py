"""What a run tells: tables and figures made from its directory alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tunebook import figures
from tunebook.baseline import SPLITS, metrics_table
from tunebook.decision import Decision, in_words
from tunebook.errors import DataError, StorageError
from tunebook.events import read_scalars
from tunebook.figures import Page, Picture, plain
from tunebook.labels import encode, mistakes_confidence
from tunebook.metrics import reliability
from tunebook.monitors import curve, measured, words
from tunebook.said_labels import require_columns, require_one_task
from tunebook.storage import read_json
from tunebook.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunebook.bias import BiasReport
    from tunebook.examples import Examples
    from tunebook.recipe import Recipe
    from tunebook.remedies import Remedies
    from tunebook.runs import Run
    from tunebook.tasks.base import Model


#: What a prediction without any class is called.
NONE = "none"


class Report:
    """
    Views of a finished run.

    Parameters
    ----------
    run
        The run.

    Raises
    ------
    StorageError
        The run has no metrics yet: it is not finished.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.metrics: dict[str, Any] = read_json(run.path / "metrics.json")
        self.classes: list[str] = self.metrics["classes"]
        self.multi_label: bool = self.metrics["multi_label"]
        #: When the tuned model says the positive one of two classes; ``None`` for others, and for runs of before.
        self.decision = Decision.of_run(self.metrics)
        self._predictions: pd.DataFrame | None = None
        self._bias: BiasReport | None = None

    @property
    def predictions(self) -> pd.DataFrame:
        """Rows of ``predictions.parquet``: an example and a model each."""
        if self._predictions is None:
            self._predictions = self._read_predictions()
        return self._predictions

    def _read_predictions(self) -> pd.DataFrame:
        path = self.run.path / "predictions.parquet"
        try:
            found = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise StorageError(f"cannot read {path}: {' '.join(str(error).split())[:200]}") from None
        try:
            require_columns(found)
            require_one_task(found, self.classes, multi_label=self.multi_label)
        except DataError as error:
            raise DataError(f"{path} is not of this run: {error}") from None
        return found

    def stages(self) -> pd.DataFrame:
        """
        Return one table: baselines, the best epoch of each stage of unfreezing, and the model that was kept.

        Stages are compared on the validation set only: the test set is looked at once.
        """
        rows: dict[str, dict[str, Any]] = {f"baseline: {k}": v for k, v in self.metrics["baselines"].items()}
        for number, stage in enumerate(self.metrics["stages"], start=1):
            name = f"stage {number}: {stage['trains']}, epoch {stage['epoch']}"
            rows[name] = {"validation": stage["validation"]}
        tuned = self.metrics["tuned"]
        rows[f"final: epoch {tuned['epoch']}"] = {split: tuned[split] for split in SPLITS}
        return metrics_table(rows)

    def classes_table(self) -> pd.DataFrame:
        """
        Return one row a class; NaN is undefined.

        Columns are the examples, recall before and after tuning, and on the test set ROC AUC, average precision and
        specificity of the class against the rest.
        """
        base = self.metrics["baselines"][self.metrics["baseline"]] if self.metrics["baseline"] else {}
        table = pd.DataFrame(index=pd.Index(self.classes, name="class"))
        table["train examples"] = [self.metrics["train_counts"][c] for c in self.classes]
        for split in SPLITS:
            table[f"{split} examples"] = [self.metrics["tuned"][split]["support"][c] for c in self.classes]
            for name, metrics in (("baseline", base.get(split)), ("tuned", self.metrics["tuned"][split])):
                if metrics is not None:
                    values = [metrics["recall"][c] for c in self.classes]
                    table[f"{split} recall, {name}"] = pd.Series(values, index=table.index, dtype=float)
        # Of the rest the tuned model's on the test set are enough; runs of earlier versions have none.
        for metric, found in self.metrics["tuned"]["test"].get("by_class", {}).items():
            column = [found[c] for c in self.classes]
            table[f"test {words(metric)}, tuned"] = pd.Series(column, index=table.index, dtype=float)
        return table

    def curves(self) -> Picture:
        """Draw loss, score and learning rate over the steps, from the event log, with stages and best epoch marked."""
        scalars = read_scalars(self.run.path)
        figure = figures.new_figure(10.0, 3.3)
        loss, score, rate = figure.subplots(1, 3, width_ratios=[1.2, 1.2, 0.8])
        step = _line(scalars, "train/loss")
        loss.plot(step[:, 0], step[:, 1], color=figures.TRAIN, alpha=0.25, linewidth=0.8, label="train, each step")
        monitor = str(self.metrics["monitor"])
        monitor = monitor if monitor != "loss" and len(_line(scalars, curve(monitor))) else "accuracy"
        for axes, name in ((loss, "loss"), (score, monitor)):
            for tag, split, colour in (
                (f"{name}/train", "train", figures.TRAIN), (curve(name), "validation", figures.VALIDATION),
            ):  # fmt: skip
                points = _line(scalars, tag)
                if len(points):
                    axes.plot(points[:, 0], points[:, 1], color=colour, marker="o", markersize=3.5, label=split)
        base = self.metrics["baselines"].get(self.metrics["baseline"])
        before = measured(base["validation"], monitor) if base is not None else math.nan
        if math.isfinite(before):
            score.axhline(before, color=figures.FAINT, linestyle="--", linewidth=1, label="baseline")
        rates = {tag: points for tag, points in scalars.items() if tag.startswith("lr/")}
        for tag, points in rates.items():
            rate.plot(points[:, 0], points[:, 1], linewidth=1, label=plain(tag.removeprefix("lr/"), 14))
        figures.tidy(loss, "Loss", "step")
        title = plain(words(monitor), 40)
        figures.tidy(score, title[:1].upper() + title[1:], "step")
        figures.tidy(rate, "Learning rate", "step")
        rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        rate.yaxis.get_offset_text().set_fontsize(7)
        # The first steps of a new head can be ten times the rest and would flatten everything else.
        if len(step):
            loss.set_ylim(0.0, 1.15 * float(np.quantile(step[:, 1], 0.98)))
        for axes in (loss, score):
            self._mark(axes)
            axes.legend(fontsize=7, frameon=False)
        if 1 < len(rates) <= 8:  # noqa: PLR2004
            rate.legend(fontsize=6, frameon=False)
        history = self.metrics["history"]
        said = "; ".join(
            f"epoch {row['epoch']} ({row['trains']}): train loss {row['train']['loss']:.3f}, validation loss "
            f"{row['validation']['loss']:.3f}, validation {title} {measured(row['validation'], monitor):.3f}"
            for row in history[-12:]
        )
        return Picture.of(figure, f"Curves: {said}; best is epoch {self.metrics['tuned']['epoch']}")

    def _mark(self, axes: Any) -> None:  # noqa: ANN401
        history = self.metrics["history"]
        before, start, number = None, 0, 1
        for row in history:
            if before is not None and row["trains"] != before:
                axes.axvline(start, color=figures.FAINT, linestyle=":", linewidth=1)
                number += 1
                axes.annotate(
                    f"stage {number}", (start, 0.02), xycoords=("data", "axes fraction"), rotation=90, fontsize=6,
                    color="#666666", ha="right", va="bottom",
                )  # fmt: skip
            before, start = row["trains"], row["step"]
        best = history[self.metrics["tuned"]["epoch"] - 1]["step"]
        axes.axvline(best, color=figures.BEST, linewidth=1.2, alpha=0.7, label="best epoch")

    def verdicts(self) -> list[Verdict]:
        """Return what the curves say, the main verdict first."""
        return [Verdict(**entry) for entry in self.metrics["verdicts"]]

    def confusion(self, split: str = "test") -> Picture:
        """Draw the tuned model's confusion matrix; with several classes an example, what it finds of each class."""
        counts = np.array(self.metrics["tuned"][split]["confusion"])
        if self.multi_label:
            return figures.outcomes(counts, self.classes, f"Right and wrong by class, {split} set")
        at = ""
        if self.decision is not None and not self.decision.is_plain:
            positive = plain(self.classes[self.decision.positive], 24)
            at = f"\n{positive} from {self.decision.threshold}"
        return figures.matrix(counts, self.classes, f"Confusion, {split} set{at}")

    def calibration(self, split: str = "test") -> Picture:
        """Draw accuracy against confidence, for the baseline and the tuned model."""
        figure = figures.new_figure(4.0, 3.6)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=figures.FAINT, linestyle="--", linewidth=1)
        words = []
        for name, colour in (("baseline", figures.FAINT), ("tuned", figures.TRAIN)):
            rows = self.predictions[(self.predictions["split"] == split) & (self.predictions["model"] == name)]
            if not len(rows):
                continue
            scores, truth = np.stack(rows["scores"].to_list()), self._truth(rows)
            said = None if self.multi_label else self._encoded(rows["prediction"])
            points = reliability(scores, truth, said)
            gap = float((np.abs(points[:, 0] - points[:, 1]) * points[:, 2]).sum())
            axes.plot(
                points[:, 0], points[:, 1], color=colour, marker="o", markersize=4, label=f"{name}: ECE {gap:.3f}"
            )
            words.append(f"{name} {gap:.3f}")
        figures.tidy(axes, f"Calibration, {split} set", "confidence", "accuracy")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.legend(fontsize=8, frameon=False)
        return Picture.of(figure, f"Calibration, {split} set: expected calibration error: {', '.join(words)}")

    def _truth(self, rows: pd.DataFrame) -> np.ndarray:
        return self._encoded(rows["truth"])

    def _encoded(self, labels: pd.Series) -> np.ndarray:
        return encode(labels.tolist(), self.classes, multi_label=self.multi_label)

    def decided(self) -> str:
        """Say in a sentence which class scores of the tuned model stand for; of two, which is the positive one."""
        found = self.metrics.get("decision")
        if found:
            return in_words(found, self.metrics["tuned"]["validation"])
        return "Each class is said from a score of 0.5." if self.multi_label else "The most probable class is said."

    def mistakes(self, examples: Examples, count: int = 16, split: str = "test") -> Picture | Page:
        """Show the tuned model's most confident mistakes."""
        from tunebook.tasks import get_task  # noqa: PLC0415

        rows = self.predictions
        rows = rows[(rows["split"] == split) & (rows["model"] == "tuned") & (rows["truth"] != rows["prediction"])]
        if self.multi_label and len(rows):
            rows = rows.assign(confidence=mistakes_confidence(np.stack(rows["scores"].to_list()), self._truth(rows)))
        rows = rows.sort_values(["confidence", "id"], ascending=[False, True], kind="stable").head(count)
        place = {name: k for k, name in enumerate(examples.frame["id"])}
        known = rows[rows["id"].isin(place)]
        said = zip(*(known[c].tolist() for c in ("prediction", "confidence", "truth")), strict=True)
        captions = [f"{prediction or NONE} {sure:.0%}\nis {truth or NONE}" for prediction, sure, truth in said]
        title = f"Most confident mistakes, {split} set"
        return get_task(self.run.state().task).gallery(examples, [place[i] for i in known["id"]], captions, title)

    def bias(self, notes: Sequence[str] | None = None, derived: Mapping[str, str] | None = None) -> BiasReport:
        """
        Compare the predictions between groups: whom the model is worse for, and whether tuning changed that.

        Parameters
        ----------
        notes
            What a reader must know of the data; those that were told before when not given.
        derived
            Attribute -> how it was worked out, of those that were not recorded; as told before when not given.
        """
        from tunebook.bias import BiasReport, Settings  # noqa: PLC0415

        if self._bias is None or notes is not None or derived is not None:
            known = self.run.path / "report" / "bias.json"
            told = read_json(known) if known.is_file() else {}
            settings = Settings(
                notes=tuple(map(str, told.get("notes", []) if notes is None else notes)),
                derived=_derived(told) if derived is None else dict(derived),
                source=f"Run {self.run.name}",
                positive=self.classes[self.decision.positive] if self.decision is not None else "",
                decided=self.decided() if self.decision is not None and not self.decision.is_plain else "",
            )
            self._bias = BiasReport(self.predictions, self.classes, multi_label=self.multi_label, settings=settings)
        return self._bias

    def remedies(
        self,
        recipe: Recipe | None = None,
        examples: Examples | None = None,
        model: Model | None = None,
        attribute: str = "",
        *,
        gap: str = "accuracy",
        others: Mapping[str, Run] | None = None,
    ) -> Remedies:
        """Compare what would mend a gap, see :func:`tunebook.remedies.compare_remedies`."""
        from tunebook.remedies import compare_remedies  # noqa: PLC0415

        return compare_remedies(self.run, recipe, examples, model, attribute, gap=gap, others=others)

    def by_group(self, split: str = "test") -> pd.DataFrame:
        """Return accuracy by group before and after tuning; see :meth:`tunebook.bias.BiasReport.by_group`."""
        return self.bias().by_group(split)

    def files(self) -> pd.DataFrame:
        """Return the files of the run directory that a user wants, with their size in kB and what they are."""
        known = {
            "README.md": "model card",
            "model": "the tuned model, for the model library, and ONNX",
            "predictions.parquet": "every validation and test prediction, before and after tuning",
            "metrics.json": "all metrics",
            "cache.json": "what of the frozen trunk was computed and what was found",
            "recipe.json": "parameters, versions and fingerprints",
            "report": "figures, the bias report (bias.html, bias.json, bias.csv), and remedies",
            "checkpoints": "the best epoch",
        }
        rows = []
        for name, what in known.items():
            path = self.run.path / name
            parts = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
            if parts:
                rows.append((name, round(sum(p.stat().st_size for p in parts) / 1e3), what))
        return pd.DataFrame(rows, columns=["file", "kB", "what it is"]).set_index("file")


def _derived(told: Mapping[str, Any]) -> dict[str, str]:
    """Return how attributes were worked out, by what ``bias.json`` says."""
    single = [one for one in told.get("attributes", []) if one["kind"] != "intersection"]
    return {one["name"]: one["derived"] for one in single if one["derived"]}


def formatted(table: pd.DataFrame, missing: str = "", digits: int = 3) -> pd.DataFrame:
    """Return a table as text to look at: numbers with a few digits, what is missing in words."""

    def write(value: object) -> str:
        if isinstance(value, float):
            return missing if np.isnan(value) else f"{value:.{digits}f}"
        return str(value)

    return table.map(write)


def _line(scalars: dict[str, np.ndarray], tag: str) -> np.ndarray:
    return scalars.get(tag, np.empty((0, 2)))


def score_sentence(metrics: dict[str, Any]) -> str:
    """Say in one sentence what tuning gained on the test set, with the error that the set's size leaves."""
    from tunebook.metrics import standard_error  # noqa: PLC0415

    tuned = metrics["tuned"]["test"]
    error = 1.96 * standard_error(tuned["accuracy"], tuned["n"])
    base = metrics["baselines"].get(metrics["baseline"])
    before = f"from {base['test']['accuracy']:.3f} ({metrics['baseline']}) " if base else ""
    return (
        f"Test accuracy went {before}to {tuned['accuracy']:.3f} (± {error:.3f}, {tuned['n']} examples), "
        f"macro-F1 to {tuned['macro_f1']:.3f}."
    )


def most_confused(counts: np.ndarray, classes: Sequence[str], most: int = 3) -> list[tuple[str, str, int]]:
    """Return the pairs of classes, truth and prediction, that are taken for each other most often."""
    found = figures.confused_pairs(counts, most)
    return [(classes[truth], classes[said], int(counts[truth, said])) for truth, said in found]
