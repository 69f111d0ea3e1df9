#!/usr/bin/env bash
# Guess: WordPiece splits a word of any length into pieces, so a vocabulary that has every letter knows every word.
# Really: a word of more than 100 characters becomes one unknown token, whatever the vocabulary has. A long address or a
#   text of a language written without spaces that the pre-tokenizer does not split loses all its content, and the text
#   gets shorter, not longer: a model sees an easy short text.
# Version: tokenizers 0.22.1
# Seen: 100 letters: 100 tokens; 101 letters: 1 token, [UNK]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install tokenizers==0.22.1
seen=$("$folder/venv/bin/python" - <<'PY'
from tokenizers import Tokenizer, models, pre_tokenizers

words = {"[UNK]": 0, "a": 1, "##a": 2}
tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
short, long = (tokenizer.encode("a" * letters).tokens for letters in (100, 101))
print(f"100 letters: {len(short)} tokens; 101 letters: {len(long)} token, {long[0]}")
PY
)
echo "$seen"
[[ $seen == "100 letters: 100 tokens; 101 letters: 1 token, [UNK]" ]]
