"""Figures as they are kept in a notebook: PNG and text, readable untrusted, offline and without a kernel."""

from __future__ import annotations

import base64
import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tunebook.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours that people with any kind of colour vision tell apart (Okabe and Ito, 2008).
TRAIN, VALIDATION, BEST, FAINT = "#0072B2", "#D55E00", "#009E73", "#999999"
_DPI = 110
#: Classes beyond which a matrix cannot be read, and pairs of classes that are listed in its place.
MOST_CELLS, _MOST_PAIRS = 40, 30
#: Largest number in medians from which a histogram's axis is logarithmic.
_WIDE = 50


class Page:
    """
    A piece of HTML with a text that says the same; neither runs anything.

    Parameters
    ----------
    html
        A fragment in which everything that comes from data is escaped.
    text
        For readers that show no HTML.
    """

    suffix = ".html"

    def __init__(self, html: str, text: str) -> None:
        self.html = html
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ANN401, ARG002
        return {"text/html": self.html, "text/plain": self.text}

    def save(self, path: Path) -> None:
        """Write it as a whole document, whole or not at all."""
        style = "body { font: 14px/1.5 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }"
        head = f'<!doctype html><meta charset="utf-8"><title>Tunebook</title><style>{style}</style>'
        with replacing(path, durable=False) as temporary:
            temporary.write_text(f"{head}{self.html}\n", encoding="utf-8")


class Picture:
    """
    A PNG with a text that says the same.

    Parameters
    ----------
    png
        The file's bytes.
    text
        For readers that show no pictures.
    """

    suffix = ".png"

    def __init__(self, png: bytes, text: str) -> None:
        self.png = png
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ANN401, ARG002
        return {"image/png": base64.b64encode(self.png).decode("ascii"), "text/plain": self.text}

    def save(self, path: Path) -> None:
        """Write the PNG, whole or not at all."""
        with replacing(path, durable=False) as temporary:
            temporary.write_bytes(self.png)

    @classmethod
    def of(cls, figure: Figure, text: str) -> Picture:
        """Draw a matplotlib figure."""
        stream = io.BytesIO()
        with warnings.catch_warnings():
            # A label in a script that the font lacks shows boxes; the text beside the picture has it right.
            warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
            figure.savefig(stream, format="png", dpi=_DPI, facecolor="white")
        # 256 colours are enough to look at, and keep a notebook with many pictures small.
        drawn = Image.open(stream).convert("RGB").quantize(256)
        small = io.BytesIO()
        drawn.save(small, format="PNG", optimize=True)
        return cls(small.getvalue(), text)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches, that belongs to no window and no global state."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    return Figure(figsize=(width, height), layout="constrained")


def plain(text: object, limit: int = 0) -> str:
    """Return a name from the data as one line, cut to ``limit`` characters if that is above 0."""
    line = " ".join(str(text).split())
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return line if not limit or len(line) <= limit else line[: limit - 1] + "…"


def tidy(axes: Axes, title: str, xlabel: str = "", ylabel: str = "") -> None:
    """Give axes their titles and take away what carries no information."""
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold", parse_math=False)
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)


