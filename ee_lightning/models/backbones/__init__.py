"""Backbones: one adapter a family, each stepping the installed ``transformers`` model's own modules."""

from ee_lightning.models.backbones import listing as listing
from ee_lightning.models.backbones.albert import AlbertBackbone as AlbertBackbone
from ee_lightning.models.backbones.backbone import FAMILIES as FAMILIES
from ee_lightning.models.backbones.backbone import Backbone as Backbone
from ee_lightning.models.backbones.backbone import EncoderState as EncoderState
from ee_lightning.models.backbones.bert import BertBackbone as BertBackbone
from ee_lightning.models.backbones.deberta_v2 import DebertaV2Backbone as DebertaV2Backbone
from ee_lightning.models.backbones.distilbert import DistilBertBackbone as DistilBertBackbone
from ee_lightning.models.backbones.loading import load_backbone as load_backbone
from ee_lightning.models.backbones.mobilebert import MobileBertBackbone as MobileBertBackbone
from ee_lightning.models.backbones.modernbert import ModernBertBackbone as ModernBertBackbone
from ee_lightning.models.backbones.mpnet import MPNetBackbone as MPNetBackbone
