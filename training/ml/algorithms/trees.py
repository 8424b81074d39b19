"""Decision trees of any library as one ONNX node.

Converters are generic, slow for thousands of trees, and round a threshold to the nearest float32,
which sends a value that lies between the two to the other side; here thresholds are rounded the
way that leaves every comparison with a float32 as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.ml.algorithms.contract import INPUT
from training.ml.algorithms.graphs import Graph


@dataclass(frozen=True)
class Tree:
    """One tree as arrays, one item per node; `left` is -1 in a leaf.

    A value goes left when it is `<` (or `<=`, as the whole ensemble has it) the threshold, and a
    missing one where `missing_left` says. `value` is what a leaf adds.
    """

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float32]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    missing_left: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float32]

    def compact(self) -> "Tree":
        """Without nodes that the root doesn't lead to: pruning leaves them behind."""
        reached = level = np.zeros(1, dtype=np.int64)
        while len(level):
            inner = level[self.left[level] >= 0]
            level = np.concatenate([self.left[inner], self.right[inner]])
            reached = np.concatenate([reached, level])
        if len(reached) == len(self.left):
            return self
        place = np.full(len(self.left), -1, dtype=np.int64)
        place[reached] = np.arange(len(reached))
        leaf = self.left[reached] < 0
        return Tree(
            feature=self.feature[reached],
            threshold=self.threshold[reached],
            left=np.where(leaf, -1, place[self.left[reached]]),
            right=np.where(leaf, -1, place[self.right[reached]]),
            missing_left=self.missing_left[reached],
            value=self.value[reached],
        )


def of_sklearn(
    tree: Any, value: npt.NDArray[np.float64], columns: npt.NDArray[np.int64] | None = None
) -> Tree:
    """A `sklearn.tree._tree.Tree`, whose leaves add `value`, shape (nodes,).

    `columns` are the matrix's columns that the tree was given, where it wasn't given all.
    """
    nodes = tree.__getstate__()["nodes"]
    exact = nodes["threshold"]
    threshold = exact.astype(np.float32)
    above = threshold > exact
    threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
    feature = np.maximum(nodes["feature"], 0)
    return Tree(
        feature=feature if columns is None else np.asarray(columns)[feature],
        threshold=threshold,
        left=nodes["left_child"],
        right=nodes["right_child"],
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=value.astype(np.float32),
    )


def add_to(graph: Graph, trees: Sequence[Tree], mode: str, base: float = 0.0) -> str:
    """The sum of the trees' values and `base`, shape (n, 1); `mode` is BRANCH_LT or BRANCH_LEQ."""
    sizes = [len(tree.left) for tree in trees]
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    left = np.concatenate([tree.left for tree in trees])
    leaf = left < 0
    missing = np.concatenate([tree.missing_left for tree in trees]) & ~leaf
    return graph.add(
        "TreeEnsembleRegressor",
        INPUT,
        n_targets=1,
        base_values=[base],
        post_transform="NONE",
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_featureids=np.concatenate([tree.feature for tree in trees]).tolist(),
        nodes_values=np.concatenate([tree.threshold for tree in trees]).tolist(),
        nodes_modes=np.where(leaf, "LEAF", mode).tolist(),
        nodes_truenodeids=np.where(leaf, 0, left).tolist(),
        nodes_falsenodeids=np.where(
            leaf, 0, np.concatenate([tree.right for tree in trees])
        ).tolist(),
        nodes_missing_value_tracks_true=missing.astype(int).tolist(),
        target_treeids=tree_ids[leaf].tolist(),
        target_nodeids=node_ids[leaf].tolist(),
        target_ids=[0] * int(leaf.sum()),
        target_weights=np.concatenate([tree.value for tree in trees])[leaf].tolist(),
    )
