"""Ordinary controls made from the recipe's fields. Imports widget libraries: for what is displayed only."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from tunebook.errors import TunebookError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunebook_widgets.fields import Field

#: Digits that a value set by a slider over ratios keeps.
_DIGITS = 2


class Parts:
    """Layouts and styles that all controls of a panel share: a model each in the front end is one message each."""

    def __init__(self) -> None:
        self.layout = ipywidgets.Layout()
        self._styles: dict[type, Any] = {}

    def make(self, kind: Any, **traits: Any) -> Any:  # noqa: ANN401
        """Return a widget with the layout that all have, and the style that all of its kind have."""
        if kind in self._styles:
            traits["style"] = self._styles[kind]
        made = kind(layout=self.layout, **traits)
        self._styles[kind] = made.style
        return made

    def words(self, text: str, css: str) -> ipywidgets.Label:
        """Return a text, which is shown as it is."""
        return self.make(ipywidgets.Label, value=text, _dom_classes=[css])

    def box(self, children: list[Any], *css: str) -> ipywidgets.Box:
        """Return a box that the panel's style sheet lays out."""
        return ipywidgets.Box(children, layout=self.layout, _dom_classes=list(css))


class FieldRow:
    """
    One parameter: its name, its control, what stands beside it, and a way back to the default.

    Parameters
    ----------
    field
        The parameter.
    parts
        Shared layouts and styles.
    change
        Called with a new value; raises a TunebookError where it is refused.
    own
        Gives the model's own value, which is in force while the parameter is ``None``.
    """

    def __init__(
        self,
        field: Field,
        parts: Parts,
        change: Callable[[Any], None],
        own: Callable[[], float] | None = None,
    ) -> None:
        self.field, self._parts, self._change, self._own = field, parts, change, own
        self._is_showing = False
        self._refused: ipywidgets.Label | None = None
        self._controls = self._make_controls()
        self._reset = parts.make(
            ipywidgets.Button,
            icon="undo",
            tooltip=f"back to the default of {field.label}",
            _dom_classes=["tunebook-reset"],
        )
        self._reset.on_click(lambda _: self._ask(field.default))
        self._note = parts.words(field.help, "tunebook-note")
        self._note.tooltip = field.help
        name = parts.words(field.label, "tunebook-name")
        name.tooltip = field.help
        children = [name, *self._controls, self._reset, self._note]
        self.widget = parts.box(children, "tunebook-field", f"tunebook-field-{field.kind}")

    def show(self, value: Any, *, note: str = "") -> None:  # noqa: ANN401
        """
        Show a value without asking for it.

        Parameters
        ----------
        value
            The recipe's.
        note
            A word beside the control.
        """
        with self._showing():
            at = self._own() if value is None and self._own is not None else value
            for control in self._controls:
                _set(control, self.field, at)
            self._show_note(note or ("the model's own" if value is None else ""))
            self._reset.disabled = value == self.field.default or self._controls[0].disabled

    def _show_note(self, note: str) -> None:
        self._note.value = " \N{MIDDLE DOT} ".join(filter(None, [note, self.field.help]))
        # Where there is little room only this is left of the words beside a control.
        self._note._dom_classes = ["tunebook-note", *(["tunebook-noted"] if note else [])]  # noqa: SLF001 - a trait

    def enable(self, *, enabled: bool) -> None:
        """Let a hand use it, or not."""
        for control in self._controls:
            control.disabled = not enabled
        self._reset.disabled = self._reset.disabled or not enabled

    @contextmanager
    def _showing(self) -> Iterator[None]:
        before, self._is_showing = self._is_showing, True
        try:
            yield
        finally:
            self._is_showing = before

    def _ask(self, value: Any) -> None:  # noqa: ANN401
        if self._is_showing:
            return
        try:
            self._change(value)
        except TunebookError as error:
            self._refuse(str(error))
        else:
            self._refuse("")

    def _refuse(self, line: str) -> None:
        if self._refused is None and line:
            self._refused = self._parts.words("", "tunebook-refused")
            self.widget.children = [*self.widget.children, self._refused]
        if self._refused is not None:
            self._refused.value = line

    def _make_controls(self) -> list[Any]:
        field, parts, tip = self.field, self._parts, {"tooltip": self.field.help}
        if field.kind == "choice":
            made = [parts.make(ipywidgets.ToggleButtons, options=list(field.choices), **tip)]
        elif field.kind == "flag":
            made = [parts.make(ipywidgets.Checkbox, indent=False, **tip)]
        elif field.kind == "text":
            made = [parts.make(ipywidgets.Text, continuous_update=False, **tip)]
        else:
            # The number is not bounded: one out of range is refused in words, not changed behind the user's back.
            box = ipywidgets.IntText if field.kind == "integer" else ipywidgets.FloatText
            made = [_slider(field, parts, tip), parts.make(box, continuous_update=False, **tip)]
        for control in made:
            control.observe(lambda change: self._ask(_taken(field, change.owner, change.new)), "value")
        return made


def _slider(field: Field, parts: Parts, tip: dict[str, Any]) -> Any:  # noqa: ANN401
    start = field.default if field.default is not None else max(field.low, 0.0)
    low, high, step = field.slider_range(float(start))
    traits = {"readout": False, **tip}
    if field.is_logarithmic:
        return parts.make(ipywidgets.FloatLogSlider, value=start, base=10.0, min=low, max=high, step=step, **traits)
    if field.kind == "integer":
        return parts.make(ipywidgets.IntSlider, value=int(start), min=int(low), max=int(high), **traits)
    return parts.make(ipywidgets.FloatSlider, value=start, min=low, max=high, step=step, **traits)


def _taken(field: Field, control: Any, value: Any) -> Any:  # noqa: ANN401
    """Return a control's value as the recipe takes it."""
    if field.kind == "number":
        value = float(value)
        if isinstance(control, ipywidgets.FloatLogSlider):
            return float(f"{value:.{_DIGITS}g}")
        if isinstance(control, ipywidgets.FloatSlider):
            return round(value, max(0, 1 - math.floor(math.log10(control.step))))
    return value


def _set(control: Any, field: Field, value: Any) -> None:  # noqa: ANN401
    """Show a value in a control; a slider whose ends are too near moves them."""
    if not hasattr(control, "max"):
        control.value = value
        return
    low, high, _ = field.slider_range(float(value))
    ends = (int(low), int(high)) if field.kind == "integer" else (low, high)
    if isinstance(control, ipywidgets.FloatLogSlider):
        ends = (min(control.min, ends[0]), max(control.max, ends[1]))
    try:
        with control.hold_trait_notifications():
            control.min, control.max = ends
            control.value = value
    except traitlets.TraitError:
        control.value = min(max(value, ends[0]), ends[1])
