"""The bias report in a notebook: choose attribute, metric and split, sort, and look at a group's figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunebook.bias_bundle import first_attribute, mime_bundle
from tunebook.figures import plain
from tunebook_widgets.bias_document import LONGEST, document
from tunebook_widgets.front_end import widget_bundle
from tunebook_widgets.surroundings import has_kernel, is_batch

if TYPE_CHECKING:
    from tunebook.bias import BiasReport
    from tunebook_widgets.bias_widget import BiasWidget


class BiasView:
    """
    A bias report to choose from.

    As the last line of a cell it is interactive; the saved notebook holds headline, dot plot and table as PNG, HTML and
    text beside it. In a batch run it holds those alone.

    Parameters
    ----------
    report
        What is shown.
    attribute
        Which attribute comes first; the one with the clearest gap in accuracy when empty.
    metric, split, label
        What of it comes first, as for :meth:`tunebook.bias.BiasReport.table`.

    Raises
    ------
    DataError
        There is no such attribute, metric, split or class.

    Examples
    --------
    >>> BiasView(tuned.report().bias(), "skin_tone", "true_positive_rate", label="pilot")  # doctest: +SKIP
    """

    def __init__(
        self, report: BiasReport, attribute: str = "", metric: str = "accuracy", split: str = "", label: str = ""
    ) -> None:
        self.report = report
        wanted = report.metric(metric, label)
        self.metric, self.label = wanted.name, wanted.label
        self.attribute = attribute or first_attribute(report, split)
        self.split = split or report.splits[0]
        if self.attribute:
            # Refuses here what does not exist, and not when a cell shows it.
            report.comparison(self.attribute, self.split)
        else:
            report.headline(self.split)
        self._widget: BiasWidget | None = None

    def __repr__(self) -> str:
        return self._bundle()["text/plain"]

    def document(self) -> dict[str, Any]:
        """Return all that can be chosen, as plain values, see :func:`tunebook_widgets.bias_document.document`."""
        return document(self.report)

    def _bundle(self) -> dict[str, str]:
        return mime_bundle(self.report, self.attribute, self.metric, self.split, self.label)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ANN401, ARG002
        bundle: dict[str, Any] = dict(self._bundle())
        if self.attribute and has_kernel() and not is_batch():
            bundle.update(widget_bundle(self.widget()))
        return bundle

    def widget(self) -> BiasWidget:
        """Return the widget; call it in a kernel alone."""
        from tunebook_widgets.bias_widget import BiasWidget  # noqa: PLC0415 - imports ipywidgets

        if self._widget is None:
            shown = self.document()
            self._widget = BiasWidget(shown, self._chosen(shown))
        return self._widget

    def _chosen(self, shown: dict[str, Any]) -> dict[str, int]:
        """Return the numbers of what comes first; what there was no room for gives way to the first that there is."""
        report = self.report
        keys = [(metric["name"], metric["label"]) for metric in shown["metrics"]]
        wanted = (self.metric, plain(self.label, LONGEST))
        place = report.attributes.index(self.attribute)
        return {
            "attribute": place if place < len(shown["attributes"]) else 0,
            "split": report.splits.index(self.split),
            "metric": keys.index(wanted) if wanted in keys else 0,
        }

    def close(self) -> None:
        """Take the widget off the page."""
        if self._widget is not None:
            self._widget.close()
            self._widget = None
