"""The adapter of ALBERT, the backbone of the paper."""

from dataclasses import replace

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedConfig
from typing_extensions import override

from ee_lightning.errors import OptionError
from ee_lightning.models.backbones.backbone import Backbone, EncoderState


class AlbertBackbone(Backbone):
    """ALBERT: layers share their weights, all of them or, in several groups, those of a group.

    A group may hold several layers with weights of their own (``inner_group_num``), which run one after another each
    time that the group does. Each run of a layer counts as a layer and carries an exit.

    Source: Lan et al. 2020 (arXiv 1909.11942).
    """

    families = ("albert",)
    recomputes = False

    @override
    @classmethod
    def depth(cls, config: PreTrainedConfig) -> int:
        return int(config.num_hidden_layers * config.inner_group_num)

    @override
    @classmethod
    def stored_layers(cls, config: PreTrainedConfig) -> int:
        """Those of a group."""
        return int(config.num_hidden_groups * config.inner_group_num)

    @override
    @classmethod
    def shorten(cls, config: PreTrainedConfig, num_layers: int) -> None:
        """Groups of unequal size are none that a configuration can have."""
        groups = _groups(config.num_hidden_layers, config.num_hidden_groups)
        possible = {
            runs * config.inner_group_num: runs
            for runs in range(1, len(groups) + 1)
            if _groups(runs, groups[runs - 1] + 1) == groups[:runs]
        }
        if num_layers not in possible:
            raise OptionError(
                f"{num_layers} layers are to be kept of an ALBERT whose layers share their weights in "
                f"{config.num_hidden_groups} groups of {config.inner_group_num}, and no ALBERT has just these",
                where="--model.num_layers",
                hint=f"give one of {', '.join(map(str, possible))}",
            )
        config.num_hidden_layers = possible[num_layers]
        config.num_hidden_groups = groups[config.num_hidden_layers - 1] + 1

    @override
    def embedding(self, input_ids: Tensor, padding_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        narrow = self.encoder.embeddings(input_ids, token_type_ids=token_type_ids)  # [batch, length, narrow]
        hidden: Tensor = self.encoder.encoder.embedding_hidden_mapping_in(narrow)  # [batch, length, width]
        return hidden

    @override
    def layer(self, index: int, state: EncoderState) -> EncoderState:
        layer, arguments = self._shared_layer(index), (state.hidden, state.attention_mask)
        if self.recomputes and self.training:
            return replace(state, hidden=checkpoint(layer, *arguments, use_reentrant=False))
        return replace(state, hidden=layer(*arguments))  # [batch, length, width]

    @override
    def recompute_layers(self) -> None:
        """For this family transformers offers nothing of the kind."""
        self.recomputes = True

    def _shared_layer(self, index: int) -> nn.Module:
        config, encoder = self.encoder.config, self.encoder.encoder
        run, inner = divmod(index, config.inner_group_num)
        group = _groups(config.num_hidden_layers, config.num_hidden_groups)[run]
        layer: nn.Module = encoder.albert_layer_groups[group].albert_layers[inner]
        return layer


def _groups(num_runs: int, num_groups: int) -> list[int]:
    """Return the group that takes each run, as the model shares them out."""
    return [int(run / (num_runs / num_groups)) for run in range(num_runs)]
