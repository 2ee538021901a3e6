"""The control panel's widget: made only where a front end shows it."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from tunebook_widgets.front_end import front_end


class PanelWidget(anywidget.AnyWidget):
    """
    The front end of the control panel.

    What a hand does arrives as custom messages, which come also while an awaited cell runs. What is shown goes the
    other way alone: no control takes what it is told to show for something that was done.

    Parameters
    ----------
    columns
        What never changes, by part.
    **parts
        What each part shows now, as JSON.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    columns = traitlets.Dict().tag(sync=True)
    header = traitlets.Dict().tag(sync=True)
    layers = traitlets.Dict().tag(sync=True)
    classes = traitlets.Dict().tag(sync=True)
    form = traitlets.Dict().tag(sync=True)
    cost = traitlets.Dict().tag(sync=True)

    def __init__(self, columns: dict[str, Any], **parts: dict[str, Any]) -> None:
        script, style = front_end("panel")
        super().__init__(_esm=script, _css=style, columns=columns, **parts)
