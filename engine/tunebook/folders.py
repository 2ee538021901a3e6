"""
Folders of examples: which layout a folder has, and what in it is an example, of which class and split.

A layout is recognised whole or not at all, and what does not belong to it is counted and named. The module is light:
the server looks at a folder with the same code as the engine reads it.
"""

from __future__ import annotations

import os
import time
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from tunebook.errors import shown
from tunebook.opening import leads_out, scanning
from tunebook.split_names import split_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

#: What systems and programs put into folders, in lower case; what begins with a dot is theirs as well.
_SYSTEM = frozenset(
    {
        "__macosx", "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@tmp", "$recycle.bin",
        "recycler", "system volume information", "lost+found", "__pycache__", "network trash folder",
        "temporary items", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "folder.htt",
        "synofile_thumb",
    }
)  # fmt: skip
#: What folders of pictures and of what belongs to each of them are called, in lower case.
_PICTURES = frozenset({"image", "images", "img", "imgs", "jpegimages", "photos", "pictures"})
_COMPANIONS = frozenset(
    {
        "annotations", "gt", "ground_truth", "groundtruth", "labels", "label", "mask", "masks", "segmentation",
        "segmentations", "segmentationclass", "segmentationobject", "depth", "depths",
    }
)  # fmt: skip
_NAMED = 8
_EXAMPLES = 3


class Bounds(NamedTuple):
    """
    How far a look at a folder goes.

    Attributes
    ----------
    entries
        Files and folders, at most.
    depth
        Folders one below the other, at most.
    seconds
        Time, at most.
    """

    entries: int = 5_000_000
    depth: int = 64
    seconds: float = 1_800.0


class File(NamedTuple):
    """
    An example.

    Attributes
    ----------
    id
        Path below the root, with ``/``.
    path
        Whole path.
    label
        Name of its class, in Unicode's composed form and without spaces around it.
    split
        ``"train"``, ``"validation"``, ``"test"``, or ``""`` where the layout gives none.
    """

    id: str
    path: str
    label: str
    split: str


@dataclass
class Layout:
    """
    What a folder holds.

    Attributes
    ----------
    files
        The examples, class by class.
    classes
        Names of the class folders, each once, in order of their folders.
    splits
        Splits that the layout gives, in the order of their folders.
    empty
        Class folders, below the root, without an example.
    problem
        Why the folder is no layout; empty where it is one.
    bound
        The bound that was met before everything was looked at; empty where none was.
    remarks
        What was left out, and what may surprise: kind and sentence.
    """

    files: list[File] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    problem: str = ""
    bound: str = ""
    remarks: list[tuple[str, str]] = field(default_factory=list)


def is_system(name: str) -> bool:
    """Whether a file or folder is hidden, or made by a system or a program and not by the owner of the data."""
    return name.startswith((".", "~$")) or name.lower() in _SYSTEM


def read_layout(
    root: str, suffixes: Collection[str], is_example: Callable[[str], bool], bounds: Bounds | None = None
) -> Layout:
    """
    Look at a folder with a sub-folder a class, or with folders of splits that hold those.

    Parameters
    ----------
    root
        The folder.
    suffixes
        Endings of examples, lower case with the dot.
    is_example
        Tells by its content whether a file without such an ending is one, given its path.
    bounds
        How far to look.

    Returns
    -------
    Layout
        With ``problem`` or ``bound`` set where it is no layout or was not seen whole.

    Raises
    ------
    OSError
        A folder cannot be read.
    """
    walk = _Walk(root, suffixes, is_example, bounds or Bounds())
    try:
        walk.read()
    except _BoundError as met:
        walk.layout.bound = str(met)
    walk.remark()
    return walk.layout


class _BoundError(Exception):
    """A bound is met."""


class _Entry(NamedTuple):
    name: str
    path: str
    is_folder: bool
    is_file: bool


