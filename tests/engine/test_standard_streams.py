"""What a shell does with the command's streams changes neither its work nor its exit code."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = f"{sys.executable} -m tunebook.cli"


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = f"set -o pipefail; {line}"
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_is_no_error(closed: str, tmp_path: Path) -> None:
    done = shell(f"{COMMAND} runs {closed}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_does_not_get_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    code = (
        "from tunebook.standard_streams import open_standard_streams; open_standard_streams(); "
        "file = open('kept', 'w'); print('printed', flush=True); file.close()"
    )
    assert shell(f'{sys.executable} -c "{code}" >&- 2>&- <&-', tmp_path).returncode == 0
    assert (tmp_path / "kept").read_text() == ""


@pytest.mark.parametrize("to", ["", "2>&1"])
def test_a_reader_that_left_changes_no_exit_code(to: str, tmp_path: Path) -> None:
    code = (
        "import sys; from tunebook.standard_streams import open_standard_streams; open_standard_streams(); "
        "[print(n, file=stream, flush=n % 7 == 0) for n in range(20000) for stream in (sys.stdout, sys.stderr)]; "
        "open('done', 'w').close(); sys.exit(3)"
    )
    done = shell(f'{sys.executable} -c "{code}" {to} | head -1', tmp_path)
    assert done.returncode == 3
    assert done.stdout == "0\n"
    assert "BrokenPipe" not in done.stderr
    assert (tmp_path / "done").exists()


def test_text_keeps_its_encoding(tmp_path: Path) -> None:
    code = "from tunebook.standard_streams import open_standard_streams as o; o(); print('gr\u00fcn')"
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "latin-1"},
    )
    assert done.stdout == b"gr\xfcn\n"
