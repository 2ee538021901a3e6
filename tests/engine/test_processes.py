"""Two processes train as one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL_RUN = Path(__file__).parents[1] / "faults"
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {faults!r})
import small_run
changes = dict(
    run=sys.argv[1], batch_size=14, unfreeze=[], epochs=2, augment="none", mixup=0.0, dropout=None, sampler="none",
    stochastic_depth=None, class_weights={{"blue": 0.2, "green": 3.0}}, label_smoothing=0.1, precision="fp32",
)
small_run.train(Path("data"), Path("runs"), **changes)
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_processes_give_the_losses_of_one(tmp_path: Path) -> None:
    sys.path.insert(0, str(SMALL_RUN))
    import small_run

    small_run.make_pictures(tmp_path / "data")
    (tmp_path / "script.py").write_text(SCRIPT.format(faults=str(SMALL_RUN)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # A port of 0 lets the system choose one, so that two test runs on a machine do not meet.
    launch = ["-m", "torch.distributed.run", "--nproc_per_node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    for command in (["script.py", "one"], [*launch, "script.py", "two"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
    losses = [
        [row["running_loss"] for row in json.loads((tmp_path / "runs" / name / "metrics.json").read_text())["history"]]
        for name in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
