"""
What a notebook shows: the control panel, the live curves and views of a report.

The names below are loaded when they are first used, and widget libraries only when something is displayed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunebook_widgets.bias_view import BiasView
    from tunebook_widgets.live_curves import LiveCurves
    from tunebook_widgets.panel import ControlPanel
    from tunebook_widgets.surroundings import is_batch
    from tunebook_widgets.watch import watch

_HOMES = {
    "BiasView": "tunebook_widgets.bias_view",
    "ControlPanel": "tunebook_widgets.panel",
    "LiveCurves": "tunebook_widgets.live_curves",
    "is_batch": "tunebook_widgets.surroundings",
    "watch": "tunebook_widgets.watch",
}

__all__ = ["BiasView", "ControlPanel", "LiveCurves", "is_batch", "watch"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
        # A function and its module have one name: the function must win, also once the module is imported.
        globals()[name] = found
        return found
    msg = f"module 'tunebook_widgets' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return list(__all__)
