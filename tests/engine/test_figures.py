"""Figures and the card: hostile names do no harm."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from PIL import Image

from tunebook import figures
from tunebook.card import escape, table

HOSTILE = ["$x^2", "<script>alert(1)</script>", "a|b`c", "名前\n二", "\x1b[31mred", "[link](javascript:1)"]


def test_a_picture_is_png_and_text() -> None:
    picture = figures.grid([Image.new("RGB", (20, 20))] * len(HOSTILE), HOSTILE, "Names")
    bundle = picture._repr_mimebundle_()
    assert set(bundle) == {"image/png", "text/plain"}
    assert picture.png.startswith(b"\x89PNG")
    assert "\x1b" not in bundle["text/plain"]
    assert "\n" not in bundle["text/plain"]


def test_a_confusion_matrix_names_its_worst_mistakes() -> None:
    counts = np.diag([5] * len(HOSTILE))
    counts[0, 2] = 3
    assert "$x^2 taken for a|b`c (3)" in figures.matrix(counts, HOSTILE, "Confusion").text


def test_mistakes_of_many_classes_are_a_list_of_pairs() -> None:
    names = [f"$species {k}" for k in range(320)]
    counts = np.diag([5] * 320)
    counts[7, 9], counts[319, 0] = 4, 2
    picture = figures.matrix(counts, names, "Confusion")
    assert "$species 7 taken for $species 9 (4), $species 319 taken for $species 0 (2)" in picture.text
    with Image.open(io.BytesIO(picture.png)) as shown:
        assert shown.height < 1000
    assert figures.matrix(np.diag([5] * 320), names, "Confusion").text.endswith("none")


def test_outcomes_of_many_classes_are_those_with_the_most_mistakes() -> None:
    counts = np.tile([[9, 0], [0, 1]], (300, 1, 1))
    counts[123] = [[5, 2], [3, 0]]
    picture = figures.outcomes(counts, [f"c{k}" for k in range(300)], "Right and wrong")
    assert "40 of 300 classes" in picture.text
    assert "c123: 0 found, 3 missed, 2 wrongly said" in picture.text
    with Image.open(io.BytesIO(picture.png)) as shown:
        assert shown.height < 1600


def test_an_empty_grid_says_so() -> None:
    assert "nothing to show" in figures.grid([], [], "Mistakes").text


def test_names_in_a_card_are_no_markup() -> None:
    assert escape("<script>") == "&lt;script&gt;"
    assert escape("a|b\n# c") == r"a\|b \# c"
    text = table(pd.DataFrame({"x": [0.5, float("nan")]}, index=HOSTILE[1:3]), "name")
    assert "<script>" not in text
    assert len(text.splitlines()) == 4
    assert "| 0.500 |" in text
