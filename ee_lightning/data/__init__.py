"""Data: the tasks, where their rows come from, and how they become padded batches."""

from ee_lightning.data.custom import CustomTask as CustomTask
from ee_lightning.data.custom import resolve_task as resolve_task
from ee_lightning.data.tasks import TASKS as TASKS
from ee_lightning.data.tasks import Task as Task
from ee_lightning.data.tasks import get_task as get_task
