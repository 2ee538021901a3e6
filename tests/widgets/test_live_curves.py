"""LiveCurves: which runs it finds, what it gives, and what a cell shows of it with and without a front end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tunebook.errors import StorageError, TunebookError
from tunebook.events import EventLog
from tunebook_widgets.broadcast import Broadcast
from tunebook_widgets.live_curves import LiveCurves

sys.path.insert(0, str(Path(__file__).parent))
import curves_run

if TYPE_CHECKING:
    from tunebook.runs import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return curves_run.write_run(tmp_path / "runs")


def test_a_run_is_found_by_itself_its_path_and_its_name(run: Run) -> None:
    for given in (run, run.path, str(run.path)):
        assert list(LiveCurves(given).series()) == ["one"]
    assert list(LiveCurves("one", runs_dir=run.path.parent).series()) == ["one"]


def test_all_points_are_given_with_their_times(run: Run) -> None:
    points = LiveCurves(run).series()["one"]["train/loss"]
    assert points.shape == (30, 3)
    assert np.array_equal(points[:, 0], np.arange(1, 31))
    assert (points[:, 2] > 1e9).all()


def test_runs_of_one_name_are_told_apart(run: Run, tmp_path: Path) -> None:
    other = curves_run.write_run(tmp_path / "old")
    assert list(LiveCurves([run, other]).series()) == ["runs/one", "old/one"]
    assert len(LiveCurves([run, run]).series()) == 2


def test_any_folder_with_event_files_will_do(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.scalars({"a": 1.0}, 1)
    log.close()
    curves = LiveCurves(tmp_path)
    assert list(curves.series()[tmp_path.name]) == ["a"]
    assert curves.is_live


@pytest.mark.parametrize("given", ["nothing", [], ["one"] * 25])
def test_what_is_no_run_is_refused_in_one_line(run: Run, given: Any) -> None:
    with pytest.raises(StorageError) as caught:
        LiveCurves(given, runs_dir=run.path.parent)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no run and no event files"):
        LiveCurves(tmp_path)


def test_new_points_are_found(run: Run) -> None:
    curves = LiveCurves(run)
    assert curves.poll() is False
    log = EventLog(run.path)
    log.scalars({"train/loss": 0.5}, 31)
    log.close()
    assert curves.poll() is True
    assert len(curves.series()["one"]["train/loss"]) == 31
    assert not curves.is_live


def test_without_a_front_end_a_cell_shows_a_picture_and_a_text(run: Run) -> None:
    code = (
        "import sys, base64\n"
        "from tunebook_widgets import LiveCurves\n"
        f"curves = LiveCurves({str(run.path)!r})\n"
        "bundle = curves._repr_mimebundle_()\n"
        "assert set(bundle) == {'image/png', 'text/plain'}, bundle.keys()\n"
        "assert base64.b64decode(bundle['image/png']).startswith(b'\\x89PNG')\n"
        "assert repr(curves) == bundle['text/plain']\n"
        "heavy = {'ipywidgets', 'anywidget', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


class _Messages:
    """Stands in for a source of news: some looks find something, one cannot read."""

    def __init__(self, looks: list[bool | None]) -> None:
        self.looks, self.sent = looks, list[Any]()

    def look(self) -> bool:
        found = self.looks.pop(0)
        if found is None:
            raise TunebookError("a file that is being written")
        return found

    def tell(self) -> tuple[dict[str, Any], list[bytes]]:
        return {"left": len(self.looks)}, []

    def send(self, header: dict[str, Any], _: list[bytes]) -> None:
        self.sent.append(header["left"])


def test_a_broadcast_tells_news_and_ends_after_the_last_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunebook_widgets.broadcast._SHORTEST", 0.0)
    messages = _Messages([True, False, None, True])
    broadcast = Broadcast(messages.look, messages.tell, lambda: len(messages.looks) > 1, messages.send)

    async def follow() -> None:
        broadcast.start()
        broadcast.start()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
        assert not broadcast.is_running

    asyncio.run(follow())
    assert messages.sent == [3, 0]


def test_a_broadcast_outside_a_loop_waits_for_one_and_can_be_stopped() -> None:
    messages = _Messages([True] * 100)
    broadcast = Broadcast(messages.look, messages.tell, lambda: True, messages.send)
    broadcast.start()
    assert not broadcast.is_running

    async def follow() -> None:
        broadcast.start()
        await asyncio.sleep(0.05)
        broadcast.stop()
        await asyncio.sleep(0)
        assert not broadcast.is_running

    asyncio.run(follow())
    assert messages.sent == [99]
