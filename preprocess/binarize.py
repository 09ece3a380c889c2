"""Binarize texts with fairseq-preprocess."""

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

OPTIONS = ("--only-source", "--padding-factor", "1")


def binarize(texts: dict[str, Path], dest: Path, options: Sequence[str] = ()) -> None:
    """Binarize {split: text file} into the folder `dest`, leaving its other files untouched.

    fairseq writes into ``.binarizing`` first, so that unfinished files are never mistaken for complete ones.

    Raises:
        SystemExit: the folder cannot be written.
    """
    from fairseq.options import get_preprocessing_parser  # the import takes seconds
    from fairseq_cli import preprocess

    dest = Path(dest)
    unfinished = dest / ".binarizing"
    shutil.rmtree(unfinished, ignore_errors=True)
    prefixes = [word for split, path in texts.items() for word in (f"--{split}pref", str(path))]
    arguments = [*OPTIONS, *prefixes, *options, "--destdir", str(unfinished)]
    try:
        unfinished.mkdir(parents=True)
        with logged_to_file(preprocess.logger):
            preprocess.main(get_preprocessing_parser().parse_args(arguments))
        for path in unfinished.iterdir():
            path.replace(dest / path.name)
        unfinished.rmdir()
    except OSError as error:
        raise SystemExit(f"error: {dest} cannot be written: {error}") from error


@contextmanager
def logged_to_file(logger: logging.Logger) -> Iterator[None]:
    """Keep the messages of fairseq-preprocess in its preprocess.log only."""
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        for handler in list(logger.handlers):
            handler.close()
            logger.removeHandler(handler)


def write_symbols(texts: Iterable[Path], dest: Path, symbols: Iterable[str] = ()) -> Path:
    """Write a dictionary for ``--srcdict``, `dest`/text/symbols.txt, in descending order of counts.

    Args:
        symbols: symbols to include even if the `texts` do not have them

    Returns:
        the path of the dictionary
    """
    counts = Counter(dict.fromkeys(symbols, 0))
    for path in texts:
        with open(path, encoding="utf-8") as file:
            for line in file:
                counts.update(line.split())
    path = Path(dest) / "text" / "symbols.txt"
    lines = [f"{symbol} {number}\n" for symbol, number in counts.most_common()]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def tokens_of(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens of `split`, line ends included, [N], and the sizes of its lines."""
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    dataset = MMapIndexedDataset(str(Path(folder) / split))
    return np.memmap(Path(folder) / f"{split}.bin", mode="r", dtype=dataset._index.dtype), np.array(
        dataset.sizes
    )


def drop_ends(folder: Path, split: str, every_line: bool) -> None:
    """Rewrite `split` without the ``</s>`` that fairseq appended to its last line, or to every line.

    In corpora of bytes or characters, a line break that is not in the corpus must not be a target.
    """
    from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder
    from torch import from_numpy

    tokens, sizes = tokens_of(folder, split)
    ends = np.cumsum(sizes)
    unfinished = Path(folder) / f"{split}.rewritten"
    builder = MMapIndexedDatasetBuilder(f"{unfinished}.bin", dtype=tokens.dtype.type)
    for number, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        drop = every_line or number == len(sizes) - 1
        builder.add_item(from_numpy(tokens[end - size : end - 1 if drop else end].astype(np.int64)))
    builder.finalize(f"{unfinished}.idx")
    for suffix in ("bin", "idx"):
        Path(f"{unfinished}.{suffix}").replace(Path(folder) / f"{split}.{suffix}")
