"""List the kernels, copies and waits of an update: ``python -m tests.helpers.count_kernels ARCH [FLAGS]``.

A small model trains on a pretended GPU for four updates. The list is that of the last one, by place.
"""

import sys
import tempfile
from pathlib import Path

from tests.helpers.corpus import binarize, write_corpus
from tests.helpers.gpu_runs import SMALL, Server
from tests.helpers.pretended_gpu import guard


def main(arch: str, *flags: str) -> None:
    """Print the counts of an update of `arch`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = folder / "guard.so"
        guard.build(library)
        write_corpus(folder)
        server = Server(library, folder, gpus=1)
        finished = server(
            "train", binarize(folder), "--arch", arch, *SMALL, "--save-dir", folder / "run", *flags
        )
        server.close()
    for what, counts in finished.update().items():
        print(f"{sum(counts.values()):g} {what}")
        for place, count in sorted(counts.items(), key=lambda item: item[0].split()[-1]):
            print(f"  {count:6g}  {place}")


if __name__ == "__main__":
    main(*sys.argv[1:])
