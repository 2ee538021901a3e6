"""What a model is made of: its modules from input to head as a tree, with the stage and the size of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from tunebook.tasks.base import Model

#: Stage of a node that holds several.
CONTAINER = -1
#: Kind of a node that is no module: a parameter that a container has itself, such as the token of a class.
PARAMETER = "Parameter"


@dataclass(frozen=True)
class ModelOutline:
    """
    The parts of a model that can be frozen or drop something, in columns of the same length.

    The nodes are in pre-order: a node comes before those below it. The first is the model itself. Modules that have
    neither parameters nor a dropout site in them are left out.

    Attributes
    ----------
    stage_names
        Names of the stages from input to head.
    names
        The last part of each node's path; empty for the model itself.
    paths
        Dotted names, as globs of a freeze match them; empty for the model itself.
    depths
        How many nodes are above each; 0 for the model itself.
    kinds
        Names of the modules' classes, or :data:`PARAMETER`.
    stages
        Number of the stage that each belongs to, from 0; :data:`CONTAINER` for one that holds several.
    parameters
        Number of scalars in each node and below it. A weight that several modules share counts in the first.
    sites
        Kinds of the dropout sites of the node itself, often none.
    """

    stage_names: tuple[str, ...]
    names: tuple[str, ...]
    paths: tuple[str, ...]
    depths: tuple[int, ...]
    kinds: tuple[str, ...]
    stages: tuple[int, ...]
    parameters: tuple[int, ...]
    sites: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.names)

    def to_json(self) -> dict[str, Any]:
        """
        Return the columns as JSON has them, each text once.

        Returns
        -------
        dict
            ``words`` holds all texts; ``names``, ``kinds`` and ``stage_names`` are places in it, ``depths``,
            ``stages`` and ``parameters`` numbers, and ``sites`` pairs of a node's number and the place of a kind.
            Paths follow from names and depths: a node's path is the names above it and its own, with dots between.
        """
        words: dict[str, int] = {}

        def places(texts: tuple[str, ...]) -> list[int]:
            return [words.setdefault(text, len(words)) for text in texts]

        columns: dict[str, Any] = {
            "stage_names": places(self.stage_names),
            "names": places(self.names),
            "kinds": places(self.kinds),
            "sites": [[node, place] for node, kinds in enumerate(self.sites) for place in places(kinds)],
        }
        numbers = {"depths": list(self.depths), "stages": list(self.stages), "parameters": list(self.parameters)}
        return {"words": list(words), **columns, **numbers}


@dataclass
class _Node:
    """A node while the tree is being walked."""

    path: str
    depth: int
    kind: str
    sites: tuple[str, ...]
    stages: set[int]
    parameters: int = 0


def outline(model: Model) -> ModelOutline:
    """
    Return what a model is made of.

    Parameters
    ----------
    model
        Of any library; it is not changed.
    """
    nodes = [node for node in _Walk(model).nodes if not node.path or node.stages]
    return ModelOutline(
        stage_names=tuple(model.stages.names),
        names=tuple(node.path.rpartition(".")[2] for node in nodes),
        paths=tuple(node.path for node in nodes),
        depths=tuple(node.depth for node in nodes),
        kinds=tuple(node.kind for node in nodes),
        stages=tuple(next(iter(node.stages)) if len(node.stages) == 1 else CONTAINER for node in nodes),
        parameters=tuple(node.parameters for node in nodes),
        sites=tuple(node.sites for node in nodes),
    )


class _Walk:
    """Walks the modules of a model once; gives its nodes in pre-order, those that are left out with them."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._owner = {name: index for index, stage in enumerate(model.stages.items) for name in stage.parameters}
        self._sites: dict[str, tuple[str, ...]] = {}
        for site in model.dropout.sites:
            self._sites[site.module_name] = (*self._sites.get(site.module_name, ()), site.kind)
        self._seen: set[int] = set()
        self.nodes: list[_Node] = []
        self._visit(model.module, "", 0)
        self._settle()

    def _visit(self, module: nn.Module, path: str, depth: int) -> _Node:
        self._seen.add(id(module))
        node = _Node(path, depth, type(module).__name__, self._sites.get(path, ()), set())
        self.nodes.append(node)
        place = len(self.nodes)
        prefix = f"{path}." if path else ""
        # A weight that was met before has no stage under this name.
        own = {key: value.numel() for key, value in module.named_parameters(path, recurse=False) if key in self._owner}
        node.parameters = sum(own.values())
        node.stages = {self._owner[key] for key in own}
        for name, child in module.named_children():
            if id(child) in self._seen:
                continue
            found = self._visit(child, f"{prefix}{name}", depth + 1)
            node.parameters += found.parameters
            node.stages |= found.stages
        if len(node.stages) > 1:
            # Without these, what a container has itself would be in no node of a stage.
            self.nodes[place:place] = [
                _Node(key, depth + 1, PARAMETER, (), {self._owner[key]}, size) for key, size in own.items()
            ]
        return node

    def _settle(self) -> None:
        """Give modules without parameters the stage that they are frozen with."""
        above: list[_Node] = []
        for node in self.nodes:
            del above[node.depth :]
            if not node.stages and node.sites:
                parent = above[-1] if above else None
                # Asking is slow for a large model, and below a module of one stage the answer is known.
                known = parent.stages if parent is not None and len(parent.stages) == 1 else set[int]()
                node.stages = set(known) or {self._model.stages.stage_of(node.path)}
                for other in above:
                    # What holds it has to be there as well, or its path would have a gap.
                    other.stages = other.stages or set(node.stages)
            above.append(node)
