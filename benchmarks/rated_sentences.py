"""Makes the study's task of three classes, from sentences whose sentiment people rated between -4 and 4.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    python benchmarks/rated_sentences.py vaderSentiment-3.3.2.tar.gz ratings
    ee-lightning reproduce study --tasks Ratings --data.root ratings --model.backbone DIR

The package's source has 13,098 tweets, and sentences of product reviews and of newspaper editorials, with the mean of
20 ratings each (Hutto and Gilbert 2014; MIT licence). Below -1 they are negative here, above 1 positive. Some 2,000 are
the validation split; sentences of the same text are on the same side.
"""

import csv
import random
import tarfile
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from pathlib import Path

SOURCES = ("tweets", "amazonReviewSnippets", "nytEditorialSnippets")
VALIDATION = 2000


def label(rating: float) -> str:
    return "negative" if rating < -1 else "positive" if rating > 1 else "neutral"


def main(options: Namespace) -> None:
    by_text = defaultdict(list)
    with tarfile.open(options.archive) as outer:
        inside = next(name for name in outer.getnames() if name.endswith("hutto_ICWSM_2014.tar.gz"))
        with tarfile.open(fileobj=outer.extractfile(inside)) as inner:
            for source in SOURCES:
                file = inner.extractfile(f"hutto_ICWSM_2014/{source}_GroundTruth.txt")
                assert file is not None
                for line in file.read().decode("latin-1").splitlines():
                    number, rating, sentence = line.split("\t")
                    by_text[source, number.partition("_")[0]].append((sentence, label(float(rating))))
    texts = [by_text[key] for key in sorted(by_text)]
    random.Random(0).shuffle(texts)
    rows: dict[str, list[tuple[str, str]]] = {"validation": [], "train": []}
    for sentences in texts:
        rows["validation" if len(rows["validation"]) < VALIDATION else "train"] += sentences
    options.folder.mkdir(parents=True, exist_ok=True)
    for split, of_split in rows.items():
        with (options.folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as written:
            csv.writer(written).writerows([("sentence", "label"), *of_split])
        print(f"{split}: {len(of_split)} rows")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="the package's source archive")
    parser.add_argument("folder", type=Path, help="the folder to write")
    main(parser.parse_args())
