"""The protocol by which an encoder is stepped layer by layer."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask

from ee_lightning.errors import OptionError

FAMILIES: dict[str, type["Backbone"]] = {}
"""The adapter of each ``model_type``."""


@dataclass(frozen=True)
class EncoderState:
    """What flows from one layer to the next.

    Attributes:
        hidden: Hidden states, ``[batch, length, width]``.
        padding_mask: 1 for tokens and 0 for padding, ``[batch, length]``.
        attention_mask: The same in the form that the family's attention takes; None if nothing is masked.
        extras: What else the family's layers take, such as positions. It depends on the batch, its length and its mask
            alone, and :meth:`Backbone.state` makes it again for other samples.
    """

    hidden: Tensor
    padding_mask: Tensor
    attention_mask: Tensor | None
    extras: Mapping[str, Any] = field(default_factory=dict)


class Backbone(nn.Module, ABC):
    """Steps an installed, pretrained ``transformers`` encoder through its own modules.

    A family's adapter names the ``model_type`` values it serves and drives the modules of the given model by
    :meth:`embedding` and :meth:`layer`, with a :meth:`state` of its own where layers take more than a mask; it holds no
    modeling code. The hidden states are, bit for bit, those of the model's own ``output_hidden_states``. It serves its
    families as soon as its class is defined, in place of an adapter that served them before.
    """

    families: tuple[str, ...]
    encoder: Any  # which modules it has differs by family

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        FAMILIES.update(dict.fromkeys(vars(cls).get("families", ()), cls))

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = encoder
        if hasattr(encoder, "pooler"):
            self.encoder.pooler = None  # the exits pool for themselves

    @classmethod
    def depth(cls, config: PreTrainedConfig) -> int:
        """Return the number of layers of the model of a configuration."""
        return int(config.num_hidden_layers)

    @classmethod
    def stored_layers(cls, config: PreTrainedConfig) -> int:
        """Return the number of layers with weights of their own, each of at least one tensor."""
        return cls.depth(config)

    @classmethod
    def shorten(cls, config: PreTrainedConfig, num_layers: int) -> None:
        """Change a configuration to that of a model of the first layers only, or raise an OptionError if none is."""
        config.num_hidden_layers = num_layers

    @property
    def num_layers(self) -> int:
        """Number of layers, each of which carries one exit."""
        return self.depth(self.encoder.config)

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states."""
        return int(self.encoder.config.hidden_size)

    @property
    def vocabulary_size(self) -> int:
        """The number of tokens that there are embeddings for."""
        return int(self.encoder.get_input_embeddings().num_embeddings)

    @property
    def max_length(self) -> int | None:
        """The most tokens of a sample that there are positions for; None where these have no table."""
        table = getattr(getattr(self.encoder, "embeddings", None), "position_embeddings", None)
        if not isinstance(table, nn.Embedding):
            return None
        return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)

    def embed(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        *,
        is_padded: bool | None = None,
    ) -> EncoderState:
        """Return the state before the first layer; arguments as for the model and for :meth:`state`.

        Token types are ignored where the model does not distinguish them, as some tokenizers give them all the same.
        """
        if getattr(self.encoder.config, "type_vocab_size", 0) < 2:
            token_type_ids = None
        hidden = self.embedding(input_ids, attention_mask, token_type_ids)  # [batch, length, width]
        return self.state(hidden, attention_mask, is_padded=is_padded)

    @abstractmethod
    def embedding(self, input_ids: Tensor, padding_mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        """Return what the first layer takes, ``[batch, length, width]``; arguments are ``[batch, length]``."""

    def state(self, hidden: Tensor, padding_mask: Tensor, *, is_padded: bool | None = None) -> EncoderState:
        """Return the state of hidden states, also of samples that were selected, trimmed or put together.

        Args:
            hidden: Hidden states, ``[batch, length, width]``.
            padding_mask: 1 for tokens and 0 for padding, ``[batch, length]``.
            is_padded: Whether anything is padding; None finds out, for which an accelerator is waited for.
        """
        return EncoderState(hidden, padding_mask, self.bidirectional_mask(hidden, padding_mask, is_padded=is_padded))

    def bidirectional_mask(self, hidden: Tensor, padding_mask: Tensor, *, is_padded: bool | None) -> Tensor | None:
        """Mask padding in the form that the model's kind of attention takes; arguments as for :meth:`state`."""
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
        """Run the layer ``index`` (counted from 0) and return the state after it."""

    def recompute_layers(self) -> None:
        """Run layers again in the backward pass instead of keeping what they computed, or raise an OptionError."""
        if not self.encoder.supports_gradient_checkpointing:
            raise OptionError(
                f"layers of {self.encoder.config.model_type} can't be run again in the backward pass",
                where="--model.optimization.gradient_checkpointing",
                hint="leave it out; a smaller --data.batch_size and --trainer.accumulate_grad_batches save memory too",
            )
        self.encoder.activation_checkpointing_enable()
