"""Backbones: one adapter a family, each stepping the installed ``transformers`` model's own modules."""

from ee_lightning.models.backbones.backbone import Backbone as Backbone
from ee_lightning.models.backbones.backbone import EncoderState as EncoderState
from ee_lightning.models.backbones.loading import FAMILIES as FAMILIES
from ee_lightning.models.backbones.loading import backbone_config as backbone_config
from ee_lightning.models.backbones.loading import load_backbone as load_backbone
