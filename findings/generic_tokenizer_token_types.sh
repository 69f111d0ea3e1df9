#!/usr/bin/env bash
# Guess: a fast tokenizer whose post-processor numbers the two texts of a pair returns these numbers as token_type_ids.
# Really: PreTrainedTokenizerFast of transformers 5 leaves token_type_ids out unless they are asked for, though the
#   tokenizer below it has them: a BERT that was saved with the generic class reads both texts as the first one.
# Version: transformers 5.23.0, tokenizers 0.23.3
# Seen: default ['attention_mask', 'input_ids'] | asked for [0, 0, 0, 1, 1] | below [0, 0, 0, 1, 1]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 tokenizers==0.23.3
seen=$("$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

words = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "rain": 3, "sun": 4}
below = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
below.pre_tokenizer = pre_tokenizers.Whitespace()
below.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]",
    pair="[CLS] $A [SEP] $B:1 [SEP]:1",
    special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=below, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")
asked = tokenizer("rain", "sun", return_token_type_ids=True)["token_type_ids"]
print("default", sorted(tokenizer("rain", "sun")), "| asked for", asked, "| below", below.encode("rain", "sun").type_ids)
PYTHON
)
echo "$seen"
[[ $seen == "default ['attention_mask', 'input_ids'] | asked for [0, 0, 0, 1, 1] | below [0, 0, 0, 1, 1]" ]]
