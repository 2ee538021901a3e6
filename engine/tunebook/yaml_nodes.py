"""YAML composed within bounds: a small file can name the same part again and again, nest it, and stand for millions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import yaml
from yaml.composer import ComposerError

if TYPE_CHECKING:
    from yaml.nodes import Node

#: Values, keys, lists and mappings, each counted as often as an alias repeats it.
_MOST_NODES = 100_000
_DEEPEST = 50
#: Characters of a number: longer ones take time that grows with their square, and fit no parameter.
_LONGEST_NUMBER = 80
#: Seconds for one file.
_SECONDS = 10.0
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class BoundedLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which refuses in one line what is nested too deeply, repeated too often, or endless."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._count = self._depth = 0
        self._sizes: dict[int, int] = {}
        self._end = time.monotonic() + _SECONDS

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """Compose a node and all below it."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._sizes:
                raise ComposerError(None, None, "an alias stands within what it refers to", mark)
            self._add(self._sizes[id(node)], mark)
            return node
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ComposerError(None, None, f"it is nested more than {_DEEPEST} levels deep", mark)
        if time.monotonic() > self._end:
            raise ComposerError(None, None, f"reading it takes more than {_SECONDS:g} seconds", mark)
        before = self._count
        self._add(1, mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._sizes[id(node)] = self._count - before
        if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            what = f"a number has {len(node.value)} characters; allowed: {_LONGEST_NUMBER}"
            raise ComposerError(None, None, what, mark)
        return node

    def _add(self, nodes: int, mark: yaml.Mark) -> None:
        self._count += nodes
        if self._count > _MOST_NODES:
            raise ComposerError(None, None, f"it holds more than {_MOST_NODES} values, aliases written out", mark)
