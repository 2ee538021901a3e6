"""The control panel as widgets. Imports widget libraries: for what is displayed only."""

from __future__ import annotations

import asyncio
import re
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from tunebook.errors import RecipeError, TunebookError
from tunebook_widgets.bundles import panel_part
from tunebook_widgets.controls import FieldRow, Parts
from tunebook_widgets.fields import Field, fields
from tunebook_widgets.schedule import lr_drawing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook.recipe import Freeze
    from tunebook_widgets.bundles import PanelPart
    from tunebook_widgets.panel import ControlPanel

    Act = Callable[[dict[str, Any]], None]

#: Groups of the recipe that ordinary controls show, a page each.
_GROUPS = ("Regularisation", "Schedule")
_MASTER = Field(
    "all_dropout", "one rate for every kind of dropout that the model has", "number", 0.0, low=0.0, high=0.9
)
#: Seconds between two looks at a run that is driven.
_LOOK = 0.4


class PanelView:
    """
    The widgets of one panel.

    Parameters
    ----------
    panel
        What they show and change.
    """

    def __init__(self, panel: ControlPanel) -> None:
        self.panel = panel
        self.parts = Parts()
        layout = self.parts.layout
        self.header = panel_part("layers", "header", state=self._header_state(), layout=layout)
        self.layers = panel_part(
            "layers", "layers", columns=panel.layers.columns(), state=self._layers_state(), layout=layout
        )
        self.classes = panel_part(
            "classes", "classes", columns=panel.classes.columns(), state=self._classes_state(), layout=layout
        )
        self.cost = panel_part("layers", "cost", state=panel.figures(), layout=layout)
        self._fields = fields(type(panel.recipe))
        self.rows = {field.name: self._row(field) for group in _GROUPS for field in self._fields[group]}
        self.master = FieldRow(_MASTER, self.parts, self._set_all_dropout)
        self._curve = self.parts.make(ipywidgets.HTML, _dom_classes=["tunebook-curve"])
        self._sites = self.parts.make(ipywidgets.HTML, _dom_classes=["tunebook-sites"])
        self.widget = self._compose()
        self._listen()
        self._task: asyncio.Task[None] | None = None
        self._refresh_controls()
        panel.listen(self.refresh)
        self._watch()

    def mimebundle(self) -> dict[str, Any]:
        """Return what a front end shows the widgets by."""
        kind = "application/vnd.jupyter.widget-view+json"
        return {kind: {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}}

    def refresh(self) -> None:
        """Show the recipe, or the run that is driven, as it is now."""
        self.header.state = self._header_state()
        self.layers.state = self._layers_state()
        self.classes.state = self._classes_state()
        self.cost.state = self.panel.figures()
        self._refresh_controls()
        self._watch()

    # What the parts show.

    def _header_state(self) -> dict[str, Any]:
        live = self.panel.live
        changed = len(self.panel.differences())
        return {
            "cell": self.panel.cell(),
            "changes": f"{changed} change{'' if changed == 1 else 's'} from the defaults"
            if changed
            else "all defaults",
            "live": live.state() if live is not None else None,
        }

    def _layers_state(self) -> dict[str, Any]:
        live = self.panel.live
        state = self.panel.layers.state(self.panel.shown_plan(), self.panel.recipe)
        return {**state, "live": live.state() if live is not None else None}

    def _classes_state(self) -> dict[str, Any]:
        return {**self.panel.classes.state(self.panel.recipe), "locked": self.panel.live is not None}

    def _refresh_controls(self) -> None:
        panel = self.panel
        open_ = panel.live is None
        for name, row in self.rows.items():
            has_place = panel.dropout.has_place(name)
            row.enable(enabled=open_ and has_place)
            row.show(getattr(panel.recipe, name), note="" if has_place else "this model has no such place")
        self.master.enable(enabled=open_ and bool(panel.dropout.parameters))
        common = panel.dropout.common(panel.recipe)
        highest = max((panel.dropout.rate(panel.recipe, kind) for kind in panel.model.dropout.kinds), default=0.0)
        self.master.show(highest if common is None else common, note="they differ" if common is None else "")
        self._sites.value = _sites_html(panel)
        marks = [(phase.epoch, panel.stages.describe_names(phase.frozen)) for phase in panel.plan.phases[1:]]
        self._curve.value = lr_drawing(panel.recipe, len(panel.examples.rows("train")), marks)

    # How they are put together.

    def _row(self, field: Field) -> FieldRow:
        kind = self.panel.dropout.kinds.get(field.name)

        def own() -> float:
            return self.panel.dropout.own.get(kind or "", 0.0)

        def change(value: Any) -> None:  # noqa: ANN401
            try:
                self.panel.change(**{field.name: value})
            finally:
                # Where it was refused, the control goes back to what the recipe has.
                self._refresh_controls()

        return FieldRow(field, self.parts, change, own)

    def _set_all_dropout(self, rate: float) -> None:
        try:
            self.panel.change(**self.panel.dropout.everywhere(rate))
        finally:
            self._refresh_controls()

    def _compose(self) -> Any:  # noqa: ANN401
        parts = self.parts
        pages = {
            "Layers": self.layers,
            "Classes": self.classes,
            "Regularisation": parts.box(
                [self.master.widget, *self._page("Regularisation"), self._sites], "tunebook-form"
            ),
            "Schedule": parts.box([self._curve, *self._page("Schedule")], "tunebook-form"),
        }
        tabs = ipywidgets.Tab(
            list(pages.values()),
            titles=list(pages),
            selected_index=0,
            layout=parts.layout,
            _dom_classes=["tunebook-tabs"],
        )
        return parts.box([self.header, tabs, self.cost], "tunebook-panel")

    def _page(self, group: str) -> list[Any]:
        return [self.rows[field.name].widget for field in self._fields[group]]

    # What a hand does in the parts.

    def _listen(self) -> None:
        panel = self.panel
        layers: dict[str, Act] = {
            "train": lambda m: panel.train(m["rows"], m["phase"], trains=m["trains"]),
            "start": lambda m: panel.start(m["rows"], m["epoch"]),
            "depth": lambda m: panel.freeze(m["stages"] or "none", m["phase"]),
            "glob": lambda m: panel.freeze(read_freeze(m["text"]), m["phase"]),
            "preset": lambda m: panel.preset(m["name"]),
            "add": lambda m: panel.set_plan(panel.plan.extended(m["epoch"])),
            "move": lambda m: panel.set_plan(panel.plan.moved(m["phase"], m["epoch"])),
            "remove": lambda m: panel.set_plan(panel.plan.without(m["phase"])),
            "decay": lambda m: panel.change(layer_decay=float(m["value"])),
            "preview": self._preview,
        }
        classes: dict[str, Act] = {
            "strategy": lambda m: panel.change(**panel.classes.chosen(panel.recipe, m["parameter"], m["name"])),
            "weight": lambda m: panel.change(
                **panel.classes.weighted(panel.recipe, m["parameter"], {int(m["class"]): float(m["value"])})
            ),
        }
        cost: dict[str, Act] = {"fit": lambda _: panel.fit()}
        for part, acts in ((self.layers, layers), (self.classes, classes), (self.cost, cost)):
            part.on_msg(lambda widget, message, _, acts=acts: self._act(widget, acts, message))

    def _act(self, part: PanelPart, acts: dict[str, Act], message: object) -> None:
        try:
            if not isinstance(message, dict) or message.get("do") not in acts:
                return
            acts[message["do"]](message)
        except TunebookError as error:
            part.send({"refused": str(error)})
        except (KeyError, TypeError, ValueError, IndexError):
            part.send({"refused": "the panel did not understand this; run its cell again"})
        else:
            if message["do"] != "preview":
                part.send({"refused": ""})

    def _preview(self, message: dict[str, Any]) -> None:
        text = str(message["text"])
        words = ""
        if text.strip():
            try:
                words = f"{self.panel.stages.describe(read_freeze(text))} would train"
            except RecipeError as error:
                words = str(error)
        self.layers.send({"preview": words})

    # A run that is driven.

    def _watch(self) -> None:
        """Look at the run now and then while there is one, on the kernel's loop."""
        if self.panel.live is None or (self._task is not None and not self._task.done()):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._task = loop.create_task(self._follow())

    async def _follow(self) -> None:
        while (live := self.panel.live) is not None:
            try:
                refusal = live.refusal()
                if refusal:
                    self.layers.send({"refused": refusal})
                if not live.is_alive():
                    self.panel.detach()
                    return
                self.header.state = self._header_state()
                self.layers.state = self._layers_state()
            except TunebookError as error:
                # The disk may be slow or the folder gone; the next look may find it again.
                self.layers.send({"refused": str(error)})
            await asyncio.sleep(_LOOK)


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


def _sites_html(panel: ControlPanel) -> str:
    """List every place that drops, with its rate as a bar."""
    sites = panel.dropout.sites(panel.recipe)
    if not sites:
        return "<p>This model has no place for dropout.</p>"
    rows = "".join(
        f"<tr><td>{escape(site.path or 'before the head')}</td><td>{escape(site.kind)}</td>"
        f'<td class="tunebook-number">{site.rate:.3g}</td>'
        f'<td><span class="tunebook-bar"><span style="width:{100 * min(site.rate, 1.0):.1f}%"></span></span></td></tr>'
        for site in sites
    )
    head = "<tr><th scope=col>place</th><th scope=col>kind</th><th scope=col>rate</th><th></th></tr>"
    count = f"{len(sites)} place{'' if len(sites) == 1 else 's'} that drop"
    return f"<details><summary>{count}</summary><table><thead>{head}</thead><tbody>{rows}</tbody></table></details>"
