"""Checkpoints: safetensors and JSON with a manifest of hashes. Nothing is unpickled."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunebook.errors import StorageError, shown
from tunebook.examples import hash_file
from tunebook.storage import read_json, replacing_folder, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """
    A point from which training can go on.

    Attributes
    ----------
    model
        All parameters and buffers of the model, by name.
    optimizer
        Optimizer state, by ``parameter name/state name``.
    progress
        Everything else, as JSON: where training is, its history, and its live settings.
    """

    model: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    progress: dict[str, Any]


class Checkpoints:
    """
    The checkpoints of one run.

    Parameters
    ----------
    folder
        ``checkpoints/`` of the run directory.
    keep
        How many of the latest to keep; an older one is the way back when the newest is damaged.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def save(self, step: int, checkpoint: Checkpoint) -> Path:
        """
        Write a checkpoint whole or not at all, then remove those that are no longer needed.

        Raises
        ------
        StorageError
            It cannot be written; earlier ones stay.
        """
        path = self.folder / f"step-{step:09d}"
        with replacing_folder(path) as temporary:
            save_tensors(checkpoint.model, temporary / "model.safetensors")
            save_tensors(checkpoint.optimizer, temporary / "optimizer.safetensors")
            write_json(temporary / "progress.json", checkpoint.progress)
            _write_manifest(temporary)
        for old in self.steps()[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)
        self._sweep()
        return path

    def _sweep(self) -> None:
        """Remove what a killed process left half made; only the owner of a run saves, so nobody is at work there."""
        stale = list(self.folder.glob(".*.part"))
        if (self.folder / "best" / MANIFEST).is_file():
            stale += self.folder.glob(".*.old")
        for folder in stale:
            shutil.rmtree(folder, ignore_errors=True)

    def _best(self) -> Path:
        """Return the folder of the best epoch; a process killed between two renames leaves it under another name."""
        path = self.folder / "best"
        moved = [] if path.is_dir() else sorted(self.folder.glob(".best.*.old/best"))
        return moved[-1] if moved else path

    def save_best(self, model: Mapping[str, torch.Tensor], progress: dict[str, Any]) -> None:
        """Write the weights of the best epoch so far, whole or not at all."""
        with replacing_folder(self.folder / "best") as temporary:
            save_tensors(model, temporary / "model.safetensors")
            write_json(temporary / "progress.json", progress)
            _write_manifest(temporary)

    def load_best(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """
        Read the weights of the best epoch.

        Raises
        ------
        StorageError
            They are missing or damaged.
        """
        path = self._best()
        verify(path)
        return load_tensors(path / "model.safetensors"), read_json(path / "progress.json")

    def has_best(self) -> bool:
        """Whether an epoch has been kept as the best."""
        return (self._best() / MANIFEST).is_file()

    def steps(self) -> list[Path]:
        """Return the checkpoint folders from the oldest to the newest."""
        return sorted(self.folder.glob("step-*"))

    def drop_steps(self) -> None:
        """Remove all but the best epoch: nothing goes on from a run that is finished."""
        for step in self.steps():
            shutil.rmtree(step, ignore_errors=True)

    def latest(self) -> tuple[Checkpoint, list[str]] | None:
        """
        Read the newest checkpoint whose hashes are right.

        Returns
        -------
        tuple of Checkpoint and list of str, or None
            The checkpoint and a line for each damaged one passed over; ``None`` where there is none at all.

        Raises
        ------
        StorageError
            There are checkpoints, but every one is damaged.
        """
        words: list[str] = []
        for path in reversed(self.steps()):
            try:
                verify(path)
                model = load_tensors(path / "model.safetensors")
                optimizer = load_tensors(path / "optimizer.safetensors")
                progress = read_json(path / "progress.json")
            except StorageError as error:
                words.append(str(error))
                continue
            return Checkpoint(model, optimizer, progress), words
        if words:
            raise StorageError(f"no checkpoint is whole: {words[0]}; start a new run")
        return None


def _write_manifest(folder: Path) -> None:
    hashes = {file.name: hash_file(file) for file in sorted(folder.iterdir())}
    write_json(folder / MANIFEST, {"sha256": hashes})


def verify(folder: Path) -> None:
    """
    Compare the files of a checkpoint with its manifest.

    Raises
    ------
    StorageError
        A file is missing, its hash is another, or it is not in the manifest.
    """
    manifest = read_json(folder / MANIFEST)
    hashes = manifest.get("sha256") if isinstance(manifest, dict) else None
    if not isinstance(hashes, dict) or not hashes:
        raise StorageError(f"{folder / MANIFEST} lists no files")
    # Hidden files are those of file managers and network file systems.
    unlisted = {file.name for file in folder.iterdir() if not file.name.startswith(".")} - {*hashes, MANIFEST}
    if unlisted:
        raise StorageError(f"{folder / MANIFEST} does not list {shown(min(unlisted))}; it is damaged")
    for name, expected in hashes.items():
        file = folder / name
        if file.parent != folder or not file.is_file():
            raise StorageError(f"{file} is missing")
        if hash_file(file) != expected:
            raise StorageError(f"{file} does not match its recorded SHA-256; it is damaged")


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """
    Write tensors as safetensors.

    Tensors that share memory are written once each: names matter here, memory does not.

    Raises
    ------
    OSError
        The file cannot be written; an error of the disk that the library wraps comes out as one too.
    """
    from safetensors import SafetensorError  # noqa: PLC0415 - needs torch, which is slow to import
    from safetensors.torch import save_file  # noqa: PLC0415

    seen: set[int] = set()
    plain: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        whole = tensor.detach().cpu().contiguous()
        plain[name] = whole.clone() if whole.data_ptr() in seen else whole
        seen.add(whole.data_ptr())
    try:
        # It writes from the tensors' own memory: a copy as bytes would be the largest thing that a run keeps.
        save_file(plain, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise _as_os_error(error) from error


def _as_os_error(error: Exception) -> OSError:
    """Turn the library's error back into that of the system, which it has as ``... (os error 28)``."""
    number = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error))


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """
    Read a safetensors file.

    Raises
    ------
    StorageError
        It is not one.
    """
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise StorageError(f"{path} is not a readable safetensors file: {error}") from None
