"""Stop with a clear message when memory runs out.

fairseq skips a window that does not fit into memory. The model then does not learn from its tokens, and the
recurrent state at the start of the next window is missing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from lm_plugins.errors import Refused

# In the messages of torch's allocators, cuBLAS and cuDNN.
PHRASES = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")


class OutOfMemory(Refused, RuntimeError):
    """Memory ran out.

    fairseq writes no crash.pt after a RuntimeError. It skips the window if the message contains "out of
    memory", so a message of this error must not contain these words.
    """


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` was raised because memory ran out."""
    if isinstance(error, RuntimeError):
        return any(phrase in str(error) for phrase in PHRASES)
    return isinstance(error, MemoryError)


@contextmanager
def naming_window(target: Tensor, flags: str) -> Iterator[None]:
    """Stop the run with the size of a window if memory runs out within this context.

    Args:
        target: the targets of the window, [B, T]
        flags: the options that determine the size of the window

    Raises:
        OutOfMemory: memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, OutOfMemory) or not is_out_of_memory(error):
            raise
        streams, length = target.shape
        raise OutOfMemory(
            f"memory ran out in a window of {streams} x {length} tokens (streams x time steps): lower {flags}"
        ) from error
