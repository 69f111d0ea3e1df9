"""The adapter of BERT and of the families that kept its shape."""

from dataclasses import replace

from torch import Tensor
from transformers import PreTrainedModel

from ee_lightning.models.backbones.backbone import Backbone, EncoderState


class BertBackbone(Backbone):
    """BERT, RoBERTa, XLM-R, CamemBERT and ELECTRA: ``embeddings``, then ``encoder.layer[m](hidden, mask)``.

    Sources: Devlin et al. 2019 (arXiv 1810.04805), Liu et al. 2019 (arXiv 1907.11692), Conneau et al. 2020 (arXiv
    1911.02116), Martin et al. 2020 (arXiv 1911.03894), Clark et al. 2020 (arXiv 2003.10555).
    """

    families = ("bert", "roberta", "xlm-roberta", "camembert", "electra")

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__(encoder)
        if hasattr(encoder, "pooler"):
            self.encoder.pooler = None  # the exits pool for themselves

    def embed(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        *,
        is_padded: bool | None = None,
    ) -> EncoderState:
        """See :meth:`Backbone.embed`."""
        hidden = self.encoder.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)  # [batch, length, width]
        if hasattr(self.encoder, "embeddings_project"):  # ELECTRA, where embeddings are narrower than layers
            hidden = self.encoder.embeddings_project(hidden)  # [batch, length, width]
        return self.state(hidden, attention_mask, is_padded=is_padded)

    def state(self, hidden: Tensor, padding_mask: Tensor, *, is_padded: bool | None = None) -> EncoderState:
        """See :meth:`Backbone.state`."""
        return EncoderState(hidden, padding_mask, self.bidirectional_mask(hidden, padding_mask, is_padded=is_padded))

    def layer(self, index: int, state: EncoderState) -> EncoderState:
        """See :meth:`Backbone.layer`."""
        hidden = self.encoder.encoder.layer[index](state.hidden, state.attention_mask)  # [batch, length, width]
        return replace(state, hidden=hidden)
