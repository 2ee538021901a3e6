"""The rows of the layer view: stages from input to head, and the modules in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tunebook.recipe import Recipe
    from tunebook.stages import Stages
    from tunebook.structure import ModelOutline
    from tunebook_widgets.freezing import Plan

#: States of a row.
FROZEN, PARTLY, TRAINING = "0", "1", "2"


class LayerTable:
    """
    One row a stage, and below it one row a module in it.

    Modules that hold several stages have no row: their stages stand for them.

    Parameters
    ----------
    outline
        The model's modules.
    stages
        Its stages.

    Attributes
    ----------
    labels, paths, kinds
        What a row is called, the dotted name of its module or the name of its stage, and the class of its module.
    depths
        0 for a stage.
    stage_of
        Number of each row's stage.
    sizes
        Scalars in each row, with what is below it.
    sites
        Kinds of dropout right there, by row.
    """

    def __init__(self, outline: ModelOutline, stages: Stages) -> None:
        self.stages = stages
        self.labels: list[str] = []
        self.paths: list[str] = []
        self.kinds: list[str] = []
        self.depths: list[int] = []
        self.stage_of: list[int] = []
        self.sizes: list[int] = []
        self.sites: dict[int, list[str]] = {}
        self._roots: list[int] = []
        self._add_rows(outline)
        self._place_parameters()

    def __len__(self) -> int:
        return len(self.labels)

    def _add_rows(self, outline: ModelOutline) -> None:
        members: list[list[int]] = [[] for _ in self.stages.items]
        shared: list[list[str]] = [[] for _ in self.stages.items]
        for node, stage in enumerate(outline.stages):
            if stage >= 0:
                members[stage].append(node)
            elif outline.sites[node]:
                shared[self.stages.stage_of(outline.paths[node])].extend(outline.sites[node])
        for number, part in enumerate(self.stages.items):
            nodes = members[number]
            own = next((n for n in nodes if outline.paths[n] == part.name), None)
            # A stage that is just one module is one row.
            alone = own is not None and own == nodes[0] and _are_below(outline, nodes[1:], own)
            kind = outline.kinds[own] if own is not None and alone else ""
            sites = [*shared[number], *(outline.sites[own] if own is not None and alone else ())]
            self._add(part.name, part.name, kind, 0, number, part.size, sites)
            inside = nodes[1:] if alone else nodes
            above: list[int] = []
            for node in inside:
                while above and outline.depths[above[-1]] >= outline.depths[node]:
                    above.pop()
                label = outline.names[node] if above or alone else outline.paths[node]
                size = outline.parameters[node]
                depth = len(above) + 1
                if not above and not alone:
                    self._roots.append(len(self))
                self._add(label, outline.paths[node], outline.kinds[node], depth, number, size, outline.sites[node])
                above.append(node)

    def _add(self, label: str, path: str, kind: str, depth: int, stage: int, size: int, sites: Iterable[str]) -> None:
        self.labels.append(label)
        self.paths.append(path)
        self.kinds.append(kind)
        self.depths.append(depth)
        self.stage_of.append(stage)
        self.sizes.append(size)
        kinds = list(dict.fromkeys(sites))
        if kinds:
            self.sites[len(self.labels) - 1] = kinds

    def _place_parameters(self) -> None:
        """Order parameters by row, so that those of a row and all below it are one range."""
        rows = {(stage, path): row for row, (stage, path) in enumerate(zip(self.stage_of, self.paths, strict=True))}
        first = [row for row, depth in enumerate(self.depths) if not depth]
        placed: list[tuple[int, str]] = []
        for number, stage in enumerate(self.stages.items):
            for name in stage.parameters:
                owner = name
                while owner and (number, owner) not in rows:
                    owner = owner.rpartition(".")[0]
                placed.append((rows.get((number, owner), first[number]), name))
        placed.sort(key=lambda pair: pair[0])
        self._names = [name for _, name in placed]
        begins = np.searchsorted([row for row, _ in placed], np.arange(len(self) + 1))
        ends = _subtree_ends(self.depths)
        self._first, self._last = begins[:-1], begins[ends]
        fixed = self.stages.frozen_by("none")
        self._movable = np.array([name not in fixed for name in self._names], dtype=bool)

    def parameters(self, rows: Iterable[int]) -> frozenset[str]:
        """Return the names of the parameters in some rows; rows that do not exist have none."""
        found: set[str] = set()
        for row in rows:
            if 0 <= row < len(self):
                found.update(self._names[self._first[row] : self._last[row]])
        return frozenset(found)

    def states(self, frozen: frozenset[str]) -> str:
        """
        Say of each row whether it is frozen.

        Parameters
        ----------
        frozen
            Names of the parameters that are held still.

        Returns
        -------
        str
            One of ``0`` (frozen), ``1`` (in part) and ``2`` (training) for each row.
        """
        trains = np.array([name not in frozen for name in self._names], dtype=bool)
        above = np.concatenate([[0], np.cumsum(trains)])
        movable = np.concatenate([[0], np.cumsum(self._movable)])
        moving = above[self._last] - above[self._first]
        most = movable[self._last] - movable[self._first]
        words = np.where(moving == 0, FROZEN, np.where(moving >= most, TRAINING, PARTLY))
        for row in np.flatnonzero(self._last == self._first):
            words[row] = TRAINING if self.stages.trains(self.paths[row], frozen) else FROZEN
        return "".join(words)

    def columns(self) -> dict[str, Any]:
        """Return the rows as JSON, by columns, every word once."""
        words = list(dict.fromkeys([*self.labels, *self.kinds, *(k for kinds in self.sites.values() for k in kinds)]))
        number = {word: n for n, word in enumerate(words)}
        return {
            "words": words,
            "labels": [number[label] for label in self.labels],
            "kinds": [number[kind] for kind in self.kinds],
            "depths": self.depths,
            "sizes": self.sizes,
            "roots": self._roots,
            "sites": [[row, *(number[kind] for kind in kinds)] for row, kinds in self.sites.items()],
        }

    def state(self, plan: Plan, recipe: Recipe) -> dict[str, Any]:
        """Return what the layer view shows of a recipe, as JSON."""
        return {
            "phases": [
                {
                    "epoch": phase.epoch,
                    "words": self.stages.describe_names(phase.frozen),
                    "rows": self.states(phase.frozen),
                }
                for phase in plan.phases
            ],
            "preset": plan.preset(recipe.epochs),
            "epochs": recipe.epochs,
            "lr": recipe.lr,
            "decay": recipe.layer_decay,
        }


def _are_below(outline: ModelOutline, nodes: Sequence[int], own: int) -> bool:
    return all(outline.paths[node].startswith(f"{outline.paths[own]}.") for node in nodes)


def _subtree_ends(depths: Sequence[int]) -> np.ndarray:
    """Return for each node in pre-order the number behind the last one below it, shape (n,)."""
    ends = np.full(len(depths), len(depths))
    above: list[int] = []
    for node, depth in enumerate(depths):
        while above and depths[above[-1]] >= depth:
            ends[above.pop()] = node
        above.append(node)
    return ends
