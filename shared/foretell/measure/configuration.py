"""What is run: a task, on a node, with an argument."""

from __future__ import annotations

from dataclasses import dataclass

from foretell.measure.nodes import Node, node_named
from foretell.measure.tasks import Task, task_named


@dataclass(frozen=True, slots=True)
class Configuration:
    """One thing to run. Raises `InvalidInput` when the argument is out of the task's range."""

    task: Task
    node: Node
    argument: int
    beyond: bool = False
    """Whether the argument is above all that were measured for this task on this node."""

    def __post_init__(self) -> None:
        self.task.check_argument(self.argument)

    @classmethod
    def of(cls, task: str, argument: int, node: str) -> Configuration:
        """The configuration of a built-in task on a built-in node; `NotFound` lists them."""
        return cls(task_named(task), node_named(node), argument)

    def features(self) -> dict[str, str | int]:
        """What a forecast of this run is asked with."""
        return {"function": self.task.name, "node": self.node.name, "argument": self.argument}
