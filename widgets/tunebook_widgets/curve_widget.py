"""The curves' widget: made only where a front end shows it."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from tunebook_widgets.front_end import front_end


class CurveWidget(anywidget.AnyWidget):
    """
    The front end of the live curves.

    What changes comes as custom messages: while a cell runs, nothing else does.

    Parameters
    ----------
    snapshot
        The curves as they are now, as JSON, so that the first picture waits for nobody.
    title
        Heading.
    can_command
        Whether histograms can be asked of the training.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    snapshot = traitlets.Dict().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    can_command = traitlets.Bool().tag(sync=True)

    def __init__(self, snapshot: dict[str, Any], title: str, *, can_command: bool) -> None:
        script, style = front_end("curves")
        super().__init__(_esm=script, _css=style, snapshot=snapshot, title=title, can_command=can_command)
