"""``model/remedy.json``: what was done to a model for its groups, and how that is applied to its scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tunebook.decision import Decision
from tunebook.errors import DataError, StorageError
from tunebook.group_assignment import UNKNOWN, Assignment
from tunebook.group_offsets import Offsets
from tunebook.group_thresholds import Thresholds
from tunebook.labels import decide
from tunebook.opening import from_home
from tunebook.storage import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

#: Version of the form of ``remedy.json``, and its name.
SCHEMA, FILE = "tunebook-remedy/1", "remedy.json"
Rule = Thresholds | Offsets
_KINDS: dict[str, type[Thresholds | Offsets]] = {"thresholds": Thresholds, "offsets": Offsets}
#: What a head that was fitted again is called; it is in the weights, and needs no rule.
IN_WEIGHTS = "weights"
_HOW = {
    "thresholds": (
        "With s the score of the positive class: the chance to decide for it is mix * constant + (1 - mix) * "
        "(first_weight * [s beyond first] + second_weight * [s beyond second]), beyond being above or below as said. "
        "A group with null keeps the model's own threshold, own."
    ),
    "offsets": (
        "The adjusted scores are softmax(log(score) / temperature + offset) with the numbers of the example's group; "
        "decide for the largest, or by threshold, that of the positive class, where there is one."
    ),
    IN_WEIGHTS: "It is in the weights of the model's head: there is nothing to apply.",
}
_FALLBACK = "An example without a known group gets what the model itself says."


@dataclass(frozen=True)
class Application:
    """
    A remedy as it is kept beside a model's weights.

    Attributes
    ----------
    name
        What it is called.
    classes
        Class names, in the order of the scores.
    assignment
        How examples are put into groups.
    rule
        What is done to scores; ``None`` where the remedy is in the weights.
    details
        What else the file says of it: how it was fitted, and what it does on the test set.
    decision
        How the model decides between two classes; ``None`` for other classes.
    """

    name: str
    classes: tuple[str, ...]
    assignment: Assignment
    rule: Rule | None
    details: Mapping[str, Any] = field(default_factory=dict)
    decision: Decision | None = None

    def predict(
        self,
        scores: np.ndarray | Sequence[Sequence[float]],
        groups: Sequence[object] | pd.Series | pd.DataFrame | Mapping[str, Sequence[object]] | None = None,
    ) -> np.ndarray:
        """
        Return the class of each example.

        Parameters
        ----------
        scores
            The model's probabilities, shape (n, classes).
        groups
            The sensitive column's value of each example, or a table with the columns of an intersection. Examples whose
            group is missing or unknown, and all of them without ``groups``, get what the model itself says.

        Returns
        -------
        numpy.ndarray
            Class names, shape (n,).

        Raises
        ------
        DataError
            Scores or groups are not of the right form.
        """
        checked = self._checked(scores)
        if self.rule is None:
            chosen = decide(checked, multi_label=False, decision=self.decision)
        else:
            chosen = self.rule.predict(checked, self._codes(checked, groups))
        found: np.ndarray = np.array(self.classes, object)[chosen]
        return found

    def scores(
        self,
        scores: np.ndarray | Sequence[Sequence[float]],
        groups: Sequence[object] | pd.Series | pd.DataFrame | Mapping[str, Sequence[object]] | None = None,
    ) -> np.ndarray:
        """Return what becomes of the scores, shape (n, classes); of thresholds, the chance of each decision."""
        checked = self._checked(scores)
        return checked if self.rule is None else self.rule.scores(checked, self._codes(checked, groups))

    def _checked(self, scores: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
        try:
            found = np.asarray(scores, np.float64)
        except (TypeError, ValueError):
            raise DataError("scores: these are no numbers; give probabilities of shape (n, classes)") from None
        if found.ndim != 2 or found.shape[1] != len(self.classes):  # noqa: PLR2004
            wanted = f"(n, {len(self.classes)}), a probability of each of {', '.join(self.classes[:12])}"
            raise DataError(f"scores: got shape {found.shape}; give {wanted}")
        if not ((found >= 0.0) & (found <= 1.0)).all():
            raise DataError("scores: some are not between 0 and 1; give probabilities, not logits")
        return found

    def _codes(self, scores: np.ndarray, groups: Any) -> np.ndarray:  # noqa: ANN401
        if groups is None:
            return np.full(len(scores), UNKNOWN, np.int64)
        codes = self.assignment.codes(groups)
        if len(codes) != len(scores):
            raise DataError(f"groups: got {len(codes):,} for {len(scores):,} scores; give one for each")
        return codes

    def to_json(self) -> dict[str, Any]:
        """Return the contents of ``remedy.json``."""
        kind = IN_WEIGHTS if self.rule is None else self.rule.kind
        return {
            "schema": SCHEMA,
            "name": self.name,
            "kind": kind,
            "how": _HOW[kind],
            "fallback": _FALLBACK,
            "classes": list(self.classes),
            "attribute": self.assignment.to_json(),
            "rule": None if self.rule is None else self.rule.to_json(),
            "decision": None if self.decision is None else dict(vars(self.decision)),
            **self.details,
        }

    def save(self, folder: Path, *, durable: bool = True) -> Path:
        """Write ``remedy.json`` into a folder, whole or not at all."""
        write_json(folder / FILE, self.to_json(), durable=durable)
        return folder / FILE


def load(path: Path | str) -> Application:
    """
    Read the remedy that was exported with a model.

    Parameters
    ----------
    path
        ``remedy.json``, the ``model`` folder that it is in, or the run's folder.

    Returns
    -------
    Application
        ``load("runs/x").predict(scores, groups)`` gives the classes.

    Raises
    ------
    StorageError
        There is none, or it is damaged.
    """
    given = from_home(path)
    files = [given, given / FILE, given / "model" / FILE]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise StorageError(f"no remedy in {given}: the model was exported as tuned; choose one with Remedies.export")
    found = read_json(file)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise StorageError(f"{file} is no remedy of the form {SCHEMA}; export it again")
    kind, rule = found.get("kind"), None
    if kind != IN_WEIGHTS:
        if kind not in _KINDS or not isinstance(found.get("rule"), dict):
            raise StorageError(f"{file}: its kind and rule do not fit; export it again")
        rule = _KINDS[kind].from_json(found["rule"])
    attribute, classes = found.get("attribute"), found.get("classes")
    if not isinstance(attribute, dict) or not isinstance(classes, list):
        raise StorageError(f"{file}: its attribute or classes are missing; export it again")
    application = Application(
        str(found.get("name", "")), tuple(map(str, classes)), Assignment.from_json(attribute), rule,
        decision=_decision(found.get("decision"), file),
    )  # fmt: skip
    _check_fits(application, file)
    return application


def _decision(found: Any, file: Path) -> Decision | None:  # noqa: ANN401
    if found is None:
        return None
    try:
        decision = Decision(int(found["positive"]), float(found["threshold"]))
    except (KeyError, TypeError, ValueError):
        raise StorageError(f"{file}: its decision is damaged; export it again") from None
    if decision.positive not in (0, 1) or not 0.0 < decision.threshold < 1.0:
        raise StorageError(f"{file}: its decision is damaged; export it again")
    return decision


def _check_fits(application: Application, file: Path) -> None:
    rule, groups, classes = application.rule, len(application.assignment.groups), len(application.classes)
    if isinstance(rule, Offsets):
        fits = rule.offsets.shape == (groups, classes)
    else:
        fits = rule is None or (len(rule.groups) == groups and classes == 2 and rule.positive in (0, 1))  # noqa: PLR2004
    if not fits:
        raise StorageError(f"{file}: its rule does not fit its groups and classes; export it again")
