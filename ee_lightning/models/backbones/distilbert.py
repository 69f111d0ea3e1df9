"""The adapter of DistilBERT."""

from dataclasses import replace

from torch import Tensor
from typing_extensions import override

from ee_lightning.models.backbones.backbone import Backbone, EncoderState


class DistilBertBackbone(Backbone):
    """DistilBERT: BERT without token types, its layers under ``transformer``.

    Source: Sanh et al. 2019 (arXiv 1910.01108).
    """

    families = ("distilbert",)

    @override
    def embedding(self, input_ids: Tensor, padding_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        hidden: Tensor = self.encoder.embeddings(input_ids)  # [batch, length, width]
        return hidden

    @override
    def layer(self, index: int, state: EncoderState) -> EncoderState:
        hidden = self.encoder.transformer.layer[index](state.hidden, state.attention_mask)  # [batch, length, width]
        return replace(state, hidden=hidden)
