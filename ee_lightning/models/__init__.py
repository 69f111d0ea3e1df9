"""Models: backbones, internal classifiers, and the two together."""

from ee_lightning.models.backbones import Backbone as Backbone
from ee_lightning.models.backbones import EncoderState as EncoderState
from ee_lightning.models.backbones import load_backbone as load_backbone
from ee_lightning.models.heads import ExitHeads as ExitHeads
from ee_lightning.models.heads import HeadOptions as HeadOptions
from ee_lightning.models.heads import HeadOutput as HeadOutput
from ee_lightning.models.multi_exit import MultiExitModel as MultiExitModel
from ee_lightning.models.multi_exit import MultiExitOutput as MultiExitOutput
from ee_lightning.models.multi_exit import Part as Part
from ee_lightning.models.restoring import find_device as find_device
from ee_lightning.models.restoring import model_of_shapes as model_of_shapes
from ee_lightning.models.restoring import restore_model as restore_model
from ee_lightning.models.restoring import untrained_model as untrained_model
