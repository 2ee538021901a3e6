"""The bias report's widget: made only where a front end shows it."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from tunebook_widgets.front_end import front_end


class BiasWidget(anywidget.AnyWidget):
    """
    The front end of the bias report. It has all that can be chosen, and asks the kernel for nothing.

    Parameters
    ----------
    document
        From :func:`tunebook_widgets.bias_document.document`.
    chosen
        What is shown first: numbers of ``attribute``, ``split`` and ``metric`` in the document.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    document = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Dict().tag(sync=True)

    def __init__(self, document: dict[str, Any], chosen: dict[str, int]) -> None:
        script, style = front_end("bias")
        super().__init__(_esm=script, _css=style, document=document, chosen=chosen)
