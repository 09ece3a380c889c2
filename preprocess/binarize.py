"""fairseq-preprocess into a folder that is complete or not there."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

OPTIONS = ("--only-source", "--padding-factor", "1")


def binarize(texts, dest, options=()):
    """Binarizes {split: text file} into the folder `dest`, beside what is there already.

    fairseq writes into a folder of its own first, so that nothing half done is taken for finished.

    Raises:
        SystemExit: fairseq-preprocess failed; its last words are printed.
    """
    dest = Path(dest)
    unfinished = dest / ".binarizing"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    prefixes = [part for split, path in texts.items() for part in (f"--{split}pref", str(path))]
    command = [sys.executable, "-m", "fairseq_cli.preprocess", *OPTIONS, *prefixes, *options]
    done = subprocess.run(
        [*command, "--destdir", str(unfinished)],
        capture_output=True,
        text=True,
        close_fds=False,  # it holds the lock of `dest` too
    )
    if done.returncode:
        print((done.stdout + done.stderr)[-2000:], file=sys.stderr)
        raise SystemExit("error: fairseq-preprocess failed, see the output above")
    for path in unfinished.iterdir():
        path.replace(dest / path.name)
    unfinished.rmdir()


def tokens_of(folder, split):
    """(tokens, with those that end lines; sizes of the lines) as fairseq has written them."""
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    dataset = MMapIndexedDataset(str(Path(folder) / split))
    return np.memmap(Path(folder) / f"{split}.bin", mode="r", dtype=dataset._index.dtype), np.array(
        dataset.sizes
    )


def drop_ends(folder, split, all_of_them):
    """Rewrites `split` without the ``</s>`` that fairseq put at the end of its last line, or of every line.

    For corpora of bytes or characters: a line break that is not in the corpus is no target.
    """
    from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder
    from torch import from_numpy

    tokens, sizes = tokens_of(folder, split)
    ends = np.cumsum(sizes)
    unfinished = Path(folder) / f"{split}.rewritten"
    builder = MMapIndexedDatasetBuilder(f"{unfinished}.bin", dtype=tokens.dtype.type)
    for number, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        last = all_of_them or number == len(sizes) - 1
        builder.add_item(from_numpy(tokens[end - size : end - 1 if last else end].astype(np.int64)))
    builder.finalize(f"{unfinished}.idx")
    for suffix in ("bin", "idx"):
        Path(f"{unfinished}.{suffix}").replace(Path(folder) / f"{split}.{suffix}")
