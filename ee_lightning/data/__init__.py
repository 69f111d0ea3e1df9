"""The tasks, where their rows come from, and the way they reach the model as padded batches."""

from ee_lightning.data.batching import LengthBucketedBatches
from ee_lightning.data.module import TaskDataModule
from ee_lightning.data.own import OwnTask, resolve_task
from ee_lightning.data.task import Task
from ee_lightning.data.tasks import TASKS, get_task

__all__ = ["TASKS", "LengthBucketedBatches", "OwnTask", "Task", "TaskDataModule", "get_task", "resolve_task"]
