"""The multi-exit model: a backbone with an internal classifier on every layer."""

import torch
from torch import Tensor, nn

from ee_lightning.models.backbones import Backbone
from ee_lightning.models.heads import ExitHeads, HeadOptions


class MultiExitModel(nn.Module):
    """A backbone with an internal classifier on every layer.

    Args:
        backbone: The encoder, stepped layer by layer.
        num_classes: Number of classes C.
        heads: Options of the internal classifiers.
    """

    def __init__(self, backbone: Backbone, num_classes: int, heads: HeadOptions) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = ExitHeads(backbone.num_layers, backbone.hidden_size, num_classes, heads)

    @property
    def num_exits(self) -> int:
        """Number of exits M: one behind each layer."""
        return self.backbone.num_layers

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Run all layers and all exits.

        Args:
            input_ids: Token ids, ``[batch, length]``.
            attention_mask: 1 for tokens and 0 for padding, ``[batch, length]``.
            token_type_ids: Sentence of each token where the family knows them, ``[batch, length]``.

        Returns:
            Logits ``[exits, batch, classes]``.
        """
        state = self.backbone.embed(input_ids, attention_mask, token_type_ids)
        logits = []
        for exit_layer in range(1, self.num_exits + 1):
            state = self.backbone.layer(exit_layer - 1, state)
            logits.append(self.heads(exit_layer, state))  # [batch, classes]
        return torch.stack(logits)  # [exits, batch, classes]
