"""The curves of one or several runs, read from their event files, growing under the cell while they are written."""

from __future__ import annotations

import base64
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from tunebook.errors import StorageError, shown
from tunebook.opening import from_home
from tunebook.runs import Run
from tunebook_widgets.broadcast import Broadcast
from tunebook_widgets.curve_document import MIME, document
from tunebook_widgets.curve_messages import CurveMessages, Message
from tunebook_widgets.curve_picture import picture, text
from tunebook_widgets.curve_source import CurveSource
from tunebook_widgets.front_end import widget_bundle
from tunebook_widgets.surroundings import has_kernel, is_batch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from tunebook.figures import Picture
    from tunebook_widgets.curve_widget import CurveWidget

#: More runs than this cannot be told apart in one chart.
_MOST_RUNS = 24


class LiveCurves:
    """
    The curves of one or several runs.

    They come from the event files and not from a kernel's memory, so that a run of another kernel, of a batch job, or
    of last week is shown in the same way. As the last line of a cell it is interactive, and follows what is still being
    trained; the saved notebook holds a PNG and the figures as text beside it.

    Parameters
    ----------
    runs
        A run, its path or its name below ``runs_dir``, any folder with event files, or several of them.
    runs_dir
        Folder that holds the run directories.
    title
        Heading.

    Raises
    ------
    StorageError
        There is no such run, or its files cannot be read.
    """

    def __init__(
        self,
        runs: Run | Path | str | Iterable[Run | Path | str],
        *,
        runs_dir: Path | str = "runs",
        title: str = "Curves",
    ) -> None:
        wanted = [runs] if isinstance(runs, (Run, Path, str)) else list(runs)
        if not wanted or len(wanted) > _MOST_RUNS:
            raise StorageError(f"got {len(wanted)} runs to show; allowed: 1 to {_MOST_RUNS}")
        folders = [_folder(run, runs_dir) for run in wanted]
        names = _names(folders)
        self.title = title
        self.sources = [CurveSource(f, str(k), name) for k, (f, name) in enumerate(zip(folders, names, strict=True))]
        self._messages = CurveMessages(self.sources)
        self._widget: CurveWidget | None = None
        self._lock = Lock()
        self._broadcast = Broadcast(self.poll, self._news, lambda: self.is_live, self._send)
        self.poll()

    def __repr__(self) -> str:
        return text(self.sources)

    @property
    def is_live(self) -> bool:
        """Whether one of the runs may still be trained."""
        return any(source.is_live for source in self.sources)

    def poll(self) -> bool:
        """
        Read what was written since the last time.

        Returns
        -------
        bool
            Whether anything changed.

        Raises
        ------
        StorageError
            A file cannot be read.
        """
        with self._lock:
            changed = [source.poll() for source in self.sources]
        return any(changed)

    def series(self) -> dict[str, dict[str, NDArray[Any]]]:
        """
        Return all points of all curves.

        Returns
        -------
        dict
            Name of the run to tag to an array of shape (n, 3), float64: step, value, and seconds since 1970.
        """
        return {s.name: {tag: s.curves.points(tag) for tag in s.curves.tags} for s in self.sources}

    def picture(self) -> Picture:
        """Draw the curves as they are now: a PNG, and the figures as text."""
        with self._lock:
            return picture(self.sources)

    def document(self) -> dict[str, Any]:
        """Return the curves as JSON of at most 150 kB; see :func:`tunebook_widgets.curve_document.document`."""
        with self._lock:
            return document(self.sources)

    def stop(self) -> None:
        """Follow the runs no longer; what is shown stays."""
        self._broadcast.stop()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ANN401, ARG002
        self.poll()
        drawn = self.picture()
        bundle: dict[str, Any] = {"image/png": base64.b64encode(drawn.png).decode("ascii"), "text/plain": drawn.text}
        if has_kernel() and not is_batch():
            # JupyterLab draws the data in the place of a widget whose kernel has ended.
            bundle.update({**widget_bundle(self.widget()), MIME: self.document()})
        return bundle

    # The widget.

    def widget(self) -> CurveWidget:
        """Return the widget, and begin to follow the runs; call it in a kernel alone."""
        from tunebook_widgets.curve_widget import CurveWidget  # noqa: PLC0415 - imports ipywidgets

        if self._widget is None:
            self._widget = CurveWidget(self.document(), self.title, can_command=any(s.state for s in self.sources))
            self._widget.on_msg(self._hear)
        self._broadcast.start()
        return self._widget

    def close(self) -> None:
        """Follow the runs no longer, and take the widget off the page."""
        self.stop()
        if self._widget is not None:
            self._widget.close()
            self._widget = None

    def _news(self) -> Message | None:
        with self._lock:
            return self._messages.news()

    def _send(self, header: dict[str, Any], buffers: list[bytes]) -> None:
        if self._widget is not None:
            self._widget.send(header, buffers)

    def _hear(self, _: object, content: object, __: object) -> None:
        """Answer the front end; what is no message of ours is passed over."""
        if not isinstance(content, dict):
            return
        kind, key = content.get("kind"), str(content.get("key", ""))
        message: Message | None = None
        with self._lock:
            if kind == "hello":
                message = self._messages.whole()
            elif kind == "detail" and isinstance(content.get("ranges"), dict):
                message = self._messages.detail(content["ranges"], content.get("width"))
            elif kind == "histograms":
                message = self._messages.histograms(key)
            elif kind == "confusion":
                message = self._messages.confusion(key)
        if message is not None:
            self._send(*message)
        if kind == "take_histograms":
            self._take_histograms(key)
        # A run that had ended may have been resumed since the page was left.
        self._broadcast.start()

    def _take_histograms(self, key: str) -> None:
        source = next((s for s in self.sources if s.key == key and s.state == "running"), None)
        if source is not None:
            Run(source.folder).control.send("histograms", by="curves")


def _folder(run: Run | Path | str, runs_dir: Path | str) -> Path:
    if isinstance(run, Run):
        return run.path
    path = from_home(run)
    # Any program's event files will do, wherever they are; a name alone is looked up among the runs.
    if any(path.glob("events.out.tfevents.*")) and not (path / "state.json").is_file():
        return path
    try:
        return Run.open(run, runs_dir).path
    except StorageError as error:
        if path.is_dir():
            raise StorageError(f"{shown(str(path))} holds no run and no event files; name a run directory") from None
        raise error from None


def _names(folders: list[Path]) -> list[str]:
    """Return the shortest ends of paths that tell the runs apart."""
    paths = [folder.absolute() for folder in folders]
    for parts in (1, 2, 3):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{path.name} ({number})" for number, path in enumerate(paths, start=1)]
