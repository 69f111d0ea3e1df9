"""Hugging Face: once this is imported, `AutoModelForSequenceClassification` and ``pipeline`` load saved models."""

from ee_lightning.extras import telling_missing

with telling_missing():
    from ee_lightning.hf.modeling import EarlyExitForSequenceClassification as EarlyExitForSequenceClassification
    from ee_lightning.hf.modeling import EarlyExitOutput as EarlyExitOutput
    from ee_lightning.hf.text_classification import EarlyExitTextClassification as EarlyExitTextClassification
    from ee_lightning.inference.config import EarlyExitConfig as EarlyExitConfig
