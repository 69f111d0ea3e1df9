from .custom import CustomTask as CustomTask
from .custom import resolve_task as resolve_task
from .tasks import TASKS as TASKS
from .tasks import Task as Task
from .tasks import get_task as get_task
