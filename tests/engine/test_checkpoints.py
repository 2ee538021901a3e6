"""Checkpoints come back as they were saved, or not at all: never damaged, never half, never unpickled."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from tunebook import checkpoints as module
from tunebook.checkpoints import Checkpoint, Checkpoints, load_tensors, save_tensors, verify
from tunebook.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def point(value: float) -> Checkpoint:
    shared = torch.full((3, 2), value)
    return Checkpoint(
        {"a": shared, "tied": shared, "bits": torch.tensor([True]), "half": torch.ones(2, dtype=torch.bfloat16)},
        {"a/exp_avg": torch.arange(4.0)[::2], "a/step": torch.tensor(value)},
        {"epoch": 3, "history": [0.5, None], "name": "ü"},
    )


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    for left, right in ((one.model, other.model), (one.optimizer, other.optimizer)):
        assert set(left) == set(right)
        assert all(torch.equal(left[k], right[k]) and left[k].dtype == right[k].dtype for k in left)
    assert one.progress == other.progress


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = Checkpoints(tmp_path / "checkpoints")
    assert saved.latest() is None
    saved.save(7, point(1.0))
    found = saved.latest()
    assert found is not None
    assert_same(found[0], point(1.0))
    assert found[1] == []


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    saved = Checkpoints(tmp_path, keep=2)
    for step in (1, 10, 9, 200):
        saved.save(step, point(step))
    assert [path.name for path in saved.steps()] == ["step-000000010", "step-000000200"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "progress.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove", "empty"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, name: str, damage: str) -> None:
    saved = Checkpoints(tmp_path)
    saved.save(1, point(1.0))
    file = saved.save(2, point(2.0)) / name
    raw = file.read_bytes()
    if damage == "remove":
        file.unlink()
    else:
        flipped = raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:]
        file.write_bytes({"cut": raw[: len(raw) // 2], "flip": flipped, "empty": b""}[damage])
    found = saved.latest()
    assert found is not None
    assert_same(found[0], point(1.0))
    assert len(found[1]) == 1
    assert "step-000000002" in found[1][0]


def test_damage_everywhere_is_refused(tmp_path: Path) -> None:
    saved = Checkpoints(tmp_path)
    (saved.save(1, point(1.0)) / "model.safetensors").write_bytes(b"x")
    with pytest.raises(StorageError, match=r"no checkpoint is whole: .* is damaged; start a new run"):
        saved.latest()


@pytest.mark.parametrize("text", ["[]", "{}", '{"sha256": {}}', '{"sha256": [1]}', '{"sha256": {"../x": "0"}}'])
def test_a_manifest_that_lists_nothing_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "x").touch()
    (tmp_path / "c" / "manifest.json").write_text(text)
    with pytest.raises(StorageError):
        verify(tmp_path / "c")


def test_the_best_is_replaced_whole(tmp_path: Path) -> None:
    saved = Checkpoints(tmp_path)
    assert not saved.has_best()
    with pytest.raises(StorageError):
        saved.load_best()
    for epoch in (0, 1):
        saved.save_best({"a": torch.tensor(epoch)}, {"epoch": epoch})
    assert saved.has_best()
    weights, progress = saved.load_best()
    assert weights["a"].item() == progress["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = Checkpoints(tmp_path)
    saved.save(1, point(1.0))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "save_tensors", full)
    with pytest.raises(StorageError, match="No space left on device"):
        saved.save(2, point(2.0))
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]


KILLED = """
import os, signal, sys
from pathlib import Path
import tunebook.storage as storage
from tunebook.checkpoints import Checkpoint, Checkpoints
import safetensors.torch, torch
folder, at = Path(sys.argv[1]), int(sys.argv[2])
saved = Checkpoints(folder)
saved.save(1, Checkpoint({"a": torch.tensor(1.0)}, {}, {}))
saved.save_best({"a": torch.tensor(1.0)}, {"epoch": 1})
calls = 0
def count(event, arguments):
    global calls
    if event in ("os.mkdir", "os.rename", "os.remove") and str(folder) in str(arguments[0]):
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
saved.save_best({"a": torch.tensor(2.0)}, {"epoch": 2})
saved.save(2, Checkpoint({"a": torch.tensor(2.0)}, {}, {}))
print(calls)
"""


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint_and_best(tmp_path: Path) -> None:
    # One process imports torch and forks a child for each moment, which is killed there.
    script = KILLED.replace("at = Path(sys.argv[1]), int(sys.argv[2])", "at = Path(sys.argv[1]), 0")
    script = script.replace(
        "saved = Checkpoints(folder)\n",
        "for at in range(1, 100):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        folder = folder / str(at)\n"
        "        break\n"
        "    if os.waitpid(child, 0)[1] == 0:\n"
        "        sys.exit(0)\n"
        "saved = Checkpoints(folder)\n",
        1,
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, str(tmp_path)], check=True, timeout=60)
    folders = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    assert 10 < len(folders) < 99, "every moment was tried, and there were some"
    for folder in folders:
        saved = Checkpoints(folder)
        found = saved.latest()
        assert found is not None
        assert found[1] == []
        assert found[0].model["a"].item() in (1.0, 2.0)
        assert saved.has_best(), folder
        weights, progress = saved.load_best()
        assert weights["a"].item() == progress["epoch"]
        saved.save_best({"a": torch.tensor(3.0)}, {"epoch": 3})
        saved.save(3, point(3.0))
        assert not [path.name for path in folder.iterdir() if path.name.startswith(".")], "remains are swept up"
        assert saved.load_best()[1] == {"epoch": 3}


def test_tensors_round_trip_whatever_their_layout(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {"view": base[:, 1], "turned": base.permute(2, 0, 1), "empty": torch.empty(0, 3), "whole": base}
    save_tensors(tensors, tmp_path / "t")
    found = load_tensors(tmp_path / "t")
    assert all(torch.equal(found[k], tensors[k]) for k in tensors)


@pytest.mark.parametrize("raw", [b"", b"\x80\x04.", b"\xff" * 64])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "t").write_bytes(raw)
    with pytest.raises(StorageError, match="is not a readable safetensors file"):
        load_tensors(tmp_path / "t")
