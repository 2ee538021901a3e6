"""The last step of building the image: prove that torch is whole, and do now what a first run would wait for."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

_HERE = Path(__file__).parent
#: Where Jupyter looks for them, below the environment.
_SETTINGS = {
    "jupyter_server_config.json": "etc/jupyter/jupyter_server_config.json",
    "overrides.json": "share/jupyter/lab/settings/overrides.json",
}


def main() -> None:
    """Check the libraries, keep the demos' data and the fonts' list, and install Jupyter's settings."""
    check_torch()
    for recipe in ("ImageClassification", "TextClassification"):
        say(f"{recipe}: {demo(recipe)}")
    list_fonts()
    for place in install_settings(Path(sysconfig.get_path("data"))):
        say(f"settings: {place}")


def check_torch() -> None:
    """
    Use an operator of torchvision's own, which is not there where torch is of another build.

    Raises
    ------
    SystemExit
        The two do not match.
    """
    import torch  # noqa: PLC0415

    try:
        import torchvision  # noqa: PLC0415

        torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    except (ImportError, RuntimeError, AttributeError) as error:
        msg = f"torchvision does not match torch {torch.__version__}: take both from one channel ({error})"
        raise SystemExit(msg) from None
    named = f"torch {torch.__version__} and torchvision {torchvision.__version__}"
    if torch.version.cuda is not None:
        say(f"warning: {named} have CUDA {torch.version.cuda}, which takes gigabytes and does nothing here")
        return
    say(f"{named} match, without CUDA")


def demo(name: str) -> str:
    """Make the demo's data and open its weights, with the defaults that a template starts from."""
    import tunebook  # noqa: PLC0415

    recipe = getattr(tunebook, name)()
    examples = tunebook.load_examples(recipe)
    model = tunebook.load_model(recipe, examples)
    return f"{len(examples)} examples, {model.origin}"


def list_fonts() -> None:
    """Let matplotlib look for fonts now: it does once, for seconds, when it is first imported."""
    import matplotlib.font_manager  # noqa: PLC0415

    matplotlib.font_manager.fontManager.findfont("DejaVu Sans")


def install_settings(prefix: Path) -> list[Path]:
    """
    Copy Jupyter's settings for Binder into an environment.

    Parameters
    ----------
    prefix
        The environment's folder.

    Returns
    -------
    list of Path
        The files, as they are called there.
    """
    places = []
    for name, below in _SETTINGS.items():
        place = prefix / below
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(f"{place.name}.{os.getpid()}")
        shutil.copyfile(_HERE / name, new)
        new.replace(place)
        places.append(place)
    return places


def say(line: str) -> None:
    """Write a line to the log of the build, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
