"""The adapter of MPNet."""

from dataclasses import replace

from torch import Tensor
from typing_extensions import override

from ee_lightning.models.backbones.backbone import Backbone, EncoderState


class MPNetBackbone(Backbone):
    """MPNet: BERT without token types, and a bias by relative position that all layers share.

    Source: Song et al. 2020 (arXiv 2004.09297).
    """

    families = ("mpnet",)

    @override
    def embedding(self, input_ids: Tensor, padding_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        hidden: Tensor = self.encoder.embeddings(input_ids=input_ids)  # [batch, length, width]
        return hidden

    @override
    def state(self, hidden: Tensor, padding_mask: Tensor, *, is_padded: bool | None = None) -> EncoderState:
        state = super().state(hidden, padding_mask, is_padded=is_padded)
        bias = self.encoder.encoder.compute_position_bias(hidden[:1])  # [1, heads, length, length]
        return replace(state, extras={"position_bias": bias})

    @override
    def layer(self, index: int, state: EncoderState) -> EncoderState:
        layer = self.encoder.encoder.layer[index]
        (hidden,) = layer(state.hidden, state.attention_mask, **state.extras)  # [batch, length, width]
        return replace(state, hidden=hidden)
