"""A small configuration of every family that has an adapter, and what not all families can."""

from transformers import (
    MODEL_MAPPING,
    AlbertConfig,
    BertConfig,
    CamembertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    MobileBertConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
}
FAMILY_CONFIGS: dict[str, PreTrainedConfig] = {
    "albert": AlbertConfig(**SMALL, embedding_size=16),
    "bert": BertConfig(**SMALL),
    "roberta": RobertaConfig(**SMALL),
    "xlm-roberta": XLMRobertaConfig(**SMALL),
    "camembert": CamembertConfig(**SMALL),
    "electra": ElectraConfig(**SMALL, embedding_size=16),
    "deberta-v2": DebertaV2Config(
        **SMALL,
        relative_attention=True,
        pos_att_type="p2c|c2p",
        position_buckets=4,  # so that far tokens share one
        position_biased_input=False,
        share_att_key=True,
        norm_rel_ebd="layer_norm",
        conv_kernel_size=3,
        conv_act="gelu",
    ),
    "distilbert": DistilBertConfig(
        vocab_size=50, dim=32, n_layers=4, n_heads=4, hidden_dim=48, max_position_embeddings=40
    ),
    "mobilebert": MobileBertConfig(
        **SMALL, embedding_size=16, intra_bottleneck_size=16, num_feedforward_networks=2, initializer_range=0.1
    ),
    "modernbert": ModernBertConfig(
        **SMALL,
        local_attention=4,  # so that near layers don't see all tokens
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
    ),
    "mpnet": MPNetConfig(**SMALL),
}
EAGER_ALONE = {family for family, config in FAMILY_CONFIGS.items() if not MODEL_MAPPING[type(config)]._supports_sdpa}
"""Families whose attention is their own."""
NOT_RECOMPUTED = {"mpnet"}
"""Families whose layers transformers can't run again in the backward pass."""
