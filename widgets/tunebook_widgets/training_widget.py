"""The training bar's widget: made only where a front end shows it."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from tunebook_widgets.front_end import front_end


class TrainingWidget(anywidget.AnyWidget):
    """
    The front end of the training bar. Changes and commands go as custom messages: while a cell runs, nothing else does.

    Parameters
    ----------
    snapshot
        Where the run stands now, as JSON.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    snapshot = traitlets.Dict().tag(sync=True)

    def __init__(self, snapshot: dict[str, Any]) -> None:
        script, style = front_end("training")
        super().__init__(_esm=script, _css=style, snapshot=snapshot)
