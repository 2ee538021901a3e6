"""Pictures as batches: decoded once, cut and normalised as the model expects, augmented a batch at a time."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import PIL
import torch
from PIL import Image
from torch.nn import functional

from tunebook.balance import draw_order
from tunebook.errors import DataError, shown
from tunebook.examples import hash_file
from tunebook.machine import cores, memory_available
from tunebook.picture_kinds import formats_of
from tunebook.tasks.base import Batch
from tunebook.tasks.image_classification import grey, middle
from tunebook.tasks.image_classification.decoding import decode_file
from tunebook.tasks.image_classification.files import RefusedError, require_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from tunebook.examples import Examples
    from tunebook.tasks.base import Model
    from tunebook.tasks.image_classification.recipe import ImageClassification

#: Share of the free memory that decoded pictures may take; beyond it they are decoded at every use.
_MEMORY_SHARE = 0.25
#: Random numbers that the augmentation of a picture takes.
_NEEDED = 13


class Strength(NamedTuple):
    """
    How far augmentation goes.

    Attributes
    ----------
    area
        Smallest share of the picture that a crop keeps.
    aspect
        Largest change of the ratio of width to height, as a factor.
    turn
        Largest turn in radians.
    light
        Largest change of brightness and contrast, as a share.
    erase
        Chance that a rectangle of a picture is blanked.
    """

    area: float
    aspect: float
    turn: float
    light: float
    erase: float


STRENGTHS = {
    "light": Strength(area=0.65, aspect=1.15, turn=0.0, light=0.2, erase=0.0),
    "strong": Strength(area=0.35, aspect=1.33, turn=0.35, light=0.4, erase=0.25),
}


def decode(
    path: str,
    side: int,
    resample: Image.Resampling,
    *,
    size: int | None = None,
    scales: Mapping[str, Sequence[float]] | None = None,
) -> np.ndarray:
    """
    Read a picture, upright, its shorter side brought to ``side`` pixels and the middle square cut out.

    Parameters
    ----------
    path
        Of the file.
    side
        Side of the square in pixels.
    resample
        Filter.
    size
        What of the square the model sees, see :func:`middle.cut_square`; by default all of it.
    scales
        Ranges of grey values of more than eight bits, see :func:`grey.scales_of`; by default those of the picture.

    Returns
    -------
    numpy.ndarray
        Shape (side, side, 3), uint8, RGB; what is transparent lies on white.

    Raises
    ------
    DataError
        The file cannot be read; the checks find it beforehand unless it changed since.
    """
    try:
        image = decode_file(path, scales or {}).image
    except RefusedError as refused:
        msg = f"picture {shown(Path(path))} cannot be read: {refused.reason}; run the checks again, or remove it"
        raise DataError(msg) from None
    return middle.cut_square(image, side, size or side, resample)


def short_side(path: str) -> int:
    """Return the length in pixels of a picture's shorter side; 0 if it cannot be read."""
    try:
        require_file(path)
        with Image.open(path, formats=formats_of(path)) as opened:
            return min(opened.size)
    except Exception:  # noqa: BLE001 - Pillow's formats raise almost anything for a broken file
        return 0


