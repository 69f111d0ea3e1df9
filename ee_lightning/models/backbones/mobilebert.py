"""The adapter of MobileBERT."""

from torch import Tensor
from transformers import PreTrainedConfig
from typing_extensions import override

from ee_lightning.models.backbones.bert import BertBackbone


class MobileBertBackbone(BertBackbone):
    """MobileBERT: BERT's shape, but a token's embedding is made of its neighbours' too.

    Beside the last token the model sees nothing when a sample stands alone, and the padding token's embedding when it
    is padded. Here it always sees nothing, so that a sample does not depend on the others of its batch: padded hidden
    states are the model's own if that embedding is 0.

    Source: Sun et al. 2020 (arXiv 2004.02984).
    """

    families = ("mobilebert",)

    @override
    @classmethod
    def stored_layers(cls, config: PreTrainedConfig) -> int:
        """Each has several feed-forward networks."""
        return int(config.num_hidden_layers * max(1, config.num_feedforward_networks))

    @override
    def embedding(self, input_ids: Tensor, padding_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        embeddings = self.encoder.embeddings
        words = embeddings.word_embeddings(input_ids) * padding_mask.unsqueeze(-1)  # [batch, length, narrow]
        hidden: Tensor = embeddings(inputs_embeds=words, token_type_ids=token_type_ids)  # [batch, length, width]
        return hidden
