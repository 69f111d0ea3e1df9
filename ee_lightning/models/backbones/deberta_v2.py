"""The adapter of DeBERTa v2 and v3."""

from dataclasses import replace

from torch import Tensor
from typing_extensions import override

from ee_lightning.models.backbones.backbone import Backbone, EncoderState


class DebertaV2Backbone(Backbone):
    """DeBERTa v2 and v3: attention by relative position, and in v2 a convolution beside the first layer.

    All layers share one table of relative positions. The model's attention is its own, without a fused kernel.

    Sources: He et al. 2021 (arXiv 2006.03654), He et al. 2023 (arXiv 2111.09543).
    """

    families = ("deberta-v2",)

    @override
    def embedding(self, input_ids: Tensor, padding_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        hidden: Tensor = self.encoder.embeddings(
            input_ids=input_ids, token_type_ids=token_type_ids, mask=padding_mask
        )  # [batch, length, width]; 0 where there is padding
        return hidden

    @override
    def state(self, hidden: Tensor, padding_mask: Tensor, *, is_padded: bool | None = None) -> EncoderState:
        """The family's attention takes a mask in any case."""
        encoder = self.encoder.encoder
        mask = encoder.get_attention_mask(padding_mask)  # [batch, 1, length, length]
        positions = {
            "relative_pos": encoder.get_rel_pos(hidden),  # [1, length, length]
            "rel_embeddings": encoder.get_rel_embedding(),  # [2 * span, width]
        }
        return EncoderState(hidden, padding_mask, mask, positions)

    @override
    def layer(self, index: int, state: EncoderState) -> EncoderState:
        encoder = self.encoder.encoder
        hidden, _ = encoder.layer[index](state.hidden, state.attention_mask, **state.extras)  # [batch, length, width]
        if index == 0 and encoder.conv is not None:
            hidden = encoder.conv(state.hidden, hidden, state.padding_mask)  # [batch, length, width]
        return replace(state, hidden=hidden)