class PictureReader:
    """
    Makes batches of pictures for one model.

    Parameters
    ----------
    examples
        Their ``content`` is the path of a file.
    recipe
        Its ``image_size``, ``augment``, ``mixup``, ``batch_size`` and ``seed``.
    model
        Its ``settings`` say how pictures are prepared.
    """

    def __init__(self, examples: Examples, recipe: ImageClassification, model: Model) -> None:
        self._paths = examples.frame["content"].tolist()
        self._targets = torch.from_numpy(examples.target_shares())
        self._recipe, self._model = recipe, model
        self._strength = STRENGTHS.get(recipe.augment)
        self._keys: dict[int, bytes] = {}
        self._size = recipe.image_size
        self._side = middle.resized_side(self._size, float(model.settings["crop_pct"]))
        self._resample = middle.FILTERS[str(model.settings["interpolation"])]
        self._scales = grey.scales_of(examples)
        self._mean = torch.tensor(model.settings["mean"]).view(1, 3, 1, 1) * 255.0
        self._std = torch.tensor(model.settings["std"]).view(1, 3, 1, 1) * 255.0
        self._store: np.ndarray | None = None
        if len(self._paths) * self._side**2 * 3 <= _MEMORY_SHARE * memory_available():
            self._store = np.empty((len(self._paths), self._side, self._side, 3), np.uint8)
        self._stored = np.zeros(len(self._paths), bool)

    def epoch_batches(self, rows: np.ndarray, weights: np.ndarray | None, epoch: int) -> list[np.ndarray]:
        """Return the rows of each step of an epoch, in order."""
        order = draw_order(rows, weights, np.random.default_rng([self._recipe.seed, 11, epoch]))
        size = self._recipe.batch_size
        return [order[k : k + size] for k in range(0, len(order), size)]

    def training_view(self, epoch: int, *, repeats: bool) -> int | None:
        """Return which view of its pictures an epoch trains on, see :class:`tunebook.tasks.base.Reader`."""
        if self._strength is None:
            return None
        views = self._recipe.views
        return epoch % views if repeats and views else epoch

    def mixes(self) -> bool:
        """Whether mixup blends the pictures of a batch."""
        return self._recipe.mixup > 0.0

    def training_batches(self, rows: np.ndarray, place: tuple[int, int], part: slice, view: int | None) -> list[Batch]:
        """Return the examples ``rows[part]`` of a step as one batch: BatchNorm has to see them together."""
        if not self.mixes():
            return [Batch(self.inputs(rows[part], view), self.targets(rows[part]))]
        rng = np.random.default_rng([self._recipe.seed, 17, *place])
        share = float(rng.beta(self._recipe.mixup, self._recipe.mixup))
        partner = torch.from_numpy(rng.permutation(len(rows)))
        whole, targets = self.inputs(rows, view)["x"], self.targets(rows)
        mixed = share * whole + (1.0 - share) * whole[partner]
        return [Batch({"x": mixed[part]}, (share * targets + (1.0 - share) * targets[partner])[part])]

    def training_groups(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return all of a step: BatchNorm has to see them together."""
        return [rows]

    def evaluation_batches(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return rows in groups that are cheap to run together."""
        return [rows[k : k + 32] for k in range(0, len(rows), 32)]

    def inputs(self, rows: np.ndarray, view: int | None = None) -> dict[str, Tensor]:
        """
        Return pictures as the model sees them: ``x`` of shape (n, 3, size, size), float32, channels last.

        Without a view that is their middle; a view is cut, turned and lit as the seed and the picture's content say.
        """
        if view is not None and self._strength is not None:
            return {"x": self._augmented(rows, self._draws(rows, view, self._strength))}
        edge = middle.margin(self._side, self._size)
        cut = self._pictures(rows)[:, edge : edge + self._size, edge : edge + self._size]
        return {"x": self._normalise(torch.from_numpy(np.ascontiguousarray(cut)).permute(0, 3, 1, 2).float())}

    def outline(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return ``x`` of the right shape, all zero and without memory: nothing is decoded."""
        return {"x": torch.zeros(()).expand(len(rows), 3, self._size, self._size)}

    def lengths(self, rows: np.ndarray) -> np.ndarray | None:  # noqa: ARG002
        """Return that pictures have one shape."""
        return None

    def targets(self, rows: np.ndarray) -> Tensor:
        """Return how much of each class each picture is, shape (n, classes), float32."""
        return self._targets[torch.from_numpy(rows)]

    def keys(self, rows: np.ndarray) -> list[bytes]:
        """
        Return 16 bytes for each picture, of its file's bytes.

        Raises
        ------
        DataError
            A file cannot be read.
        """
        return [self._key(int(row)) for row in rows]

    def _key(self, row: int) -> bytes:
        if row not in self._keys:
            path = Path(self._paths[row])
            try:
                self._keys[row] = bytes.fromhex(hash_file(path))[:16]
            except OSError as error:
                msg = f"picture {shown(Path(path))} cannot be read: {error.strerror or error}; run the checks again"
                raise DataError(msg) from None
        return self._keys[row]

    def transform(self, view: int | None) -> dict[str, Any]:
        """Return what decides a picture's pixels beside its file."""
        how = {
            **self._model.settings, "side": self._side, "pillow": PIL.__version__, "pixels": middle.VERSION,
            "grey": {kind: list(limits) for kind, limits in self._scales.items()},
        }  # fmt: skip
        if view is None or self._strength is None:
            return how
        return {**how, "view": view, "seed": self._recipe.seed, "augment": list(self._strength)}

    def _draws(self, rows: np.ndarray, view: int, strength: Strength) -> _Draws:
        """Draw random numbers that depend on the picture's content, not on its place in the table or the batch."""
        seeds = ([self._recipe.seed, 17, view, int.from_bytes(key[:8], "little")] for key in self.keys(rows))
        return _Draws.make(np.stack([np.random.default_rng(seed).random(_NEEDED) for seed in seeds]), strength)

    def _normalise(self, pictures: Tensor) -> Tensor:
        return pictures.sub_(self._mean).div_(self._std)

    def _pictures(self, rows: np.ndarray) -> np.ndarray:
        """Return decoded pictures, shape (n, side, side, 3), uint8, and keep them if there is room."""
        if self._store is None:
            return np.stack(self._decode([self._paths[r] for r in rows]))
        new = np.unique(rows[~self._stored[rows]])
        if len(new):
            for row, picture in zip(new, self._decode([self._paths[r] for r in new]), strict=True):
                self._store[row] = picture
            self._stored[new] = True
        found: np.ndarray = self._store[rows]
        return found

    def _decode(self, paths: Sequence[str]) -> list[np.ndarray]:
        # The filters of warnings belong to the whole process, so they are set once around all threads.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with ThreadPoolExecutor(cores(), thread_name_prefix="decode") as pool:
                return list(pool.map(self._decode_one, paths))

    def _decode_one(self, path: str) -> np.ndarray:
        return decode(path, self._side, self._resample, size=self._size, scales=self._scales)

    def _augmented(self, rows: np.ndarray, draws: _Draws) -> Tensor:
        pictures = torch.from_numpy(self._pictures(rows)).permute(0, 3, 1, 2).float()
        grid = functional.affine_grid(
            torch.from_numpy(draws.affine), [len(rows), 3, self._size, self._size], align_corners=False
        )
        warped = functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        middle = warped.mean(dim=(1, 2, 3), keepdim=True)
        light, contrast = (torch.from_numpy(v).view(-1, 1, 1, 1) for v in (draws.light, draws.contrast))
        lit = ((warped - middle) * contrast + middle).mul_(light).clamp_(0.0, 255.0)
        for row, (top, left, bottom, right) in enumerate((draws.erased * self._size).astype(int).tolist()):
            lit[row, :, top:bottom, left:right] = self._mean[0]
        return self._normalise(lit).contiguous(memory_format=torch.channels_last)


class _Draws(NamedTuple):
    """The random numbers of a batch: one row a picture."""

    affine: np.ndarray
    light: np.ndarray
    contrast: np.ndarray
    erased: np.ndarray

    @classmethod
    def make(cls, uniform: np.ndarray, strength: Strength) -> _Draws:
        """Turn numbers from 0 to 1, shape (n, 13), into an augmentation of a strength."""

        def between(column: int, low: float, high: float) -> np.ndarray:
            values: np.ndarray = low + (high - low) * uniform[:, column]
            return values

        area = between(0, strength.area, 1.0)
        aspect = np.exp(between(1, -1.0, 1.0) * np.log(strength.aspect))
        wide = np.minimum(np.sqrt(area * aspect), 1.0)
        high = np.minimum(np.sqrt(area / aspect), 1.0)
        across = between(2, -1.0, 1.0) * (1.0 - wide)
        down = between(3, -1.0, 1.0) * (1.0 - high)
        flip = np.where(uniform[:, 4] < 0.5, -1.0, 1.0)  # noqa: PLR2004
        turn = between(5, -strength.turn, strength.turn)
        cos, sin = np.cos(turn), np.sin(turn)
        affine = np.stack(
            [
                np.stack([flip * wide * cos, -high * sin, across], axis=1),
                np.stack([flip * wide * sin, high * cos, down], axis=1),
            ],
            axis=1,
        )
        light = between(6, 1.0 - strength.light, 1.0 + strength.light)
        contrast = between(7, 1.0 - strength.light, 1.0 + strength.light)
        corner = np.stack([between(8, 0.0, 0.8), between(9, 0.0, 0.8)], axis=1)
        edge = np.stack([between(10, 0.15, 0.4), between(11, 0.15, 0.4)], axis=1)
        hit = uniform[:, 12] < strength.erase
        erased = np.where(hit[:, None], np.concatenate([corner, np.minimum(corner + edge, 1.0)], axis=1), 0.0)
        return cls(affine.astype(np.float32), light.astype(np.float32), contrast.astype(np.float32), erased)
