"""The adapter of ModernBERT."""

from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.masking_utils import create_bidirectional_sliding_window_mask
from typing_extensions import override

from ee_lightning.models.backbones.backbone import Backbone, EncoderState


class ModernBertBackbone(Backbone):
    """ModernBERT: some layers attend to all tokens and others to near ones, each kind with rotary positions of its own.

    It has no token types. Exits see the model's own hidden states: after the last layer they are normalised, after
    the others they are not.

    Source: Warner et al. 2024 (arXiv 2412.13663).
    """

    families = ("modernbert",)

    @override
    @classmethod
    def shorten(cls, config: PreTrainedConfig, num_layers: int) -> None:
        """The configuration has the kind of each layer too."""
        config.layer_types = config.layer_types[:num_layers]
        super().shorten(config, num_layers)

    @override
    def embedding(self, input_ids: Tensor, padding_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        hidden: Tensor = self.encoder.embeddings(input_ids=input_ids)  # [batch, length, width]
        return hidden

    @override
    def state(self, hidden: Tensor, padding_mask: Tensor, *, is_padded: bool | None = None) -> EncoderState:
        """The extras of a kind of layer are what its layers take."""
        state = super().state(hidden, padding_mask, is_padded=is_padded)
        near = create_bidirectional_sliding_window_mask(
            config=self.encoder.config,
            inputs_embeds=hidden,
            attention_mask=None if is_padded is False else padding_mask,
            allow_is_bidirectional_skip=not is_padded,
        )  # [batch, 1, length, length], or None
        masks = {"full_attention": state.attention_mask, "sliding_attention": near}
        places = torch.arange(hidden.shape[1], device=hidden.device).unsqueeze(0)  # [1, length]
        extras = {
            kind: {
                "attention_mask": masks[kind],
                "position_embeddings": self.encoder.rotary_emb(hidden, places, kind),  # twice [1, length, head width]
            }
            for kind in set(self.encoder.config.layer_types)
        }
        return replace(state, extras=extras)

    @override
    def layer(self, index: int, state: EncoderState) -> EncoderState:
        layer = self.encoder.layers[index]
        hidden = layer(state.hidden, **state.extras[layer.attention_type])  # [batch, length, width]
        if index == self.num_layers - 1:
            hidden = self.encoder.final_norm(hidden)  # [batch, length, width]
        return replace(state, hidden=hidden)
