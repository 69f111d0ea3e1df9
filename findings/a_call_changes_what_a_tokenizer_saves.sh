#!/usr/bin/env bash
# Guess: what save_pretrained writes of a fast tokenizer depends on how it was made; to call it changes nothing.
# Really: a call with padding and truncation leaves both in the tokenizer, and tokenizer.json has them. The tokenizers
#   library takes them from the file: every text is cut and padded to the length of the last call, so a runtime without
#   transformers gets other tokens than training had. transformers itself ignores them when it loads the folder.
# Version: transformers 5.23.0, tokenizers 0.23.3
# Seen: saved new: tokenizers 4, transformers 4 | saved after a call: tokenizers 16, transformers 4
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install transformers==5.23.0 tokenizers==0.23.3
cat > "$folder/save.py" <<'PY'
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "film", "dull"])}
made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
made.pre_tokenizer = pre_tokenizers.Whitespace()
made.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", special_tokens=[("[CLS]", words["[CLS]"]), ("[SEP]", words["[SEP]"])]
)
fast = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")


def told(folder):
    fast.save_pretrained(folder)
    alone = Tokenizer.from_file(f"{folder}/tokenizer.json").encode("a film").ids
    loaded = AutoTokenizer.from_pretrained(folder)("a film")["input_ids"]
    return f"tokenizers {len(alone)}, transformers {len(loaded)}"


new = told(f"{sys.argv[1]}/new")
fast(["a film", "a dull film"], padding="max_length", truncation=True, max_length=16)
print(f"saved new: {new} | saved after a call: {told(f'{sys.argv[1]}/called')}")
PY
seen=$("$folder/venv/bin/python" "$folder/save.py" "$folder" 2>/dev/null)
echo "$seen"
[[ $seen == "saved new: tokenizers 4, transformers 4 | saved after a call: tokenizers 16, transformers 4" ]]
