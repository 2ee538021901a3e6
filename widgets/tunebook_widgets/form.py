"""The pages of fields as the front end draws them: what never changes of a field, and what a recipe makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunebook_widgets.fields import Field, fields
from tunebook_widgets.hands import control_of
from tunebook_widgets.panel import PAGES
from tunebook_widgets.schedule import lr_drawing

if TYPE_CHECKING:
    from tunebook_widgets.panel import ControlPanel

#: The control that sets every kind of dropout at once: no parameter, but it looks like one.
MASTER = Field(
    "all_dropout", "one rate for every kind of dropout that the model has", "number", None, low=0.0, high=0.9
)


class Form:
    """
    The pages of one panel.

    Parameters
    ----------
    panel
        What they show.
    """

    def __init__(self, panel: ControlPanel) -> None:
        self.panel = panel
        found = fields(type(panel.recipe))
        self.pages = {page: found[page] for page in PAGES}

    def columns(self) -> dict[str, Any]:
        """Return what never changes, as JSON: by page, the fields with their kind, help and choices."""
        return {
            page: [_spec(field) for field in ([MASTER] if page == "Regularisation" else []) + found]
            for page, found in self.pages.items()
        }

    def state(self) -> dict[str, Any]:
        """Return what the pages show now, as JSON: a row for each field by name, the curve and the places that drop."""
        panel = self.panel
        rows = {field.name: self._row(field) for found in self.pages.values() for field in found}
        marks = [(phase.epoch, panel.stages.describe_names(phase.frozen)) for phase in panel.plan.phases[1:]]
        return {
            "rows": {**rows, MASTER.name: self._master()},
            "curve": lr_drawing(panel.recipe, len(panel.examples.rows("train")), marks),
            "sites": [[site.path, site.kind, round(site.rate, 4)] for site in panel.dropout.sites(panel.recipe)],
        }

    def _row(self, field: Field) -> dict[str, Any]:
        panel = self.panel
        value = getattr(panel.recipe, field.name)
        has_place = panel.dropout.has_place(field.name)
        note = "" if has_place else "this model has no such place"
        own = panel.dropout.own.get(panel.dropout.kinds.get(field.name, ""), 0.0)
        default = panel.default(field.name)
        return {
            "value": value,
            **_shown(field, own if value is None else value),
            "note": note or ("the model's own" if value is None else ""),
            "off": panel.live is not None or not has_place,
            "is_default": value == default,
            "is_back": panel.history.repeats(control_of({"do": "reset", "name": field.name})),
        }

    def _master(self) -> dict[str, Any]:
        panel = self.panel
        recipe, dropout = panel.recipe, panel.dropout
        common = dropout.common(recipe)
        highest = max((dropout.rate(recipe, dropout.kinds[name]) for name in dropout.parameters), default=0.0)
        differs = common is None and bool(dropout.parameters)
        return {
            "value": common,
            **_shown(MASTER, highest),
            "note": "they differ" if differs else "" if dropout.parameters else "this model has no place for dropout",
            "off": panel.live is not None or not dropout.parameters,
            "is_default": all(getattr(recipe, name) == panel.default(name) for name in dropout.parameters),
            "is_back": panel.history.repeats(control_of({"do": MASTER.name, "name": MASTER.name, "value": None})),
        }


def _spec(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "label": field.label,
        "help": field.help,
        "kind": field.kind,
        "choices": list(field.choices),
        "optional": field.optional or field is MASTER,
        "log": field.is_logarithmic,
    }


def _shown(field: Field, value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the value that a control shows, and the ends and step of its slider where it has one."""
    if field.kind not in ("number", "integer"):
        return {"shown": value, "range": None}
    return {"shown": value, "range": list(field.slider_range(float(value)))}
