"""The front end of the widgets, as it was built: one script and one style sheet each."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from tunebook.errors import NotebookError

_FOLDER = Path(__file__).parent / "static"


@cache
def front_end(name: str) -> tuple[str, str]:
    """
    Return the script and the style of a widget.

    Parameters
    ----------
    name
        ``"bias"``, ``"curves"``, ``"panel"`` or ``"training"``.

    Raises
    ------
    NotebookError
        They are not there, as in a checkout that was not installed.
    """
    try:
        script = (_FOLDER / f"{name}.js").read_text(encoding="utf-8")
    except OSError:
        msg = f"the front end of {name} is not built; install the checkout with `pip install -e .`"
        raise NotebookError(msg) from None
    style = _FOLDER / f"{name}.css"
    return script, style.read_text(encoding="utf-8") if style.is_file() else ""


def widget_bundle(widget: Any) -> dict[str, Any]:  # noqa: ANN401 - ipywidgets carries no types
    """Return what an output holds of a widget, without its text: figures as text stand in its place."""
    shown = widget._repr_mimebundle_()
    data = shown[0] if isinstance(shown, tuple) else shown
    return {kind: value for kind, value in (data or {}).items() if kind != "text/plain"}
