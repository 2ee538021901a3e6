"""BiasView: what a cell keeps of it, with and without a front end, and what it refuses."""

from __future__ import annotations

import base64
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tunebook.errors import DataError
from tunebook_widgets import bias_view
from tunebook_widgets.bias_view import BiasView

sys.path.insert(0, str(Path(__file__).parent))
from bias_tables import HOSTILE, make_report

if TYPE_CHECKING:
    from tunebook.bias import BiasReport

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def report() -> BiasReport:
    return make_report()


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)


def test_the_saved_output_is_png_table_and_text_that_say_the_same(report: BiasReport) -> None:
    bundle = BiasView(report)._repr_mimebundle_()
    assert set(bundle) == {"image/png", "text/html", "text/plain"}
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert report.headline() in bundle["text/plain"]
    table = report.table("tone", "accuracy")
    for group in table.index:
        assert f"{table.loc[group, 'tuned']:.2f}" in bundle["text/plain"]
        assert f">{table.loc[group, 'tuned']:.2f}</td>" in bundle["text/html"]
    assert _Tags(bundle["text/html"]).tags.count("tr") == 1 + len(table)


def test_the_clearest_attribute_comes_first_and_another_one_when_asked(report: BiasReport) -> None:
    assert BiasView(report).attribute == "tone"
    view = BiasView(report, "gender", "recall", "validation")
    assert view._chosen(view.document()) == {
        "attribute": 1, "split": 1,
        "metric": next(k for k, m in enumerate(view.document()["metrics"]) if m["name"] == "true_positive_rate"),
    }  # fmt: skip
    assert "True positive rate, yes by gender, validation set" in repr(view)


@pytest.mark.parametrize(
    "wrong", [{"attribute": "tune"}, {"metric": "acuracy"}, {"split": "trian"}, {"label": "maybe"}]
)
def test_what_is_not_there_is_refused_in_one_line(report: BiasReport, wrong: dict[str, str]) -> None:
    given = {"metric": "recall", **wrong}
    with pytest.raises(DataError) as caught:
        BiasView(report, **given)
    assert next(iter(wrong.values())) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_groups_that_are_too_small_are_marked(report: BiasReport) -> None:
    text = repr(BiasView(report, "gender"))
    assert "[other]" in text
    assert "[female]" not in text


def test_hostile_names_are_text() -> None:
    bundle = make_report(300, worse=HOSTILE)._repr_mimebundle_()
    assert HOSTILE in bundle["text/plain"]
    assert "&lt;img src=x" in bundle["text/html"]
    assert _Tags(bundle["text/html"]).tags.count("img") == 1  # the plot


def test_without_attributes_there_are_words_and_no_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bias_view, "has_kernel", lambda: True)
    bundle = BiasView(make_report(60, sensitive=False))._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert "No sensitive attribute" in bundle["text/plain"]


def test_a_kernel_gets_the_widget_beside_them_and_a_batch_does_not(
    report: BiasReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bias_view, "has_kernel", lambda: True)
    made: list[Any] = []
    monkeypatch.setattr(BiasView, "widget", lambda view: made.append(view))  # noqa: PLW0108 - a builtin is no method
    monkeypatch.setattr(bias_view, "widget_bundle", lambda _: {WIDGET: {"model_id": "m"}})
    monkeypatch.delenv("TUNEBOOK_BATCH", raising=False)
    assert set(BiasView(report)._repr_mimebundle_()) == {WIDGET, "image/png", "text/html", "text/plain"}
    monkeypatch.setenv("TUNEBOOK_BATCH", "1")
    assert WIDGET not in BiasView(report)._repr_mimebundle_()
    assert len(made) == 1


def test_the_facade_imports_no_widgets_until_one_is_shown() -> None:
    code = "import sys, tunebook_widgets.bias_view; assert not {'ipywidgets', 'anywidget'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
