#!/usr/bin/env bash
# Guess: the OpenVINO model that openvino-tokenizers makes of a tokenizer cuts long pairs to the same tokens, and
#   convert_tokenizer(tokenizer, max_length=6) cuts them to six.
# Really: max_length alone cuts nothing; it needs truncation=True. Then, of two texts of equal length, the one token
#   that is left over goes to the first text, where the tokenizer itself gives it to the second. So the model of a pair
#   task sees other tokens than in training, without an error.
# Version: openvino-tokenizers 2026.4.1.0, transformers 5.23.0, tokenizers 0.23.3
# Seen: max_length=6 leaves 11 tokens; with truncation=True the tokenizer keeps a | A B, the OpenVINO model a b | A
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install openvino-tokenizers==2026.4.1.0 openvino==2026.4.1 \
  transformers==5.23.0 tokenizers==0.23.3 numpy==2.4.6
cd "$folder"
seen=$("$folder/venv/bin/python" -W ignore - 2>"$folder/log" <<'PY'
from pathlib import Path

import openvino
from openvino_tokenizers import convert_tokenizer
from transformers import BertTokenizer

Path("vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdABCD"]) + "\n")
tokenizer = BertTokenizer("vocab.txt", do_lower_case=False)
pair = "a b c d", "A B C D"


def report(name, ids):
    print(f"{name}: {len(ids)} tokens: {' '.join(tokenizer.convert_ids_to_tokens(ids))}")


for options in ({"max_length": 6}, {"max_length": 6, "truncation": True}):
    graph = convert_tokenizer(tokenizer, number_of_inputs=2, **options)
    ids = openvino.compile_model(graph, "CPU")([[text] for text in pair])["input_ids"][0].tolist()
    report(f"OpenVINO, {', '.join(options)}", ids)
report("tokenizer", tokenizer(*pair, max_length=6, truncation=True)["input_ids"])
PY
) || { cat "$folder/log"; exit 1; }
echo "$seen"
[[ $seen == "OpenVINO, max_length: 11 tokens: [CLS] a b c d [SEP] A B C D [SEP]
OpenVINO, max_length, truncation: 6 tokens: [CLS] a b [SEP] A [SEP]
tokenizer: 6 tokens: [CLS] a [SEP] A B [SEP]" ]]