def grid(images: Sequence[Image.Image], captions: Sequence[str], title: str, columns: int = 8) -> Picture:
    """
    Show small pictures in rows with a caption under each.

    Parameters
    ----------
    images
        Of any sizes.
    captions
        One for each; line ends are kept.
    title
        Heading.
    columns
        Pictures in a row.
    """
    if not images:
        return Picture.of(new_figure(4, 0.4), f"{title}: nothing to show")
    columns = min(columns, max(len(images), 4))
    rows = -(-len(images) // columns)
    lines = max(caption.count("\n") + 1 for caption in captions)
    figure = new_figure(1.22 * columns, (1.22 + 0.15 * lines) * rows + 0.3)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", parse_math=False)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, image, caption in zip(axes, images, captions, strict=False):
        axis.imshow(image)
        shown = "\n".join(plain(line, 19) for line in caption.split("\n"))
        axis.text(0.5, -0.05, shown, fontsize=7, ha="center", va="top", transform=axis.transAxes, parse_math=False)
    words = "; ".join(plain(caption.replace("\n", ", ")) for caption in captions)
    return Picture.of(figure, f"{title}: {words}")


def matrix(counts: np.ndarray, names: Sequence[str], title: str) -> Picture:
    """
    Show a confusion matrix: rows are the truth, columns what the model says; of many classes the pairs mistaken most.

    Parameters
    ----------
    counts
        Shape (classes, classes).
    names
        Class names in that order.
    title
        Heading.
    """
    count = len(names)
    if count > MOST_CELLS:
        return pairs(counts, names, title)
    side = min(9.0, 2.2 + 0.38 * count)
    figure = new_figure(side + 0.6, side)
    axes = figure.subplots()
    share = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    image = axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    tidy(axes, title, "predicted", "truth")
    axes.grid(visible=False)
    ticks = range(count)
    labels = [plain(name, 18) for name in names]
    axes.set_xticks(ticks, labels, rotation=60, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(ticks, labels, parse_math=False)
    if count <= 20:  # noqa: PLR2004 - more figures than this cannot be read
        for row in range(count):
            for column in range(count):
                if counts[row, column]:
                    dark = share[row, column] > 0.55  # noqa: PLR2004
                    colour = "white" if dark else "#333333"
                    axes.text(
                        column, row, str(int(counts[row, column])), ha="center", va="center", fontsize=7, color=colour
                    )
    bar = figure.colorbar(image, ax=axes, shrink=0.7)
    bar.set_label("share of the true class", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return Picture.of(figure, f"{title}: most frequent mistakes: {_mistakes(counts, names, 3)}")


def pairs(counts: np.ndarray, names: Sequence[str], title: str) -> Picture:
    """
    Show which classes are taken for which most often, as a list: it can be read however many classes there are.

    Parameters
    ----------
    counts
        Shape (classes, classes), rows by truth.
    names
        Class names in that order.
    title
        Heading.
    """
    found = confused_pairs(counts, _MOST_PAIRS)
    support = counts.sum(axis=1)
    figure = new_figure(8.0, 1.0 + 0.27 * max(1, len(found)))
    axes = figure.subplots()
    places = np.arange(len(found))
    values = [int(counts[truth, said]) for truth, said in found]
    axes.barh(places, values, color=VALIDATION)
    for place, (value, (truth, _)) in enumerate(zip(values, found, strict=True)):
        axes.text(value, place, f" {value} of {int(support[truth])}", va="center", fontsize=7, color="#333333")
    tidy(axes, f"{title}: most frequent mistakes of {len(names)} classes", "examples")
    labels = [f"{plain(names[truth], 24)} taken for {plain(names[said], 24)}" for truth, said in found]
    axes.set_yticks(places, labels, parse_math=False)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    words = _mistakes(counts, names, _MOST_PAIRS)
    return Picture.of(figure, f"{title}, {len(names)} classes: most frequent mistakes: {words}")


def confused_pairs(counts: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Return places of truth and prediction that are taken for each other most often, the most frequent first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    truth, said = np.nonzero(wrong)
    order = np.argsort(-wrong[truth, said], kind="stable")[:most]
    return [(int(truth[k]), int(said[k])) for k in order]


def _mistakes(counts: np.ndarray, names: Sequence[str], most: int) -> str:
    found = confused_pairs(counts, most)
    listed = (f"{plain(names[t])} taken for {plain(names[p])} ({int(counts[t, p])})" for t, p in found)
    return ", ".join(listed) or "none"


def outcomes(counts: np.ndarray, names: Sequence[str], title: str) -> Picture:
    """
    Show for each class how many of its examples are found and missed, and how often it is said wrongly.

    Parameters
    ----------
    counts
        Shape (classes, 2, 2): truth no and yes by prediction no and yes.
    names
        Class names in that order.
    title
        Heading.
    """
    title, chosen = _worst(counts, title)
    counts, names = counts[chosen], [names[k] for k in chosen]
    figure = new_figure(8.0, 1.2 + 0.28 * len(names))
    axes = figure.subplots()
    places = np.arange(len(names))
    left = np.zeros(len(names))
    parts = ((1, 1, "found", BEST), (1, 0, "missed", VALIDATION), (0, 1, "wrongly said", FAINT))
    for truth, said, word, colour in parts:
        axes.barh(places, counts[:, truth, said], left=left, color=colour, label=word)
        left = left + counts[:, truth, said]
    tidy(axes, title, "examples")
    axes.set_yticks(places, [plain(name, 24) for name in names], parse_math=False)
    axes.invert_yaxis()
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    words = "; ".join(
        f"{plain(name)}: {int(c[1, 1])} found, {int(c[1, 0])} missed, {int(c[0, 1])} wrongly said"
        for name, c in zip(names, counts, strict=True)
    )
    return Picture.of(figure, f"{title}: {words}")


def _worst(counts: np.ndarray, title: str) -> tuple[str, np.ndarray]:
    """Choose the classes that have room in a figure: those with the most mistakes, in their own order."""
    places = np.arange(len(counts))
    if len(counts) <= MOST_CELLS:
        return title, places
    wrong = counts[:, 1, 0] + counts[:, 0, 1]
    chosen = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CELLS])
    return f"{title}: the {MOST_CELLS} of {len(counts)} classes with the most mistakes", chosen


def histogram(values: np.ndarray, title: str, xlabel: str, marks: Mapping[str, float]) -> Picture:
    """
    Show how often numbers occur, on a logarithmic axis where they spread far.

    Parameters
    ----------
    values
        Numbers of at least 0, shape (n,).
    title, xlabel
        Heading and axis title.
    marks
        Vertical lines: what to call them, and where they are.
    """
    figure = new_figure(6.5, 2.6)
    axes = figure.subplots()
    high = max(float(values.max()), 2.0)
    is_wide = high > _WIDE * max(float(np.median(values)), 1.0)
    bins = np.geomspace(max(float(values.min()), 1.0), high, 40) if is_wide else np.linspace(0.0, high, 40)
    axes.hist(values, bins=bins.tolist(), color=TRAIN, alpha=0.8)
    if is_wide:
        axes.set_xscale("log")
    for (word, place), colour in zip(marks.items(), (VALIDATION, BEST, FAINT), strict=False):
        if place <= 2 * high:
            axes.axvline(place, color=colour, linewidth=1.5, label=f"{word}: {place:g}")
            axes.legend(fontsize=8, frameon=False)
    tidy(axes, title, xlabel, "examples")
    quarters = ", ".join(f"{q:g}" for q in np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0]))
    marked = "".join(f"; {word} {place:g}" for word, place in marks.items())
    return Picture.of(figure, f"{title}: smallest, quartiles, largest: {quarters}{marked}")
