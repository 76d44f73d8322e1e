"""A Ray cluster of several nodes, all on this machine."""

from __future__ import annotations

from typing import Any

from ray.cluster_utils import Cluster

STORE_BYTES = 200 << 20  # object store of each node


class Nodes:
    """A head and other nodes, which can be lost and join.

    Args:
        number: of nodes, with the head.
        cpus: that each says to have.
    """

    def __init__(self, number: int, cpus: int) -> None:
        self._node: dict[str, Any] = {
            "num_cpus": cpus,
            "object_store_memory": STORE_BYTES,
            "include_dashboard": False,
        }
        self._cluster = Cluster()
        self._cluster.add_node(**self._node)
        self._others: list[Any] = []
        for _ in range(number - 1):
            self.add()

    @property
    def address(self) -> str:
        """Of the cluster."""
        return str(self._cluster.address)

    def add(self) -> int:
        """Add a node; return how many there are."""
        self._others.append(self._cluster.add_node(**self._node))
        return 1 + len(self._others)

    def lose(self, draw: float) -> int:
        """Kill the processes of a node that is not the head; return how many there are.

        Args:
            draw: in [0, 1): which one.
        """
        node = self._others.pop(int(draw * len(self._others)))
        self._cluster.remove_node(node, allow_graceful=False)
        return 1 + len(self._others)

    def close(self) -> None:
        """Stop all nodes."""
        self._cluster.shutdown()
