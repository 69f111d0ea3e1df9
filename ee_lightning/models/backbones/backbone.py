"""The protocol by which an encoder is stepped layer by layer."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask


@dataclass(frozen=True)
class EncoderState:
    """What flows from one layer to the next.

    Attributes:
        hidden: Hidden states, ``[batch, length, width]``.
        padding_mask: 1 for tokens and 0 for padding, ``[batch, length]``.
        attention_mask: The same in the form that the family's attention takes, batch first; None if nothing is masked.
    """

    hidden: Tensor
    padding_mask: Tensor
    attention_mask: Tensor | None


class Backbone(nn.Module, ABC):
    """Steps an installed ``transformers`` encoder through its own modules.

    A family's adapter names the ``model_type`` values it serves and drives the modules of the given model; it holds no
    modeling code. The hidden states are, bit for bit, those of the model's own ``output_hidden_states``.

    Args:
        encoder: The pretrained model.
    """

    families: tuple[str, ...]
    encoder: Any  # which modules it has differs by family

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = encoder

    @property
    def num_layers(self) -> int:
        """Number of layers, each of which carries one exit."""
        return int(self.encoder.config.num_hidden_layers)

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return int(self.encoder.config.hidden_size)

    @abstractmethod
    def embed(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        *,
        is_padded: bool | None = None,
    ) -> EncoderState:
        """Embed the tokens.

        Args:
            input_ids: Token ids, ``[batch, length]``.
            attention_mask: 1 for tokens and 0 for padding, ``[batch, length]``.
            token_type_ids: Sentence of each token where the family knows them, ``[batch, length]``.
            is_padded: As for :meth:`state`.

        Returns:
            The state before the first layer.
        """

    @abstractmethod
    def state(self, hidden: Tensor, padding_mask: Tensor, *, is_padded: bool | None = None) -> EncoderState:
        """Give the state of hidden states, also of samples that were selected, trimmed or put together.

        Args:
            hidden: Hidden states, ``[batch, length, width]``.
            padding_mask: 1 for tokens and 0 for padding, ``[batch, length]``.
            is_padded: Whether anything is padding; None finds out, for which an accelerator is waited for.
        """

    def bidirectional_mask(self, hidden: Tensor, padding_mask: Tensor, *, is_padded: bool | None) -> Tensor | None:
        """Mask padding for attention in both directions, in the form that the model's kind of attention takes.

        Args:
            hidden: Hidden states, ``[batch, length, width]``.
            padding_mask: 1 for tokens and 0 for padding, ``[batch, length]``.
            is_padded: As for :meth:`state`.
        """
        config, length = self.encoder.config, hidden.shape[1]
        if is_padded is False:
            return None
        if is_padded and config._attn_implementation == "sdpa":  # what follows gives the same, slower
            return padding_mask.bool()[:, None, None].expand(-1, 1, length, -1)  # [batch, 1, length, length]
        mask = create_bidirectional_mask(
            config=config,
            inputs_embeds=hidden,
            attention_mask=padding_mask,
            allow_is_bidirectional_skip=not is_padded,
        )
        return cast("Tensor | None", mask)

    @abstractmethod
    def layer(self, index: int, state: EncoderState) -> EncoderState:
        """Run the layer ``index`` (counted from 0) and return the state behind it."""
