"""How far a training is, and the buttons that pause it, end it and change it while it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunebook_widgets.broadcast import Broadcast
from tunebook_widgets.front_end import widget_bundle
from tunebook_widgets.surroundings import has_kernel, is_batch
from tunebook_widgets.training_state import TrainingState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunebook.runs import Run
    from tunebook_widgets.curve_messages import Message
    from tunebook_widgets.training_widget import TrainingWidget


class TrainingBar:
    """
    The bar above the curves: how far it is, how fast, and how much memory it takes, with the live commands.

    It reads ``state.json`` and writes ``control.jsonl``, so that it drives a run of another kernel or of a batch job as
    well as one of its own.

    Parameters
    ----------
    run
        The run.
    unit
        What examples are called, in the plural.
    own
        The model's own dropout rates by kind, where the model is at hand.
    """

    def __init__(self, run: Run, unit: str = "examples", own: Mapping[str, float] | None = None) -> None:
        self.state = TrainingState(run, unit, own)
        self._widget: TrainingWidget | None = None
        self._broadcast = Broadcast(self.state.poll, self._news, lambda: self.state.is_live, self._send)
        self.state.poll()

    def __repr__(self) -> str:
        return self.state.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ANN401, ARG002
        self.state.poll()
        bundle: dict[str, Any] = {"text/plain": self.state.text()}
        if has_kernel() and not is_batch():
            bundle.update(widget_bundle(self.widget()))
        return bundle

    def widget(self) -> TrainingWidget:
        """Return the widget, and begin to follow the run; call it in a kernel alone."""
        from tunebook_widgets.training_widget import TrainingWidget  # noqa: PLC0415 - imports ipywidgets

        if self._widget is None:
            self._widget = TrainingWidget(self.state.as_json())
            self._widget.on_msg(self._hear)
        self._broadcast.start()
        return self._widget

    def stop(self) -> None:
        """Follow the run no longer, after telling the front end where it stands now."""
        self._broadcast.stop()
        if self._widget is not None:
            self.state.poll()
            self._send(*self._news())

    def _news(self) -> Message:
        return {"kind": "state", **self.state.as_json()}, []

    def _send(self, header: dict[str, Any], buffers: list[bytes]) -> None:
        if self._widget is not None:
            self._widget.send(header, buffers)

    def _hear(self, _: object, content: object, __: object) -> None:
        if not isinstance(content, dict):
            return
        if content.get("kind") == "command":
            self.state.send(content.get("command"), content.get("value"))
        self.state.poll()
        self._send(*self._news())
        self._broadcast.start()
