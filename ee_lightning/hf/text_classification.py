"""The pipeline ``text-classification``, which shows where an early-exit model left."""

from collections.abc import Mapping
from typing import Any

from transformers.pipelines import PIPELINE_REGISTRY
from transformers.pipelines.text_classification import TextClassificationPipeline
from typing_extensions import override

from ee_lightning.functional import Kind
from ee_lightning.hf.modeling import EarlyExitForSequenceClassification

_TASK = "text-classification"


class EarlyExitTextClassification(TextClassificationPipeline):
    """Classifies texts as `TextClassificationPipeline` does; each answer of an early-exit model has its ``exit_layer``.

    Labels and scores are those of the predictor, which cuts long texts: the label that the criterion decides on comes
    first, also where another is more likely at that exit. Pairs are tuples, ``{"text": …, "text_pair": …}``, or
    mappings by the names of the task's columns. Any other model is served as before.
    """

    @override
    def preprocess(self, inputs: Any, **tokenizer_kwargs: Any) -> Any:  # type: ignore[override]
        if not isinstance(self.model, EarlyExitForSequenceClassification):
            return super().preprocess(inputs, **tokenizer_kwargs)
        if "text_pair" in tokenizer_kwargs:
            inputs = (inputs, tokenizer_kwargs.pop("text_pair"))
        elif isinstance(inputs, Mapping) and "text_pair" in inputs:
            inputs = (inputs["text"], inputs["text_pair"])
        elif isinstance(inputs, Mapping) and set(inputs) == {"text"}:
            inputs = inputs["text"]
        predictor = self.model.predictor
        texts = predictor.texts_of(inputs)
        if not tokenizer_kwargs:
            return predictor.engine.pad([predictor.encode(texts)[0]])
        if tokenizer_kwargs.get("truncation"):  # the tokenizer alone knows the pretrained weights' length only
            tokenizer_kwargs.setdefault("max_length", predictor.deployment.max_length)
        tokenizer: Any = self.tokenizer
        return tokenizer(*texts, return_tensors="pt", **tokenizer_kwargs)

    @override
    def postprocess(  # type: ignore[override]
        self, model_outputs: Any, function_to_apply: Any = None, top_k: int | None = 1, _legacy: bool = True
    ) -> Any:
        if not isinstance(self.model, EarlyExitForSequenceClassification):
            return super().postprocess(model_outputs, function_to_apply, top_k, _legacy)  # type: ignore[no-untyped-call]
        of_classes: Any = super().postprocess(model_outputs, function_to_apply, None, True)  # type: ignore[no-untyped-call]
        exit_layer = int(model_outputs["exit_layer"])
        answers = [{**each, "exit_layer": exit_layer} for each in of_classes]
        decided = -1
        if self.model.predictor.deployment.target.kind is Kind.SINGLE_LABEL:
            decided = int(model_outputs["labels"])
        order = sorted(range(len(answers)), key=lambda place: (place != decided, -answers[place]["score"]))
        best_first = [answers[place] for place in order]
        return best_first[0] if top_k == 1 and _legacy else best_first[:top_k]


PIPELINE_REGISTRY.supported_tasks[_TASK] = {
    **PIPELINE_REGISTRY.supported_tasks[_TASK],
    "impl": EarlyExitTextClassification,
}
