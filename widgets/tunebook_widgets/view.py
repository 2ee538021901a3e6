"""The control panel's view: what its parts show, and what a hand does there. Imports widget libraries."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tunebook.errors import TunebookError
from tunebook_widgets.form import Form
from tunebook_widgets.front_end import widget_bundle
from tunebook_widgets.hands import Hands
from tunebook_widgets.history import changed_names
from tunebook_widgets.panel_widget import PanelWidget

if TYPE_CHECKING:
    from tunebook_widgets.panel import ControlPanel

#: Seconds between two looks at a run that is driven.
_LOOK = 0.4


class PanelView:
    """
    The widget of one panel.

    Parameters
    ----------
    panel
        What it shows and changes.
    """

    def __init__(self, panel: ControlPanel) -> None:
        self.panel = panel
        self.form = Form(panel)
        self.hands = Hands(panel)
        columns = {
            "layers": panel.layers.columns(),
            "classes": panel.classes.columns(),
            "form": self.form.columns(),
        }
        self.widget = PanelWidget(columns, **self._parts())
        self.widget.on_msg(self._hear)
        self._task: asyncio.Task[None] | None = None
        panel.listen(self.refresh)
        self._watch()

    def mimebundle(self) -> dict[str, Any]:
        """Return what a front end shows the widget by."""
        return widget_bundle(self.widget)

    def refresh(self) -> None:
        """Show the recipe, or the run that is driven, as it is now."""
        with self.widget.hold_sync():  # one message, so that no part is ahead of another
            for name, state in self._parts().items():
                setattr(self.widget, name, state)
        self._watch()

    # What the parts show.

    def _parts(self) -> dict[str, dict[str, Any]]:
        return {
            "header": self._header_state(),
            "layers": self._layers_state(),
            "classes": {**self.panel.classes.state(self.panel.recipe), "locked": self.panel.live is not None},
            "form": self.form.state(),
            "cost": self.panel.figures(),
        }

    def _header_state(self) -> dict[str, Any]:
        panel = self.panel
        recipe = panel.recipe
        changed = len(changed_names(type(recipe)(), recipe) & set(panel.parameters))
        undo, redo = panel.history.words(recipe)
        return {
            "cell": panel.cell(),
            "changes": f"{changed} change{'' if changed == 1 else 's'} from the defaults"
            if changed
            else "all defaults",
            "live": self._live(),
            "said": panel.said,
            "undo": undo,
            "redo": redo,
        }

    def _layers_state(self) -> dict[str, Any]:
        return {**self.panel.layers.state(self.panel.shown_plan(), self.panel.recipe), "live": self._live()}

    def _live(self) -> dict[str, Any] | None:
        live = self.panel.live
        return live.state() if live is not None else None

    # What a hand does in them.

    def _hear(self, widget: PanelWidget, message: object, _: object) -> None:
        answer = self.hands.act(message)
        if answer is not None and isinstance(message, dict):
            # Every view of the panel hears it; it concerns the part, and the field, that it came from.
            widget.send({**answer, "part": message.get("part", "layers"), "of": message.get("name", "")})

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
                    self.widget.send({"part": "layers", "refused": refusal})
                if not live.is_alive():
                    self.panel.detach()
                    return
                self.widget.header = self._header_state()
                self.widget.layers = self._layers_state()
            except TunebookError as error:
                # The disk may be slow or the folder gone; the next look may find it again.
                self.widget.send({"part": "layers", "refused": str(error)})
            await asyncio.sleep(_LOOK)
