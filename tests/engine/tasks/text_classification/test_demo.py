"""The demo's reviews: of both sources, no text in two splits, the same for the same seed."""

from __future__ import annotations

import pytest

import tunebook
from tunebook.tasks.text_classification.demo import GENDER, SIZES, gendered_words


@pytest.mark.parametrize("seed", [0, 1])
def test_the_sample_is_as_declared(seed: int) -> None:
    recipe = tunebook.TextClassification(seed=seed)
    examples = tunebook.load_examples(recipe)
    for split, sizes in SIZES.items():
        rows = examples.frame[examples.frame["split"] == split]
        assert rows["source"].value_counts().to_dict() == {k.replace("_", " "): v for k, v in sizes.items()}
        assert rows.groupby("source")["label"].value_counts(normalize=True).round(6).eq(0.5).all()
    assert examples.frame["content"].is_unique
    assert examples.frame["id"].is_unique
    assert examples.sensitive == ("source", GENDER)
    assert any("derived" in note for note in examples.notes)
    assert tunebook.load_examples(recipe).fingerprint() == examples.fingerprint()
    assert tunebook.load_examples(recipe.changed(seed=seed + 5)).fingerprint() != examples.fingerprint()


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("She plays the heroine and he is in it", "of women"),
        ("The hero's father", "of men"),
        ("he and she", "as many of both"),
        ("the theme is there; hers", "of women"),
        ("a film", "none"),
        ("", "none"),
    ],
)
def test_gendered_words_are_counted_as_whole_words(text: str, group: str) -> None:
    assert gendered_words(text) == group
