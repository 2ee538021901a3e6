"""Weights of a model: read without running anything in the file, and told apart by a fingerprint."""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from typing import TYPE_CHECKING

import torch

from tunebook.checkpoints import load_tensors
from tunebook.errors import ModelError, StorageError, shown
from tunebook.opening import is_file

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn


def read_weights(file: Path) -> dict[str, Tensor]:
    """
    Read a checkpoint without running anything in it.

    Raises
    ------
    ModelError
        The file is missing, damaged, holds pickled objects, or holds no tensors.
    """
    if not is_file(file):
        raise ModelError(f"weights {shown(file)}: no such file; give a .safetensors or .pth file")
    if file.suffix == ".safetensors":
        try:
            return load_tensors(file)
        except StorageError as error:
            raise ModelError(f"weights: {error}; fetch or save the file again") from None
    _require_stored(file)
    try:
        with warnings.catch_warnings():
            # torch warns of other pickle protocols; what it cannot read without running it, it refuses anyway.
            warnings.simplefilter("ignore")
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        what = "holds pickled objects or is damaged, and is not opened"
        msg = f"weights {shown(file)} {what}; save it as .safetensors"
        raise ModelError(msg) from None
    except Exception as error:  # noqa: BLE001 - what follows a hostile file's orders may end in anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"weights {shown(file)} cannot be read: {reason[:160]}; fetch or save it again") from None
    for key in ("state_dict", "model", "state_dict_ema"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not all(isinstance(v, torch.Tensor) for v in loaded.values()) or not loaded:
        raise ModelError(f"weights {shown(file)} holds no plain table of tensors; save the model's state_dict()")
    return {str(k).removeprefix("module."): v for k, v in loaded.items()}


def _require_stored(file: Path) -> None:
    """Refuse an archive with compressed parts: torch writes none, and a small one may unpack to more than there is."""
    try:
        with zipfile.ZipFile(file) as archive:
            packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, UnicodeError):
        return  # no archive, which torch reads or refuses
    if packed:
        what = f"is an archive that holds {shown(packed[0])} compressed, which is not unpacked"
        raise ModelError(f"weights {shown(file)} {what}; save it as .safetensors")


def fingerprint(module: nn.Module) -> str:
    """Return a SHA-256 over the names, shapes and bytes of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
