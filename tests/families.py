"""What the tests of all families have to know of one."""

from transformers import CONFIG_MAPPING, MODEL_MAPPING

from ee_lightning.models.backbones import FAMILIES

EAGER_ALONE = {family for family in FAMILIES if not MODEL_MAPPING[CONFIG_MAPPING[family]]._supports_sdpa}
"""Families whose attention is their own."""
