"""End the training on a write error, before it replaces a complete checkpoint."""

import collections
from typing import Any


class WrittenOnce(dict):
    """Values of a checkpoint that can be pickled once, after which they are an OrderedDict.

    If torch.save fails, fairseq calls it again on the same open file, without rewinding. Once the disk has
    room again, the second call succeeds, and fairseq moves a file that begins with the remains of the first
    one over the last complete checkpoint. The second call therefore ends the program: fairseq catches every
    Exception, which SystemExit is not.
    """

    was_pickled = False

    def __reduce__(self) -> tuple[Any, ...]:
        if self.was_pickled:
            raise SystemExit(
                "lm_plugins: error: a checkpoint could not be written, perhaps because the disk is full: the "
                "last complete one was not replaced; free some space, and the same command continues from it"
            )
        self.was_pickled = True
        return collections.OrderedDict, (list(self.items()),)
