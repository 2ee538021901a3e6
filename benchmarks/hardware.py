"""The machine: what its CPU is, and how fast it multiplies matrices."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunebook.machine import cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.benchmark import Plan

_DISTRIBUTIONS = (
    "tunebook", "torch", "torchvision", "timm", "transformers", "accelerate", "fastai", "lightning", "openvino",
    "onnxruntime", "optuna", "numpy", "pillow", "jupyterlab", "ipykernel", "tensorboard", "tensorboardX", "protobuf",
    "fairlearn", "ipywidgets", "anywidget",
)  # fmt: skip
#: Rows and columns of the matrices, and how often they are multiplied.
_SIDE, _TIMES = 1536, 6


def installed(distribution: str) -> str | None:
    """Return the version of a distribution, or None where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Return the versions of Python and of all that takes part."""
    found = {name: version for name in _DISTRIBUTIONS if (version := installed(name))}
    return {"python": platform.python_version(), **found}


def describe() -> dict[str, Any]:
    """Return the CPU's model, the cores that this process may use, the system, and how busy it was a minute ago."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"cpu": _cpu_model(), "cores": cores(), "system": platform.platform(terse=True), "load": load}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in named.items()}
    numbers = [f"{key} {fields[key]}" for key in ("cpu family", "model") if key in fields]
    return f"{fields.get('model name', platform.machine())} ({', '.join(numbers)})" if numbers else platform.machine()


def measure_rates(plan: Plan, mark: Callable[[], None]) -> dict[str, Any]:  # noqa: ARG001 - as all contestants
    """
    Measure the rate of matrix products.

    Returns
    -------
    dict
        ``bf16`` (whether the CPU computes in it), ``fp32_rate`` and ``bf16_rate``: floating-point operations a
        CPU second, a multiplication and an addition being two; None where there is no bf16.
    """
    import torch

    has_bf16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - torch has no public name for it
    return {
        "bf16": has_bf16,
        "fp32_rate": _rate(torch.float32),
        "bf16_rate": _rate(torch.bfloat16) if has_bf16 else None,
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def _rate(kind: Any) -> float:
    import torch

    left, right = (torch.randn(_SIDE, _SIDE).to(kind) for _ in range(2))
    left @ right
    best = float("inf")
    # The best of several: other work on the machine can only slow a product down.
    for _ in range(_TIMES):
        before = time.process_time()
        left @ right
        best = min(best, time.process_time() - before)
    return 2.0 * _SIDE**3 / best
