"""WikiText-2 (Merity et al. 2016, arXiv:1609.07843): text of Wikipedia, CC BY-SA."""

from preprocess.corpus import Corpus, Split, main
from preprocess.counts import Counts

ARCHIVES = (
    "https://wikitext.smerity.com/wikitext-2-v1.zip",
    "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
)


def split(name: str, digest: str, *counts: int) -> Split:
    """Return a file of the corpus, with its SHA-256 and its :class:`Counts`."""
    return Split((f"wiki.{name}.tokens", f"{name}.txt"), Counts(*counts), sha256=digest)


WT2 = Corpus(
    "wt2",
    {
        "train": split(
            "train",
            "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
            36718,
            2088628,
            54625,
            33278,
        ),
        "valid": split(
            "valid",
            "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
            3760,
            217646,
            11718,
            13777,
        ),
        "test": split(
            "test",
            "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
            4358,
            245569,
            15218,
            14143,
        ),
    },
    archives=ARCHIVES,
    archive_sha256="92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
    dictionary=33_280,
    padded=True,
)

if __name__ == "__main__":
    main(WT2)
