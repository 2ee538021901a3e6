"""JupyterLab's page as the tests of the extension use it, and runs to look at."""

from __future__ import annotations

import math
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from tunebook import tasks
from tunebook.events import EventLog
from tunebook.runs import Run
from tunebook.storage import write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Locator, Page

TASK = "image-classification"

#: Names that would do something where a page took them for HTML, a template, a URL or a format; none holds a slash.
PAYLOADS = tuple(
    """
<img src=x onerror=alert(1)>
<svg onload=alert(1)>
<script>alert(1)<-script>
'"><img src=x onerror=alert(1)>
<iframe srcdoc='<script>alert(1)<-script>'>
<body onload=alert(1)>
<details open ontoggle=alert(1)>
<input autofocus onfocus=alert(1)>
<video><source onerror=alert(1)>
<math><mi xlink:href=javascript:alert(1)>x
javascript:alert(1)
data:text&#x2f;html,<b>x
<a href=javascript:alert(1)>x
"onmouseover=alert(1) x="
' onfocus=alert(1) autofocus='
{{constructor.constructor('alert(1)')()}}
${alert(1)}
#{alert(1)}
<%= alert(1) %>
%3Cimg src=x onerror=alert(1)%3E
&lt;img src=x onerror=alert(1)&gt;
&#60;img src=x onerror=alert(1)&#62;
]]><img src=x onerror=alert(1)>
--><img src=x onerror=alert(1)>
<style>@import 'http:evil.example';<-style>
<link rel=stylesheet href=evil.css>
<base href=evil.example>
<meta http-equiv=refresh content=0>
<object data=x>
<embed src=x>
<form><button formaction=javascript:alert(1)>x
<img src=x:x onerror=alert`1`>
<IMG SRC=x ONERROR=alert(1)>
%1 %2 %s {0}
__proto__
constructor
\u540d\u524d \U0001f600
![x](x) [y](javascript:alert(1))
`; alert(1) #`
$^$ $x_$
-rf *
a&b=c#d?e
""".strip().splitlines()
)


def write_run(  # a run has many sides, and each test names those that it is about
    folder: Path,
    name: str,
    *,
    state: str = "finished",
    epochs: int = 3,
    steps: int = 5,
    classes: Sequence[str] = ("cat", "dog", "owl"),
    groups: Sequence[str] = ("skin tone",),
    report: str = "",
    **parameters: Any,
) -> Path:
    """
    Write a run directory as training leaves it.

    Parameters
    ----------
    folder, name
        Where it is.
    state
        How it ended.
    epochs, steps
        Epochs, and steps in each.
    classes, groups
        Names from the data: classes, and attributes by which quality is compared.
    report
        HTML of the bias report; none when empty.
    **parameters
        Parameters of the recipe that are not the defaults.
    """
    run = Run.create(folder, name, TASK)
    recipe = tasks.recipe_class(TASK)(epochs=epochs, **parameters)
    made = {"versions": {"tunebook": "0"}, "device": "cpu", "seed": 0, "data": {"source": "test"}, "model": {}}
    write_json(run.path / "recipe.json", {"task": TASK, "parameters": recipe.model_dump(mode="json"), **made})
    log = EventLog(run.path)
    for step in range(1, epochs * steps + 1):
        log.scalars({"train/loss": 2.0 * math.exp(-step / 10), "lr/head": 0.001}, step)
        if step % steps == 0:
            epoch = step // steps
            reached = _reached(epoch)
            values = {
                "loss/train": 1 - reached,
                "loss/validation": 1.1 - reached,
                "epoch": epoch,
                **{f"gap/{group}": 0.1 for group in groups},
            }
            values |= {f"{score}/validation": reached for score in ("accuracy", "macro_f1")}
            log.scalars({**values, **{f"recall/{label}": reached for label in classes}}, step)
            log.tensor("confusion/validation", 3 + np.eye(len(classes), dtype=np.int64), step)
    log.text("marks", "stage: head trains", 0)
    log.close()
    if state == "finished":
        write_json(run.path / "metrics.json", _metrics(classes, epochs))
        (run.path / "report").mkdir()
        write_json(run.path / "report" / "bias.json", _bias(groups))
    if report:
        (run.path / "report").mkdir(exist_ok=True)
        (run.path / "report" / "bias.html").write_text(report, encoding="utf-8")
    done = {"epoch": epochs, "epochs": epochs, "step": epochs * steps, "steps": epochs * steps}
    run.update(
        state=state, started=1.0, finished=2.0, baseline=0.5, metric=0.75 if state == "finished" else None, **done
    )
    return run.path


def _reached(epoch: int) -> float:
    return 1.0 - 0.6**epoch


def _bias(groups: Sequence[str]) -> dict[str, Any]:
    common = {"gap": "accuracy", "split": "test", "models": {"tuned": {"difference": {"value": 0.1}}}}
    return {"models": ["tuned"], "splits": ["test"], "gaps": [{**common, "attribute": group} for group in groups]}


