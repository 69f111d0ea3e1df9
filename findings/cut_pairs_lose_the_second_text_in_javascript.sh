#!/usr/bin/env bash
# Guess: transformers.js cuts a pair of texts that is too long like the Python tokenizer of the same tokenizer.json does:
#   tokens leave the longer text until both fit, and each text keeps its separator.
# Really: it cuts the finished list of ids at max_length. A long pair loses its second text and the token types of it, and
#   the last token is no separator any more, of a single text either. So a model of pairs decides on the first text
#   alone, without an error or a warning.
# Version: @huggingface/transformers 4.3.2 on Node 20; transformers 5.23.0, tokenizers 0.23.3
# Seen: of the pair "a b c d", "A B C D" and six tokens, Python keeps [CLS] a [SEP] A B [SEP], JavaScript
#   [CLS] a b c d [SEP], and of "a b c d" in four tokens [CLS] a b c
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install transformers==5.23.0 tokenizers==0.23.3
cd "$folder"
{
  npm init --yes
  npm install --ignore-scripts --no-audit --no-fund @huggingface/transformers@4.3.2
} > log 2>&1 || { cat log; exit 1; }
cat > pair.mjs <<'JS'
import { AutoTokenizer, env } from "@huggingface/transformers";

env.allowRemoteModels = false;
env.localModelPath = "./";
const tokenizer = await AutoTokenizer.from_pretrained("saved");
const long = await tokenizer("a b c d", { text_pair: "A B C D", truncation: true, max_length: 6 });
const single = await tokenizer("a b c d", { truncation: true, max_length: 4 });
const tokens = (ids) => tokenizer.decode(Array.from(ids.data, Number), { clean_up_tokenization_spaces: false });
console.log(`JavaScript, pair: ${tokens(long.input_ids)}; types ${Array.from(long.token_type_ids.data, Number).join(" ")}`);
console.log(`JavaScript, single: ${tokens(single.input_ids)}`);
JS
seen=$(
  "$folder/venv/bin/python" -W ignore - 2>>log <<'PY'
from pathlib import Path

from transformers import BertTokenizer

Path("vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdABCD"]) + "\n")
tokenizer = BertTokenizer("vocab.txt", do_lower_case=False)
tokenizer.save_pretrained("saved")
pair = tokenizer("a b c d", "A B C D", truncation=True, max_length=6)
print(f"Python, pair: {tokenizer.decode(pair['input_ids'])}; types", *pair["token_type_ids"])
print("Python, single:", tokenizer.decode(tokenizer("a b c d", truncation=True, max_length=4)["input_ids"]))
PY
  node pair.mjs 2>>log
) || { cat log; exit 1; }
echo "$seen"
[[ $seen == "Python, pair: [CLS] a [SEP] A B [SEP]; types 0 0 0 1 1 1
Python, single: [CLS] a b [SEP]
JavaScript, pair: [CLS] a b c d [SEP]; types 0 0 0 0 0 0
JavaScript, single: [CLS] a b c" ]]