class _Walk:
    """One look at a folder."""

    def __init__(self, root: str, suffixes: Collection[str], is_example: Callable[[str], bool], bounds: Bounds) -> None:
        self.layout = Layout()
        self._root, self._suffixes = root.rstrip("/") or "/", suffixes
        self._is_example, self._bounds = is_example, bounds
        self._seen = 0
        self._end = time.monotonic() + bounds.seconds
        #: Ending -> files that were left out for it, and the first of all of them.
        self._other: Counter[str] = Counter()
        self._first_other = ""
        #: Examples that lie where no class is, by the folder that holds them.
        self._loose: Counter[str] = Counter()
        self._beside: Counter[str] = Counter()
        self._flat: Counter[str] = Counter()
        #: Examples by the sub-folder of a class folder that holds them; ``""`` for the class folder itself.
        self._nested: Counter[str] = Counter()
        #: Class -> the sub-folders of its folders that hold examples.
        self._inner: dict[str, set[str]] = {}
        self._loops: list[str] = []

    # Folders.

    def _scan(self, folder: str) -> list[_Entry]:
        """Return what a folder holds, by name, without what is hidden or a system's."""
        found: list[_Entry] = []
        with scanning(folder) as entries:
            for entry in entries:
                self._count()
                if not is_system(entry.name):
                    path = f"{folder}/{entry.name}"
                    # Whoever shows a folder to others shows nothing behind links that lead out of it.
                    is_out = entry.is_symlink() and leads_out(path)
                    is_folder, is_file = (False, False) if is_out else (_is_folder(entry), _is_file(entry))
                    found.append(_Entry(entry.name, path, is_folder, is_file))
        return sorted(found)

    def _count(self) -> None:
        self._seen += 1
        if self._seen > self._bounds.entries:
            raise _BoundError(f"more than {self._bounds.entries:,} files and folders")
        if self._seen % 256 == 0 and time.monotonic() > self._end:
            raise _BoundError(f"more than {self._bounds.seconds:g} seconds of looking")

    def _below(self, folder: str) -> Iterator[tuple[str, _Entry]]:
        """
        Yield every file below a folder with the sub-folder that holds it, ``""`` for the folder itself.

        Links are followed; one that leads back to a folder above, or to one that was read already, is not.
        """
        above = {_key(place) for place in (self._root, os.path.dirname(folder))}  # noqa: PTH120
        read = above | {_key(folder)}
        waiting = [("", folder, 1)]
        while waiting:
            inner, place, depth = waiting.pop()
            if depth > self._bounds.depth:
                raise _BoundError(f"more than {self._bounds.depth} folders one below the other")
            for entry in self._scan(place):
                if not entry.is_folder:
                    yield inner, entry
                    continue
                key = _key(entry.path)
                if key in read:
                    self._loops.append(self._id(entry.path))
                    continue
                read.add(key)
                waiting.append((inner or entry.name, entry.path, depth + 1))

    def _takes(self, entry: _Entry) -> bool:
        ending = PurePath(entry.name).suffix
        if not entry.is_file:
            return False
        if ending.lower() in self._suffixes:
            return True
        # "IMG 0001" and "scan.0001" have no ending that says anything.
        return not any(map(str.isalpha, ending)) and self._is_example(entry.path)

    def _leave(self, entry: _Entry) -> None:
        ending = PurePath(entry.name).suffix.lower() or "without an ending"
        self._other[ending if entry.is_file else "no file, or a link to nothing"] += 1
        self._first_other = self._first_other or self._id(entry.path)

    def _id(self, path: str) -> str:
        """Return a path below the root; os.scandir puts the root before it as it was given."""
        return path[len(self._root) :].lstrip("/")

    # The layout.

    def read(self) -> None:
        """Find the layout, then list its files."""
        tops = self._scan(self._root)
        folders = [top for top in tops if top.is_folder]
        inside = {top.name: self._class_folders(top) for top in folders if split_of(top.name)}
        split_folders = [top for top in folders if inside.get(top.name)]
        taught = {
            _label(place.name).casefold()
            for top in split_folders
            if split_of(top.name) == "train"
            for place in inside[top.name]
        }
        # "test/images" beside "train/oak" and "train/elm" holds no classes.
        strange = [top for top in split_folders if _shares_none(inside[top.name], taught)]
        split_folders = [top for top in split_folders if top not in strange]
        self.layout.problem = self._problem_of_splits(folders, split_folders) or self._problem_of_names(inside, strange)
        if self.layout.problem:
            return
        parents: list[tuple[_Entry | None, list[_Entry], str]]
        if split_folders:
            parents = [(top, inside[top.name], str(split_of(top.name))) for top in split_folders]
        else:
            parents = [(None, folders, "")]
        self.layout.splits = [split for _, _, split in parents if split]
        self.layout.classes = list(dict.fromkeys(_label(place.name) for _, some, _ in parents for place in some))
        self._read_loose(tops, "")
        for parent, places, split in parents:
            if parent is not None:
                self._read_loose(self._scan(parent.path), parent.name)
            for place in places:
                self._read_class(place, split)
        if split_folders:
            for top in folders:
                if top not in split_folders:
                    self._read_beside(top)
        self.layout.problem = self._problem_of_classes(folders)

    def _class_folders(self, top: _Entry) -> list[_Entry]:
        """Return the sub-folders of a folder; none where no example lies in any of them."""
        places = [entry for entry in self._scan(top.path) if entry.is_folder]
        return places if any(self._holds_examples(place.path) for place in places) else []

    def _holds_examples(self, folder: str) -> bool:
        loops = list(self._loops)
        found = any(self._takes(entry) for _, entry in self._below(folder))
        self._loops = loops
        return found

    def _read_class(self, place: _Entry, split: str) -> None:
        label, found = _label(place.name), []
        for inner, entry in self._below(place.path):
            if self._takes(entry):
                found.append(File(self._id(entry.path), entry.path.removeprefix("./"), label, split))
                self._nested[inner] += 1
                self._inner.setdefault(label, set()).add(inner)
            else:
                self._leave(entry)
        if not found:
            self.layout.empty.append(self._id(place.path))
        # As paths are ordered: part by part.
        self.layout.files += sorted(found, key=lambda file: file.id.split("/"))

    def _read_loose(self, entries: Sequence[_Entry], folder: str) -> None:
        """Count what lies beside the class folders."""
        for entry in entries:
            if entry.is_folder:
                continue
            if self._takes(entry):
                self._loose[folder] += 1
            else:
                self._leave(entry)

    def _read_beside(self, top: _Entry) -> None:
        """Count the examples of a folder beside those of the splits: of no split, or of one without class folders."""
        counts = self._flat if split_of(top.name) else self._beside
        counts[top.name] = sum(self._takes(entry) for _, entry in self._below(top.path))

    # What is wrong.

    def _problem_of_splits(self, folders: Sequence[_Entry], split_folders: Sequence[_Entry]) -> str:
        named: dict[str, list[str]] = {}
        for top in split_folders or [top for top in folders if split_of(top.name)]:
            named.setdefault(str(split_of(top.name)), []).append(top.name)
        names = _and([shown(name) for several in named.values() for name in several])
        if not split_folders:
            if len(named) > 1:
                return (
                    f"{names} are names of splits and have no class folders; put the files of each class in a "
                    "sub-folder of its name, or give a table with a column of labels"
                )
            return ""
        twice = next(((split, several) for split, several in named.items() if len(several) > 1), None)
        if twice is not None:
            return f"{_and([shown(name) for name in twice[1]])} are both the {twice[0]} split; merge or rename them"
        if "train" not in named:
            return (
                f"{names} holds class folders as a split does, and no train/ stands beside it; name the folder of "
                "training train, or rename it where it is a class"
            )
        return ""

    def _problem_of_names(self, inside: dict[str, list[_Entry]], strange: Sequence[_Entry]) -> str:
        top = next((top for top in strange if len(inside[top.name]) > 1), None)
        if top is None:
            return ""
        named = _and([shown(place.name) for place in inside[top.name]][:_EXAMPLES])
        return f"{shown(top.name)} holds class folders such as {named}, none of which train has; name them alike"

    def _problem_of_classes(self, folders: Sequence[_Entry]) -> str:
        layout = self.layout
        inner = {name: split_of(name) for name in self._nested if name}
        is_above = len(layout.classes) == 1 and not self._nested[""] and len(inner) > 1
        if layout.splits:
            only = shown(layout.classes[0]) if is_above else ""
            return (
                f"the one folder in each split, {only}, holds the class folders; move them up to the splits"
                if only
                else ""
            )
        if is_above:
            only = shown(folders[0].name)
            return f"the one folder in it, {only}, holds the class folders; give data as the path of {only}"
        if len(set(inner.values()) - {None}) > 1:
            named = _and([shown(name) for name, split in inner.items() if split][:_EXAMPLES])
            return f"class folders hold the splits {named}; put splits above classes, as in train/cat and test/cat"
        return ""

    # What is said.

    def remark(self) -> None:
        """Say what was left out and what may surprise."""
        remarks = self.layout.remarks
        if self._other:
            listed = [f"{ending} ({count})" for ending, count in _most(self._other)]
            more = f" and {len(self._other) - _NAMED} more kinds" if len(self._other) > _NAMED else ""
            text = f"{_files(self._other.total())} of another kind left out: {', '.join(map(_plain, listed))}{more}"
            remarks.append(("left out", f"{text}; the first is {shown(self._first_other)}"))
        if self._beside:
            named = _counted(self._beside)
            text = (
                f"beside the splits {_and(self.layout.splits)} other folders are left out, with their examples: {named}"
            )
            remarks.append(("left out", text))
        for name, count in self._flat.items():
            text = f"{shown(name)} holds {_files(count)} and no class folder of train; they have no label"
            given = split_of(name) in self.layout.splits
            remarks.append(("left out", text if given else f"{text}, so the {split_of(name)} split is cut from train"))
        for folder, count in self._loose.items():
            where = f"in {shown(folder)}" if folder else "in the folder itself"
            text = f"{_files(count)} {where}, beside the class folders, left out: they have no label"
            remarks.append(("left out", text))
        if self._loops:
            named = ", ".join(map(shown, self._loops[:_EXAMPLES]))
            more = f" and {len(self._loops) - _EXAMPLES} more" if len(self._loops) > _EXAMPLES else ""
            remarks.append(("link not followed", f"they lead to a folder that is read already: {named}{more}"))
        self._nested.pop("", None)
        if self._nested:
            text = f"{_files(self._nested.total())} in sub-folders of class folders, taken for the class above"
            same = self._inner.values()
            alike = len(same) > 1 and all(names == self._nested.keys() for names in same) and len(self._nested) > 1
            hint = (
                "; all class folders hold the same ones: if those are the classes, put them at the top" if alike else ""
            )
            remarks.append(("sub-folders", f"{text}: {_counted(self._nested)}{hint}"))
        pictures = next((name for name in self.layout.classes if name.casefold() in _PICTURES), None)
        beside = next((name for name in self.layout.classes if name.casefold() in _COMPANIONS), None)
        if pictures and beside:
            text = f"{shown(pictures)} and {shown(beside)} are taken for classes: each sub-folder is one"
            remarks.append(("class folders", f"{text}; if they hold pictures and their masks, give a table of labels"))
        odd = [name for name in self.layout.classes if split_of(name) and not self.layout.splits]
        if odd:
            remarks.append(("class named as a split", f"{shown(odd[0])} is taken for a class: it has no class folders"))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _key(folder: str) -> tuple[int, int]:
    """Tell a folder from every other, whatever links lead to it."""
    status = os.stat(folder)  # noqa: PTH116 - the names come from os.scandir
    return status.st_dev, status.st_ino


def _label(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def _shares_none(places: Sequence[_Entry], taught: Collection[str]) -> bool:
    """Whether no folder has the name of a class of train, of those that train teaches."""
    return bool(taught) and not any(_label(place.name).casefold() in taught for place in places)


def _plain(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _most(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return the largest counts, those of one size by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_NAMED]


def _counted(counts: Counter[str]) -> str:
    listed = [f"{shown(name, 40)} ({count:,})" for name, count in _most(counts)]
    more = f" and {len(counts) - _NAMED} more" if len(counts) > _NAMED else ""
    return f"{', '.join(listed)}{more}"


def _and(names: Sequence[str]) -> str:
    """Join names as a sentence does: ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