def _metrics(classes: Sequence[str], epochs: int) -> dict[str, Any]:
    known = {"recall": dict.fromkeys(classes, 0.75), "support": dict.fromkeys(classes, 10)}
    scores = {"n": 30, "accuracy": 0.75, "macro_f1": 0.7, "loss": 0.5, "ece": 0.1, **known}
    both = {"validation": scores, "test": scores}
    reached = [{"n": 30, "accuracy": _reached(epoch), "macro_f1": _reached(epoch)} for epoch in range(1, epochs + 1)]
    return {
        "classes": list(classes),
        "multi_label": False,
        "train_counts": dict.fromkeys(classes, 10),
        "monitor": "macro_f1",
        "baseline": "linear probe",
        "baselines": {"linear probe": both},
        "tuned": {"epoch": epochs, **both},
        "history": [{"epoch": epoch, "step": epoch, "validation": row} for epoch, row in enumerate(reached, start=1)],
        "verdicts": [],
        "stages": [{"trains": "head", "epochs": [1, epochs], "epoch": epochs, "validation": scores}],
    }


#: Elements that only markup from a name could have made; JupyterLab listens without attributes.
_LIVE = """() => [...document.querySelectorAll('*')].filter(element =>
    element.matches("img[src='x'], img[src='x:x'], base, object, embed, meta[http-equiv=refresh], [href*=javascript]")
    || [...element.attributes].some(attribute => /^(on|form)/.test(attribute.name) && /alert/.test(attribute.value))
).map(element => element.outerHTML.slice(0, 200))"""
#: What names would load from beside the page.
_BAIT = {"x", "evil.css", "evil.example", "x.png"}


@pytest.fixture(name="folder")
def _folder(lab: Any, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Make a folder below the root for the files of a test; it goes with them."""
    path = Path(lab.folder) / request.node.originalname
    path.mkdir(exist_ok=True)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(name="watched")
def _watched(page: Page, lab: Any) -> Iterator[LabPage]:
    """Watch a page on which nothing from the data may run, become an element, or be asked for."""
    shown = LabPage(page, lab)
    yield shown
    assert shown.dialogs == [], shown.dialogs
    assert shown.outside == [], shown.outside
    assert page.evaluate(_LIVE) == []


@pytest.fixture(name="jupyterlab")
def _jupyterlab(watched: LabPage) -> Callable[[], LabPage]:
    """Open JupyterLab once the test has written its files."""
    return watched.open


def texts_while_scrolling(host: Locator, texts: Locator) -> set[str]:
    """Return what a list of which only the lines in sight are in the page shows from its top to its end."""
    seen: set[str] = set()
    host.evaluate("host => { host.scrollTop = 0; }")
    while True:
        host.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        seen |= set(texts.all_text_contents())
        if host.evaluate(
            "host => { const top = host.scrollTop; host.scrollTop += host.clientHeight / 2;"
            " return host.scrollTop === top; }"
        ):
            return seen


class LabPage:
    """
    JupyterLab in a browser, watched for what a page must not do.

    Parameters
    ----------
    page
        The browser's page.
    lab
        The server, as ``conftest.Lab``.
    """

    def __init__(self, page: Page, lab: Any) -> None:
        self.page, self.lab = page, lab
        self.dialogs: list[str] = []
        self.outside: list[str] = []
        page.on("dialog", self._dialog)
        page.on("request", lambda request: self._request(request.url))

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _request(self, url: str) -> None:
        is_outside = not url.startswith((self.lab.url, self.lab.url.replace("http", "ws"), "data:", "blob:"))
        if is_outside or urlsplit(url).path.rpartition("/")[2] in _BAIT:
            self.outside.append(url)

    def open(self, *, reset: bool = True) -> LabPage:
        """Load JupyterLab, with a fresh workspace unless told otherwise."""
        self.page.goto(f"{self.lab.url}/lab?token={self.lab.token}{'&reset' if reset else ''}")
        self.page.wait_for_function("window.jupyterapp !== undefined", timeout=60_000)
        self.page.evaluate("() => window.jupyterapp.restored.then(() => null)")
        return self

    def execute(self, command: str, **arguments: Any) -> None:
        """Run a command without waiting for its end."""
        self.page.evaluate(
            "([id, args]) => { void window.jupyterapp.commands.execute(id, args); }", [command, arguments]
        )

    def runs(self) -> Locator:
        """Show the side bar of the runs, and return it."""
        self.execute("tunebook:show-runs")
        self.page.wait_for_selector("#tunebook-runs .jp-Tunebook-Runs-head")
        return self.page.locator("#tunebook-runs")

    def row(self, path: str) -> Locator:
        """Return the row of a run in the side bar."""
        return self.page.locator(f"#tunebook-runs [role=treeitem][aria-level='1'][data-path={_quoted(path)}]")

    def open_run(self, *paths: str) -> Locator:
        """Open the page of a run, or of several side by side."""
        self.execute("tunebook:open-run", paths=list(paths))
        page = self.page.locator(".jp-Tunebook-Page:visible")
        page.locator(".jp-Tunebook-Page-header").wait_for()
        return page

    @contextmanager
    def notification(self, text: str) -> Iterator[None]:
        """Expect a notification that holds a text."""
        yield
        self.page.locator(".Toastify__toast", has_text=text).first.wait_for()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
