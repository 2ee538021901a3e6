"""The front end's bundles, as anywidget takes them. Imports widget libraries: for what is displayed only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from tunebook.errors import NotebookError

_STATIC = Path(__file__).parent / "static"


class PanelPart(anywidget.AnyWidget):
    """
    A part of the control panel that ordinary controls cannot be.

    What a hand does arrives as custom messages, which come also while an awaited cell runs; what is shown is
    ``columns``, which never change, and ``state``.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    part = traitlets.Unicode().tag(sync=True)
    columns = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)


def panel_part(bundle: str, part: str, **traits: Any) -> PanelPart:  # noqa: ANN401
    """
    Make a part of the panel.

    Parameters
    ----------
    bundle
        Which JavaScript draws it: ``"layers"`` or ``"classes"``.
    part
        Which of the bundle's views it is.
    **traits
        Its ``columns`` and ``state``, and what every widget has.

    Raises
    ------
    NotebookError
        The installation lacks the bundle.
    """
    return PanelPart(_esm=_read(f"{bundle}.js"), _css=_read(f"{bundle}.css"), part=part, **traits)


def _read(name: str) -> str:
    try:
        return (_STATIC / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        msg = (
            f"the front end's bundle {name} is not built; install Tunebook with pip, or run `jlpm build:widgets` in "
            "extension/ of a checkout"
        )
        raise NotebookError(msg) from None
