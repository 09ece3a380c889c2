"""WikiText-103 (Merity et al. 2016, arXiv:1609.07843): text of Wikipedia, CC BY-SA."""

from preprocess.corpus import Corpus, Split, main
from preprocess.counts import Counts

ARCHIVES = (
    "https://wikitext.smerity.com/wikitext-103-v1.zip",
    "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-103-v1.zip",
)


def split(name: str, *counts: int | None) -> Split:
    """Return a file of the corpus, with its :class:`Counts`."""
    return Split((f"wiki.{name}.tokens", f"{name}.txt"), Counts(*counts))


WT103 = Corpus(
    "wt103",
    {
        "train": split("train", 1_801_350, 103_227_021, None, 267_735),
        "valid": split("valid", 3760, 217_646, 1657, 18_891),
        "test": split("test", 4358, 245_569, 2492, 19_766),
    },
    archives=ARCHIVES,
    archive_sha256="242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590",
    dictionary=267_737,
)

if __name__ == "__main__":
    main(WT103)
