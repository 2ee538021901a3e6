"""Let the README's badges open this repository: ``python -m binder.badges`` takes its address from ``git remote``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

_ROOT = Path(__file__).parents[1]
#: The only lines that name a repository.
_FILES = ("README.md",)
#: A reference definition of a badge's link, whatever repository it names.
_LINK = re.compile(
    r"^(\[binder-[\w-]+\]: https://mybinder\.org/v2/)(?:gh|gl|git)/\S*?(/HEAD\?urlpath=\S+)$", re.MULTILINE
)
_KNOWN_HOSTS = {"github.com": "gh", "gitlab.com": "gl"}
#: Addresses as git writes them: https://host/owner/name.git, git@host:owner/name.git, ssh://git@host/owner/name.
_ADDRESS = re.compile(r"^(?:\w+://)?(?:[^@/\s]+@)?(?P<host>[\w.-]+)(?::\d+)?[:/](?P<path>[^\s:][^\s]*?)(?:\.git)?/?$")


def main() -> None:
    """Write the links for the remote that was named on the command line, or for ``origin``."""
    address = sys.argv[1] if len(sys.argv) > 1 else remote(_ROOT)
    changed = [name for name in _FILES if rewrite(_ROOT / name, address)]
    sys.stdout.write(f"{place_of(address)}: {', '.join(changed) or 'nothing to change'}\n")


def remote(folder: Path) -> str:
    """
    Return the address of a checkout's remote ``origin``.

    Raises
    ------
    SystemExit
        There is none.
    """
    found = subprocess.run(  # noqa: S603 - a fixed command
        ["git", "-C", str(folder), "remote", "get-url", "origin"],  # noqa: S607 - git is found as everywhere
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.returncode:
        raise SystemExit("no git remote called origin; name the address: python -m binder.badges ADDRESS")
    return found.stdout.strip()


def place_of(address: str) -> str:
    """
    Return how Binder names the repository of a git address, such as ``gh/owner/name``.

    Raises
    ------
    SystemExit
        The address is none that Binder could clone from.
    """
    found = _ADDRESS.match(address)
    path = found["path"].strip("/") if found else ""
    if not found or "." not in found["host"] or "/" not in path:
        raise SystemExit(
            f"{address!r} is no address of a repository; allowed: https://HOST/OWNER/NAME or git@HOST:OWNER/NAME"
        )
    kind = _KNOWN_HOSTS.get(found["host"].lower())
    if kind == "gh":
        return f"gh/{quote(path)}"
    if kind == "gl":
        return f"gl/{quote(path, safe='')}"
    whole = f"https://{found['host']}/{path}"
    return f"git/{quote(whole, safe='')}"


def rewrite(file: Path, address: str) -> bool:
    """
    Let every badge of a file open the repository at an address.

    Returns
    -------
    bool
        Whether anything changed.

    Raises
    ------
    SystemExit
        The file has no badges.
    """
    text = file.read_text(encoding="utf-8")
    place = place_of(address)
    new, count = _LINK.subn(lambda link: f"{link[1]}{place}{link[2]}", text)
    if not count:
        raise SystemExit(f"{file.name} has no lines that begin [binder-NAME]: https://mybinder.org/v2/")
    if new != text:
        file.write_text(new, encoding="utf-8")
    return new != text


if __name__ == "__main__":
    main()
