"""Data: the tasks, where their rows come from, and how they become padded batches."""

from ee_lightning.data.batches import LengthBucketedBatches as LengthBucketedBatches
from ee_lightning.data.custom import CustomTask as CustomTask
from ee_lightning.data.custom import resolve_task as resolve_task
from ee_lightning.data.read import SPLITS as SPLITS
from ee_lightning.data.read import Source as Source
from ee_lightning.data.task import Task as Task
from ee_lightning.data.tasks import TASKS as TASKS
from ee_lightning.data.tasks import get_task as get_task
from ee_lightning.data.text_rows import ENDINGS as ENDINGS
from ee_lightning.data.text_rows import Bad as Bad
from ee_lightning.data.text_rows import Lines as Lines
from ee_lightning.data.text_rows import Ragged as Ragged
from ee_lightning.data.text_rows import Records as Records
from ee_lightning.data.text_rows import flaw_of as flaw_of
from ee_lightning.data.text_rows import half_a_pair as half_a_pair
from ee_lightning.data.text_rows import is_unicode as is_unicode
from ee_lightning.data.text_rows import open_lines as open_lines
from ee_lightning.data.text_rows import read_records as read_records
from ee_lightning.data.text_rows import refuse_two_columns as refuse_two_columns
