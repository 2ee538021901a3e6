"""What a hand can do at the control panel, and which parameters each control may change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tunebook.errors import RecipeError, TunebookError, shown
from tunebook_widgets.classes import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from tunebook.recipe import Freeze
    from tunebook_widgets.panel import ControlPanel

    Message = dict[str, Any]

_FREEZING = frozenset({"freeze", "unfreeze"})
#: What a front end gets to hear of a message that no control sends.
_PUZZLED = "the panel did not understand this; run its cell again"
#: Buttons, of which a second click takes back what the first one did.
_CLICKS = ("train", "preset", "strategy", "reset", "all_dropout", "defaults")


class Hands:
    """
    The hands at one panel.

    Every control has a message, and every message the parameters that it may change: a control that would change
    another one is refused. What arrives here was done by somebody; what is shown never comes back.

    Parameters
    ----------
    panel
        What they change.
    """

    def __init__(self, panel: ControlPanel) -> None:
        self.panel = panel
        self._sent: tuple[Hashable, Freeze] | None = None
        self._acts: dict[str, Callable[[Message], None]] = {
            "set": lambda m: panel.change(**{self._field(m["name"]): m["value"]}),
            "reset": lambda m: panel.change(**{self._field(m["name"]): panel.default(m["name"])}),
            "all_dropout": self._all_dropout,
            "train": self._train,
            "start": lambda m: panel.start(m["rows"], m["epoch"]),
            "depth": lambda m: panel.freeze(m["stages"] or "none", m["phase"]),
            "glob": lambda m: panel.freeze(read_freeze(m["text"]), m["phase"]),
            "preset": lambda m: panel.preset(m["name"]),
            "add": lambda m: panel.set_plan(panel.plan.extended(m["epoch"])),
            "move": lambda m: panel.set_plan(panel.plan.moved(m["phase"], m["epoch"])),
            "remove": lambda m: panel.set_plan(panel.plan.without(m["phase"])),
            "decay": lambda m: panel.change(layer_decay=m["value"]),
            "strategy": lambda m: panel.change(**panel.classes.chosen(panel.recipe, m["parameter"], m["name"])),
            "weight": lambda m: panel.change(
                **panel.classes.weighted(panel.recipe, m["parameter"], {int(m["class"]): m["value"]})
            ),
            "fit": lambda _: panel.fit(),
            "defaults": lambda _: panel.defaults(),
            "undo": lambda _: panel.undo(),
            "redo": lambda _: panel.redo(),
        }

    def touches(self, message: Message) -> frozenset[str]:
        """
        Return the parameters that a message may change.

        Parameters
        ----------
        message
            What a control sends: ``do`` names the act.
        """
        panel = self.panel
        found: dict[str, Callable[[], Iterable[str]]] = {
            "set": lambda: [self._field(message["name"])],
            "reset": lambda: [self._field(message["name"])],
            "strategy": lambda: {message["parameter"]} & set(PARAMETERS),
            "weight": lambda: {message["parameter"]} & set(PARAMETERS),
            "all_dropout": lambda: panel.dropout.parameters,
            "decay": lambda: ["layer_decay"],
            "fit": panel.fitting,
            "defaults": lambda: panel.parameters,
            "undo": lambda: type(panel.recipe).model_fields,
            "redo": lambda: type(panel.recipe).model_fields,
        }
        return frozenset(found.get(message["do"], lambda: _FREEZING)())

    def act(self, message: object) -> dict[str, str] | None:
        """
        Do what a hand did.

        Parameters
        ----------
        message
            As a front end sent it.

        Returns
        -------
        dict or None
            ``refused`` with a line, or empty where it was done; ``preview`` instead for what would be frozen. ``None``
            for what is no message of a control.
        """
        if not isinstance(message, dict):
            return None
        if message.get("do") == "preview":
            return {"preview": self._preview(str(message.get("text", "")))}
        if message.get("do") not in self._acts:
            return None
        try:
            self._do(message)
        except TunebookError as error:
            return {"refused": str(error)}
        except (KeyError, TypeError, ValueError, IndexError):
            return {"refused": _PUZZLED}
        return {"refused": ""}

    def _do(self, message: Message) -> None:
        act = message["do"]
        by = control_of(message)
        is_click = act in _CLICKS and (act != "all_dropout" or message["value"] is None)
        if is_click and self.panel.live is None and self.panel.history.repeats(by):
            self.panel.undo()
            return
        with self.panel.by_hand(by, self.touches(message), goes_on=bool(message.get("drags"))):
            self._acts[act](message)

    def _field(self, name: object) -> str:
        if name not in self.panel.parameters:
            msg = f"the panel has no control of {shown(name)}"
            raise RecipeError(msg)
        return str(name)

    def _all_dropout(self, message: Message) -> None:
        panel, rate = self.panel, message["value"]
        names = panel.dropout.parameters
        panel.change(**{name: panel.default(name) if rate is None else rate for name in names})

    def _train(self, message: Message) -> None:
        panel, by = self.panel, control_of(message)
        if panel.live is None:
            panel.train(message["rows"], message["phase"], trains=message["trains"])
        elif self._sent is not None and self._sent[0] == by:
            # A command cannot be taken back, but one that gives back what was frozen before it can be sent.
            before, self._sent = self._sent[1], None
            panel.freeze(before)
        else:
            before = panel.shown_plan().phases[-1].freeze
            panel.train(message["rows"], message["phase"], trains=message["trains"])
            self._sent = by, before

    def _preview(self, text: str) -> str:
        if not text.strip():
            return ""
        try:
            return f"{self.panel.stages.describe(read_freeze(text))} would train"
        except RecipeError as error:
            return str(error)


def control_of(message: Message) -> Hashable:
    """Return what tells a control from all others: its messages differ in what they ask for at most."""
    asked = ("value", "trains", "drags") if message["do"] != "all_dropout" or message.get("value") is not None else ()
    return tuple(sorted((key, repr(value)) for key, value in message.items() if key not in (*asked, "part")))


def read_freeze(text: str) -> Freeze:
    """
    Read what is typed into the box for patterns.

    Parameters
    ----------
    text
        ``none``, ``backbone``, a whole number, or glob patterns with commas or spaces between.

    Raises
    ------
    RecipeError
        There is nothing in it.
    """
    words = [word for word in re.split(r"[,\s]+", text) if word]
    if not words:
        msg = "freeze: the box is empty; allowed: none, backbone, a number of stages, or patterns such as blocks.[0-3]"
        raise RecipeError(msg)
    if words == ["none"]:
        return "none"
    if words == ["backbone"]:
        return "backbone"
    if len(words) == 1 and re.fullmatch(r"-?\d{1,6}", words[0]):
        return int(words[0])
    return words
