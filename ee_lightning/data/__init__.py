"""The tasks, where their rows come from, and the way they reach the model as padded batches."""

from ee_lightning.data.module import TaskDataModule
from ee_lightning.data.tasks import TASKS, Task, get_task

__all__ = ["TASKS", "Task", "TaskDataModule", "get_task"]
