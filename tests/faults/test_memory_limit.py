"""A session with a limit of memory: what would be killed is refused beforehand, in a line that names what would fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.control_group import limited

LIMIT = 2_000_000_000


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": "vit_giant_patch14_224"}, "its weights take 4.0 GB and "),
        (
            {"batch_size": 256, "image_size": 224, "freeze": "none", "unfreeze": []},
            " would fit, or set on_memory='try'",
        ),
    ],
)
def test_what_would_be_killed_is_refused_beforehand(values: dict[str, Any], said: str, tmp_path: Path) -> None:
    given = {"max_examples": 300, "weights": "none", "runs_dir": tmp_path / "runs", **values}
    parameters = [word for name, value in given.items() for word in ("-p", name, str(value))]
    with limited(LIMIT) as group:
        if group is None:
            pytest.skip("this user can make no control group here")
        command = [sys.executable, "-m", "tunebook.cli", "run", "image-classification", *parameters]
        done = subprocess.run(
            ["sh", "-c", f'{group.joining}; exec "$@"', "sh", *command],
            cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert group.kills() == 0
    last = done.stderr.strip().splitlines()[-1]
    print(f"\n{last}")
    assert (done.returncode, said in last) == (1, True), last
