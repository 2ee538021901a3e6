"""Awaiting a training with its bar and its curves in sight."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunebook.errors import TunebookError
from tunebook.tasks import get_task
from tunebook_widgets.curve_document import MIME
from tunebook_widgets.front_end import widget_bundle
from tunebook_widgets.live_curves import LiveCurves
from tunebook_widgets.surroundings import has_kernel, is_batch
from tunebook_widgets.training_bar import TrainingBar

if TYPE_CHECKING:
    from tunebook.runs import Run
    from tunebook.tuning import Tuning
    from tunebook_widgets.panel import ControlPanel


async def watch(tuning: Tuning[Run], panel: ControlPanel | None = None) -> Run:
    """
    Await a training, and show how it goes: a bar with buttons, and curves that grow.

    When it ends, well or not, the live view makes way for a PNG, the figures as text, and the data of the curves, which
    JupyterLab with Tunebook's extension shows interactively; all of it stays in the saved notebook. A batch run shows
    PNG and text alone and imports no widgets; outside a notebook nothing is shown.

    Parameters
    ----------
    tuning
        What :func:`tunebook.tune` returned.
    panel
        A control panel that drives the run while it goes on: what is frozen there is frozen in the run.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    TunebookError
        Training failed or was stopped; the run directory says the same.

    Examples
    --------
    >>> tuned = await watch(tunebook.tune(recipe, examples, network))  # doctest: +SKIP
    """
    if not has_kernel():
        return await tuning
    curves = LiveCurves(tuning.run)
    if is_batch():
        return await _watch_batch(tuning, curves)
    return await _watch_live(tuning, curves, panel)


async def _watch_batch(tuning: Tuning[Run], curves: LiveCurves) -> Run:
    from IPython.display import display  # noqa: PLC0415 - a script has no need of it

    try:
        return await tuning
    finally:
        display(_still(curves), raw=True)  # type: ignore[no-untyped-call]


async def _watch_live(tuning: Tuning[Run], curves: LiveCurves, panel: ControlPanel | None) -> Run:
    from IPython.display import display  # noqa: PLC0415
    from ipywidgets import VBox  # noqa: PLC0415

    own = panel.model.dropout.own_rates() if panel is not None else None
    bar = TrainingBar(tuning.run, get_task(tuning.run.state().task).unit, own)
    if panel is not None:
        panel.attach(tuning)
    try:
        # Drawing takes a moment, in which a click on Stop should not have to wait.
        before = await asyncio.to_thread(_still, curves)
        both = VBox([bar.widget(), curves.widget()])
        handle = display({**before, **widget_bundle(both)}, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        try:
            return await tuning.wait()
        finally:
            bar.stop()
            curves.stop()
            handle.update({**_still(curves), MIME: curves.document()}, raw=True)
    finally:
        if panel is not None:
            panel.detach()


def _still(curves: LiveCurves) -> dict[str, Any]:
    """Return the curves as they are on the disk now, as PNG and text."""
    with suppress(TunebookError):  # what was read before is shown all the same
        curves.poll()
    drawn = curves.picture()
    return {"image/png": base64.b64encode(drawn.png).decode("ascii"), "text/plain": drawn.text}
