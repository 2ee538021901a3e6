"""The checks of pictures: files that cannot be read, pictures that are there twice, and too few or too small ones."""

from __future__ import annotations

import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tunebook.duplicates import close_codes, find_duplicates
from tunebook.errors import shown
from tunebook.findings import Finding, Findings, few_examples, imbalance
from tunebook.tasks.image_classification.decoding import decode_bytes, is_other_profile
from tunebook.tasks.image_classification.files import RefusedError, read_bytes
from tunebook.tasks.image_classification.grey import scales_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunebook.examples import Examples
    from tunebook.recipe import Recipe

_MAX_THREADS = 8
_CASES_SHOWN = 3

#: What may be odd of a picture that is read -> the kind of the remark, and what it says.
_REMARKS = {
    "frames": ("several frames", "have further frames or pages, of which the first is read"),
    "gaps": ("no data", "have values that are no number, infinite or stand for no data; they are read as black"),
    "cut": ("16-bit colours", "have colours of 16 bits, of which the upper 8 are read"),
    "blank": ("one colour", "show nothing but one colour, once what is transparent lies on white"),
    "profile": ("colour profile", "have colours of another profile than sRGB, which is not applied"),
}

_SIDE = 16
_DRAFT_SIDE = 4 * _SIDE

# Measured with 16 x 16 thumbnails of 2,062 photographs of hands (100 px) and 300 drawings in garish
# colours (128 px): a JPEG of quality 60, one of 70 % of the size or 5 % brighter stays below a mean
# of 2.0, a block of 11 (99 % of them below 9.1) and above a correlation of 0.995; the two most
# alike of different photographs have a mean of 5.3, a block of 18 and a correlation of 0.98. In
# pictures below 48 px, a JPEG of low quality changes more than this and is not found.
#: Largest mean absolute difference of two near duplicates, in levels of 255, once their light is evened out.
MAX_MEAN = 3.0
#: Largest difference of any eighth by eighth of the picture, in any colour: what tells two skin colours apart.
MAX_BLOCK = 10.0
#: Smallest correlation of the thumbnails, so that pictures of little contrast must agree all the better.
MIN_CORRELATION = 0.985
#: Largest change of light, as a factor.
MAX_GAIN = 1.06
#: Smallest standard deviation of a thumbnail, in levels of 255, that leaves something to compare.
MIN_CONTRAST = 2.0


def check_pictures(examples: Examples, recipe: Recipe, *, max_megapixels: float = 50.0) -> Findings:
    """
    Look at every picture once and say what is wrong with them.

    Parameters
    ----------
    examples
        Their ``content`` is the path of a file.
    recipe
        Gives ``min_per_class`` and, if it has one, ``image_size``.
    max_megapixels
        Pictures with more are refused by what their header says, without decoding them.

    Returns
    -------
    Findings
        What cannot be read or is too large, what is there twice, and then, of what is left
        without those, the classes with too few examples, imbalance and small pictures.
    """
    looks = _look_at_all(examples.frame["content"].tolist(), scales_of(examples), max_megapixels * 1e6)
    found = [
        *_refused(examples, looks, "unreadable", "cannot be read as a picture"),
        *_refused(examples, looks, "too large", f"are above {max_megapixels:g} megapixels or 200 MB"),
        *find_duplicates(examples, [look.key for look in looks], _near_pairs(looks)),
    ]
    left = examples.without(i for f in found for i in f.drop)
    few = few_examples(left, recipe.min_per_class)
    left = left.without((i for f in few for i in f.drop), (c for f in few for c in f.drop_classes))
    size, ids = int(getattr(recipe, "image_size", 0) or 0), set(left.frame["id"])
    remarks = (*_small(examples, ids, looks, size), *_odd(examples, ids, looks))
    return Findings(examples, (*found, *few, *imbalance(left), *remarks))


# One file.


@dataclass(frozen=True)
class _Look:
    """What one look at a file tells: either a kind of problem with the reason, or the rest."""

    problem: str = ""
    reason: str = ""
    key: str | None = None
    shorter: int = 0
    thumbnail: np.ndarray | None = None
    remarks: frozenset[str] = frozenset()


