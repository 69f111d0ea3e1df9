import resource
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "a", "cat", "dog", "sat", "ran", "slept", "on", "mat", "tree", "."]
MODEL_MAX_LENGTH = 24


MNLI_TEST_HEADER = "index\tpromptID\tpairID\tgenre\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\n"
MNLI_TEST_ROW = "0\t1\t1n\tfiction\t(a)\t(b)\t{text}\tAn animal.\n"
MNLI_HEADER = MNLI_TEST_HEADER.rstrip() + "\t{votes}\tgold_label\n"
MNLI_ROW = MNLI_TEST_ROW.rstrip() + "\t{votes}\t{gold}\n"
FIVE_VOTES = "\t".join(f"label{number}" for number in range(1, 6))
SNLI_HEADER = "index\tcaptionID\tpairID\tsentence1\tsentence2\tlabel1\tgold_label\n"


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    """Keep tokenised rows of tests out of the user's cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("EE_LIGHTNING_CACHE", str(folder))
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    return folder


@pytest.fixture
def full_disk():
    """A context manager in which no file grows beyond a few kilobytes."""

    @contextmanager
    def fill():
        before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))

    return fill


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory):
    """A word-piece tokenizer of a few words, as a backbone's folder holds it."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    backend = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = BertPreTokenizer()
    backend.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=MODEL_MAX_LENGTH,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def tokenizer(tokenizer_folder):
    return AutoTokenizer.from_pretrained(tokenizer_folder)


@pytest.fixture
def official_glue(tmp_path, glue):
    """Files of `glue` that a test may change."""
    return copytree(glue, tmp_path / "glue")


@pytest.fixture(scope="session")
def glue(tmp_path_factory):
    """Every GLUE task of the table in the official layout, with a few sentences of our own."""
    root = tmp_path_factory.mktemp("official") / "glue"
    files = {
        "CoLA/train.tsv": 'ab1\t1\t\tThe cat sat on the mat.\nab1\t0\t*\tCat the "sat mat.\nab1\t1\t\tA dog ran.\n',
        "CoLA/dev.tsv": "ab2\t0\t*\tSlept dog the.\nab2\t1\t\tThe dog slept.",
        "CoLA/test.tsv": "index\tsentence\n0\tThe tree slept.\n1\tA mat ran.\n",
        "SST-2/train.tsv": "sentence\tlabel\na lovely cat \t1\na dull dog \t0\na fine tree \t1\n",
        "SST-2/dev.tsv": "sentence\tlabel\nthe mat bored us \t0\n",
        "SST-2/test.tsv": "index\tsentence\n0\twhat a dog\n",
        "MRPC/train.tsv": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
        '1\t11\t12\t"The cat sat .\tOn the mat sat " the cat .\n0\t13\t14\tA dog ran .\tA tree fell .\n',
        "MRPC/dev.tsv": "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t15\t16\tThe cat ran .\tA dog slept .\n",
        "RTE/train.tsv": "index\tsentence1\tsentence2\tlabel\n"
        "0\tThe cat sat on the mat.\tThe cat sat.\tentailment\n1\tThe dog ran.\tThe dog slept.\tnot_entailment\n",
        "RTE/dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tA tree.\tA dog.\tnot_entailment\n",
        "RTE/test.tsv": "index\tsentence1\tsentence2\n0\tA cat ran.\tA cat.\n1\tA dog sat.\tA mat.\n",
        "WNLI/train.tsv": "index\tsentence1\tsentence2\tlabel\n0\tThe cat sat on it.\tThe cat sat on the mat.\t1\n",
        "WNLI/dev.tsv": "index\tsentence1\tsentence2\tlabel\n0\tThe dog ran.\tThe tree ran.\t0\n",
        "STS-B/train.tsv": "index\tgenre\tsource1\tsentence1\tsentence2\tscore\n"
        "0\tnews\tnone\tThe cat sat.\tA cat sat.\t5.000\n1\tnews\tnone\tThe dog ran.\tA tree slept.\t0.250\n",
        "STS-B/dev.tsv": "index\tgenre\tsource1\tsentence1\tsentence2\tscore\n0\tnews\tnone\tA tree.\tA dog.\t0.000\n",
        "STS-B/test.tsv": "index\tgenre\tsource1\tsentence1\tsentence2\n0\tnews\tnone\tA cat.\tA mat.\n",
        "QQP/train.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
        "7\t1\t2\tWho sat?\tWho sat on it?\t1\n8\t3\t4\tWho ran\n?\tWho slept?\t0\n9\t5\t6\tA cat?\tA dog?\t0\n",
        "QQP/dev.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n5\t1\t2\tA tree?\tA mat?\t0\n",
        "QQP/test.tsv": "id\tquestion1\tquestion2\n0\tWho ran?\tWho sat?\n",
        "QNLI/train.tsv": "index\tquestion\tsentence\tlabel\n"
        "0\tWho sat?\tThe cat sat.\tentailment\n1\tWho ran?\tThe cat sat.\tnot_entailment\n",
        "QNLI/dev.tsv": "index\tquestion\tsentence\tlabel\n0\tWho slept?\tA dog slept.\tentailment\n",
        "QNLI/test.tsv": "index\tquestion\tsentence\n0\tWho ran?\tA dog ran.\n",
        "MNLI/train.tsv": MNLI_HEADER.format(votes="label1")
        + MNLI_ROW.format(text="A cat sat.", votes="neutral", gold="neutral")
        + MNLI_ROW.format(text="A dog ran.", votes="contradiction", gold="contradiction"),
        "diagnostic/diagnostic.tsv": "index\tsentence1\tsentence2\n0\tThe cat sat.\tThe cat did not sit.\n",
        "SNLI/train.tsv": SNLI_HEADER
        + "0\tc\tp\tA cat sat.\tIt sat.\tentailment\tentailment\n1\tc\tp\tA dog ran.\tIt slept.\tneutral\t-\n"
        + "2\tc\tp\tA dog ran.\tIt sat.\tcontradiction\tcontradiction\n",
        "SNLI/dev.tsv": SNLI_HEADER + "0\tc\tp\tA tree.\tA dog.\tneutral\tneutral\n",
        **{
            f"MNLI/{split}_{half}.tsv": header + row.format(text=f"A {half} cat.", votes=five, gold="entailment")
            for half in ("matched", "mismatched")
            for split, header, row, five in (
                ("dev", MNLI_HEADER.format(votes=FIVE_VOTES), MNLI_ROW, "\t".join(["neutral"] * 5)),
                ("test", MNLI_TEST_HEADER, MNLI_TEST_ROW, ""),
            )
        },
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="")
    return root


@pytest.fixture(scope="session")
def real_glue():
    """The official GLUE files, where this machine has them."""
    folder = Path(__file__).parents[2].parent / "shared" / "data" / "glue"
    if not folder.is_dir():
        pytest.skip("the official GLUE files are not beside the repository, in ../shared/data/glue")
    return folder
