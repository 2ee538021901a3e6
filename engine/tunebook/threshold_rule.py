"""How the decision threshold of two classes is found, as a recipe writes it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunebook.errors import did_you_mean

#: The threshold with which the more probable class is said.
PLAIN = 0.5
#: How rules are written, for help and error lines.
FORMS = "f1, recall:0.9 (at least that recall) or cost:1:5 (of a false positive : of a false negative)"
#: Rule -> how many numbers follow its name.
_NUMBERS = {"f1": 0, "recall": 1, "cost": 2}
_NUMBER = r"[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?"
#: What JSON Schema can say of a rule.
PATTERN = rf"^(f1|recall:{_NUMBER}|cost:{_NUMBER}:{_NUMBER})$"


@dataclass(frozen=True)
class ThresholdRule:
    """
    How a threshold is found.

    Attributes
    ----------
    kind
        ``"fixed"``, ``"f1"`` (the largest F1 of the positive class), ``"recall"`` (the largest threshold with a recall)
        or ``"cost"`` (the smallest cost of all mistakes).
    numbers
        The threshold; the wanted recall; or the cost of a false positive and of a false negative.
    """

    kind: str
    numbers: tuple[float, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the more probable class is said."""
        return self.kind == "fixed" and self.numbers == (PLAIN,)

    @classmethod
    def read(cls, value: float | str) -> ThresholdRule:
        """
        Read a rule as it is written.

        Parameters
        ----------
        value
            A number, or one of :data:`FORMS`.

        Raises
        ------
        ValueError
            It is no rule; the message says what comes nearest or which bound is not met.
        """
        if not isinstance(value, str):
            return cls("fixed", (float(value),))
        name, *texts = value.split(":")
        if name not in _NUMBERS:
            raise ValueError(f"no such rule{did_you_mean(name, _NUMBERS)}")
        if len(texts) != _NUMBERS[name]:
            raise ValueError(f"{name} takes {_NUMBERS[name]} numbers, with a colon before each")
        try:
            numbers = tuple(map(float, texts))
        except ValueError:
            raise ValueError(f"{name} takes numbers") from None
        if name == "recall" and not 0.0 < numbers[0] <= 1.0:
            raise ValueError("a recall is above 0 and at most 1")
        if name == "cost" and not all(0.0 < number < math.inf for number in numbers):
            raise ValueError("a cost is above 0")
        return cls(name, numbers)


def check_rule(text: str) -> str:
    """Return a rule as it was written, if it is one; ValueError as from :meth:`ThresholdRule.read`."""
    ThresholdRule.read(text)
    return text