def _look_at_all(contents: Sequence[object], scales: Mapping[str, Sequence[float]], max_pixels: float) -> list[_Look]:
    threads = min(os.cpu_count() or 1, _MAX_THREADS)
    # Pillow warns of large or odd files, which are judged here. The filters belong to the whole
    # process, so they are set once around all threads and not by each of them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ThreadPoolExecutor(threads, thread_name_prefix="check") as pool:
            return list(pool.map(partial(_look_at, scales=scales, max_pixels=max_pixels), contents))


def _look_at(content: object, scales: Mapping[str, Sequence[float]], max_pixels: float) -> _Look:
    try:
        raw = read_bytes(content)
        # No larger than needed to make a thumbnail of it.
        found = decode_bytes(raw, str(content), scales, max_pixels=max_pixels, draft=_DRAFT_SIDE)
    except RefusedError as refused:
        return _Look(refused.problem, refused.reason)
    # Of Pillow's filters, this one changes least when a picture is resized.
    small = np.asarray(found.image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    odd = {
        "frames": found.frames,
        "gaps": found.gaps,
        "cut": found.cut,
        "blank": _is_even(found.image, small),
        "profile": is_other_profile(found.profile),
    }
    remarks = frozenset(name for name, hit in odd.items() if hit)
    return _Look("", "", hashlib.sha256(raw).hexdigest(), min(found.size), small, remarks)


def _is_even(image: Image.Image, small: np.ndarray) -> bool:
    """Whether a picture is of one colour; its thumbnail spares most of them the longer look."""
    if small.min(axis=(0, 1)).tolist() != small.max(axis=(0, 1)).tolist():
        return False
    bands: Any = image.getextrema()
    return all(least == most for least, most in bands)


# Findings.


def _refused(examples: Examples, looks: Sequence[_Look], problem: str, text: str) -> list[Finding]:
    rows = [row for row, look in enumerate(looks) if look.problem == problem]
    if not rows:
        return []
    ids = tuple(examples.frame["id"].iloc[rows])
    named = ", ".join(f"{shown(i)} ({looks[row].reason})" for i, row in zip(ids, rows[:_CASES_SHOWN], strict=False))
    return [Finding(problem, f"{len(rows)} of {len(looks)} pictures {text}: {named}", ids, ids)]


def _small(examples: Examples, left: set[str], looks: Sequence[_Look], image_size: int) -> list[Finding]:
    everyone = examples.frame["id"].tolist()
    rows = [row for row, look in enumerate(looks) if 2 * look.shorter < image_size and everyone[row] in left]
    if not rows:
        return []
    ids = tuple(everyone[row] for row in rows)
    smallest = min(rows, key=lambda row: looks[row].shorter)
    text = (
        f"{len(rows)} of {len(left)} pictures are blown up more than twice to image_size={image_size}; the smallest, "
        f"{shown(everyone[smallest])}, has {looks[smallest].shorter} pixels"
    )
    return [Finding("small pictures", text, ids)]


def _odd(examples: Examples, left: set[str], looks: Sequence[_Look]) -> list[Finding]:
    """Remark on what is read, and perhaps not as its owner thinks."""
    found, everyone = [], examples.frame["id"].tolist()
    for name, (kind, text) in _REMARKS.items():
        ids = tuple(i for i, look in zip(everyone, looks, strict=True) if name in look.remarks and i in left)
        if ids:
            named = ", ".join(map(shown, ids[:_CASES_SHOWN]))
            more = f" and {len(ids) - _CASES_SHOWN} more" if len(ids) > _CASES_SHOWN else ""
            found.append(Finding(kind, f"{len(ids)} of {len(left)} pictures {text}: {named}{more}", ids))
    return found


# Near duplicates.


def _near_pairs(looks: Sequence[_Look]) -> np.ndarray:
    """Return pairs of rows with nearly the same picture, shape (pairs, 2); of equal files the first stands for all."""
    firsts: dict[str, int] = {}
    for row, look in enumerate(looks):
        if look.key is not None:
            firsts.setdefault(look.key, row)
    rows = np.array(list(firsts.values()), dtype=np.int64)
    if not len(rows):
        return np.empty((0, 2), np.int64)
    thumbnails = np.stack([t for row in rows if (t := looks[row].thumbnail) is not None])
    light = thumbnails @ np.array([0.299, 0.587, 0.114], np.float32)
    worth = np.flatnonzero(light.std(axis=(1, 2)) >= MIN_CONTRAST)
    rows, thumbnails, light = rows[worth], thumbnails[worth], light[worth]
    pairs = close_codes(_codes(light), light.mean(axis=(1, 2)))
    # In pieces that fit a processor's cache.
    pieces = [pairs[i : i + 256] for i in range(0, len(pairs), 256)]
    near = [piece[_same_picture(thumbnails[piece[:, 0]], thumbnails[piece[:, 1]])] for piece in pieces]
    found: np.ndarray = rows[np.concatenate([np.empty((0, 2), np.int64), *near])]
    return found


def _codes(light: np.ndarray) -> np.ndarray:
    """
    Make 64-bit codes that are close for nearly the same pictures.

    Each bit says whether one of the 64 lowest frequencies of the cosine transform is clearly
    positive. The usual hash compares neighbouring pixels instead, and on the even ground of a
    drawing its bits fall by chance.

    Parameters
    ----------
    light
        Shape (n, 16, 16): the thumbnails in grey.

    Returns
    -------
    numpy.ndarray
        Shape (n,), uint64.
    """
    steps = np.arange(_SIDE)
    basis = np.cos(np.pi / _SIDE * np.outer(steps, steps + 0.5)).astype(np.float32)
    waves = basis @ light @ basis.T
    down, across = np.divmod(np.arange(_SIDE**2), _SIDE)
    lowest = np.lexsort((down, down + across))[1:65]
    waves = waves.reshape(-1, _SIDE**2)[:, lowest]
    bits = waves > 0.2 * np.abs(waves).mean(axis=1, keepdims=True)
    # Each band gets low and high frequencies: the low ones alone are alike in too many pictures.
    spread = bits.reshape(-1, 16, 4).swapaxes(1, 2).reshape(-1, 64)
    return np.packbits(spread, axis=1).view(np.uint64)[:, 0]


def _same_picture(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Tell which pairs of thumbnails, each of shape (n, 16, 16, 3), show the same picture; shape (n,), bool."""
    a, b = first.astype(np.float32), second.astype(np.float32)
    gain = _gain(a, b)[:, None, None, None]
    # Brighten the darker one, as a bright ground is cut off at 255.
    rest = np.minimum(a * np.maximum(gain, 1.0), 255.0) - np.minimum(b * np.maximum(1.0 / gain, 1.0), 255.0)
    blocks = rest.reshape(-1, _SIDE // 2, 2, _SIDE // 2, 2, 3).mean(axis=(2, 4))
    close = (np.abs(rest).mean(axis=(1, 2, 3)) <= MAX_MEAN) & (np.abs(blocks).max(axis=(1, 2, 3)) <= MAX_BLOCK)
    same: np.ndarray = close & (_correlation(a, b) >= MIN_CORRELATION)
    return same


def _gain(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return by which factor ``b`` is brighter than ``a``, where neither is nearly white and so may be cut off."""
    usable = np.maximum(a, b) < 240.0  # noqa: PLR2004
    total_a, total_b = ((x * usable).sum(axis=(1, 2, 3)) + 1.0 for x in (a, b))
    gain: np.ndarray = np.clip(total_b / total_a, 1.0 / MAX_GAIN, MAX_GAIN)
    return gain


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = ((x - x.mean(axis=(1, 2, 3), keepdims=True)).reshape(len(x), -1) for x in (a, b))
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    found: np.ndarray = np.einsum("ij,ij->i", a, b) / np.maximum(size, 1e-6)
    return found
