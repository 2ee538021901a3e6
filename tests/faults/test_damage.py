"""Weight files that are not as they were written: each is refused by its hash, and none is used."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from kept_features import ADDRESS, Computing, array_of, keys, segments

from tunebook.errors import StorageError
from tunebook.feature_store import FeatureStore

if TYPE_CHECKING:
    import torch

    from tunebook.checkpoints import Checkpoint, Checkpoints

COUNT = 300
_EXAMPLES = 40


def _flip(data: bytearray, rng: random.Random) -> None:
    """Flip a few bits, as a bad cable or memory does."""
    for _ in range(rng.choice([1, 1, 3])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _truncate(data: bytearray, rng: random.Random) -> None:
    """Cut the end off, as a full disk or a broken copy does."""
    del data[rng.randrange(len(data)) :]


def _punch(data: bytearray, rng: random.Random) -> None:
    """Put zeros in place of a block, as a power cut does to what was not on the disk yet."""
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice([1, 64, 512, 4096]))
    data[start:end] = bytes(end - start)


def _grow(data: bytearray, rng: random.Random) -> None:
    """Add something at the end."""
    data += rng.randbytes(rng.randint(1, 100))


def _damage(file: Path, rng: random.Random) -> str:
    """Damage a file so that its bytes do change, and say how."""
    before = file.read_bytes()
    while True:
        how = rng.choice([_flip, _truncate, _punch, _grow])
        data = bytearray(before)
        how(data, rng)
        if bytes(data) != before:
            file.write_bytes(data)
            return f"{how.__name__[1:]} {file.name}"


def _state(seed: int) -> dict[str, torch.Tensor]:
    import torch

    generator = torch.Generator().manual_seed(seed)
    shapes = {"conv.weight": (8, 3, 3, 3), "norm.weight": (8,), "head.weight": (5, 64), "steps": (1,)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def _same(found: Checkpoint, step: int) -> bool:
    wanted = _state(step)
    return found.progress["step"] == step and all(bool((found.model[k] == v).all()) for k, v in wanted.items())


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    from tunebook.checkpoints import Checkpoint, Checkpoints

    made = Checkpoints(tmp_path / "checkpoints")
    for step in (4, 8):
        optimizer = {f"head.weight/{name}": tensor for name, tensor in _state(step + 100).items()}
        made.save(step, Checkpoint(_state(step), optimizer, {"step": step, "history": [{"loss": 0.5}]}))
    made.save_best(_state(2), {"best": {"epoch": 1}})
    return made


def test_damaged_checkpoints_and_features_are_never_used(checkpoints: Checkpoints, tmp_path: Path) -> None:
    rng = random.Random(300)  # noqa: S311
    whole = tmp_path / "whole"
    shutil.copytree(checkpoints.folder, whole)
    refused, computed_again, used = 0, 0, []
    for number in range(COUNT // 2):
        shutil.rmtree(checkpoints.folder)
        shutil.copytree(whole, checkpoints.folder)
        best = number % 3 == 0
        folder = checkpoints.folder / ("best" if best else "step-000000008")
        # The manifest is the list of hashes: what it says without them is no matter.
        files = sorted(file for file in folder.iterdir() if file.name != "manifest.json")
        what = _damage(rng.choice(files), rng)
        try:
            if best:
                checkpoints.load_best()
                used.append(what)
                continue
            found = checkpoints.latest()
        except StorageError as error:
            assert best
            assert str(folder) in str(error)
        else:
            assert found is not None
            # The one before is the way back.
            if not _same(found[0], 4):
                used.append(what)
            assert len(found[1]) == 1
            assert str(folder) in found[1][0]
        refused += 1

    names = keys(_EXAMPLES)
    kept = tmp_path / "kept"
    store = FeatureStore(kept, limit=10**9)
    store.fill([store.table(ADDRESS)], names, Computing(names))
    for number in range(COUNT - COUNT // 2):
        copy = tmp_path / f"features-{number}"
        shutil.copytree(kept, copy)
        store = FeatureStore(copy, limit=10**9)
        table = store.table(ADDRESS)
        what = _damage(rng.choice(sorted(segments(table)[0].iterdir())), rng)
        (rows,), filled = store.load([table], names, Computing(names))
        with rows:
            arrays = rows.take(range(_EXAMPLES))
        if not all(np.array_equal(a, array_of(name)) for a, name in zip(arrays, names, strict=True)):
            used.append(what)
        # A blank in the head, more or less, changes nothing that is said there.
        computed_again += filled.computed == _EXAMPLES and len(table.problems) == 1
        if not filled.computed:
            assert what.endswith("head.json"), what
            refused += 1
        shutil.rmtree(copy)
    done = refused + computed_again
    print(f"{done} of {COUNT} damaged files refused, {computed_again} of them computed again, {len(used)} used")
    assert not used
    assert done == COUNT


def test_damaged_manifests_are_refused_or_say_the_same(checkpoints: Checkpoints) -> None:
    rng = random.Random(8)  # noqa: S311
    manifest = checkpoints.folder / "step-000000008" / "manifest.json"
    before = manifest.read_bytes()
    older = 0
    for _ in range(100):
        manifest.write_bytes(before)
        _damage(manifest, rng)
        found = checkpoints.latest()
        assert found is not None
        if found[1]:
            older += 1
            assert _same(found[0], 4)
        else:  # what was changed is no hash and no name
            assert _same(found[0], 8)
    print(f"{older} of 100 damaged manifests refused, the others list the same hashes")
    assert older > 50


def test_of_damaged_checkpoints_alone_none_is_used(checkpoints: Checkpoints) -> None:
    for step in checkpoints.steps():
        (step / "optimizer.safetensors").unlink()
    with pytest.raises(StorageError, match=r"no checkpoint is whole: .*step-000000008.*is missing; start a new run"):
        checkpoints.latest()
