"""Pictures of a Hugging Face dataset as a table."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tunebook.errors import DataError, did_you_mean, shown
from tunebook.sources import from_splits
from tunebook.storage import cache_folder, replacing

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from tunebook.tasks.image_classification.recipe import ImageClassification


def to_table(name: str, data: Any, recipe: ImageClassification) -> pd.DataFrame:  # noqa: ANN401
    """
    Write the pictures of a dataset to the cache folder once, and list them.

    Parameters
    ----------
    name
        Id of the dataset.
    data
        What ``datasets.load_dataset`` gave: a mapping of split to dataset.
    recipe
        Its ``path`` names the column of pictures, ``label`` that of classes.

    Returns
    -------
    pandas.DataFrame
        As from :func:`tunebook.sources.from_splits`, with file names in the column ``recipe.path``.

    Raises
    ------
    DataError
        There is no column of pictures.
    """
    from datasets import Image  # noqa: PLC0415

    folder = cache_folder() / "hub" / hashlib.sha256(name.encode()).hexdigest()[:16]

    def content(part: Any) -> dict[str, Any]:  # noqa: ANN401
        images = [c for c, kind in part.features.items() if isinstance(kind, Image)]
        column = recipe.path if recipe.path in part.features else (images[0] if images else "")
        if not column or column not in images:
            have, hint = ", ".join(part.features), did_you_mean(recipe.path, part.features)
            msg = f"data {shown(name)}: no column of pictures{hint}; it has {have}; set path to the column's name"
            raise DataError(msg)
        raw = part.cast_column(column, Image(decode=False))[column]
        return {recipe.path: [_keep(entry, folder) for entry in raw]}

    return from_splits(name, data, recipe, content)


def _keep(entry: object, folder: Path) -> str:
    """
    Return the path of a picture; its bytes go to a file named by their hash.

    A cell that holds no picture gives an empty path, which the checks find and name.
    """
    held = entry if isinstance(entry, dict) else {}
    raw, place = held.get("bytes"), held.get("path")
    if not isinstance(raw, bytes) or not raw:
        return place if isinstance(place, str) else ""
    path = folder / f"{hashlib.sha256(raw).hexdigest()[:32]}.img"
    if not path.exists():
        with replacing(path, durable=False) as temporary:
            temporary.write_bytes(raw)
    return str(path)


def keep_bytes(raw: bytes) -> str:
    """Write a picture that a table holds to the cache folder, once, and return the path of the file."""
    return _keep({"bytes": raw}, cache_folder() / "hub" / "tables")
