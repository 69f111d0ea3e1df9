"""The adapter of BERT and of the families that kept its shape."""

from dataclasses import replace

from torch import Tensor
from typing_extensions import override

from ee_lightning.models.backbones.backbone import Backbone, EncoderState


class BertBackbone(Backbone):
    """BERT, RoBERTa, XLM-R, CamemBERT and ELECTRA: ``embeddings``, then ``encoder.layer[m](hidden, mask)``.

    Sources: Devlin et al. 2019 (arXiv 1810.04805), Liu et al. 2019 (arXiv 1907.11692), Conneau et al. 2020 (arXiv
    1911.02116), Martin et al. 2020 (arXiv 1911.03894), Clark et al. 2020 (arXiv 2003.10555).
    """

    families: tuple[str, ...] = ("bert", "roberta", "xlm-roberta", "camembert", "electra")

    @override
    def embedding(self, input_ids: Tensor, padding_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        hidden: Tensor = self.encoder.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
        if hasattr(self.encoder, "embeddings_project"):  # ELECTRA, where embeddings are narrower than layers
            hidden = self.encoder.embeddings_project(hidden)  # [batch, length, width]
        return hidden

    @override
    def layer(self, index: int, state: EncoderState) -> EncoderState:
        hidden = self.encoder.encoder.layer[index](state.hidden, state.attention_mask)  # [batch, length, width]
        return replace(state, hidden=hidden)
