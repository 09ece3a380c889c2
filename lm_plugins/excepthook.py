"""Print one clear sentence for a run that is refused, in place of a traceback."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from torch.multiprocessing.spawn import ProcessExitedException

from lm_plugins.explanations import sentence
from lm_plugins.stop_signals import STOP_SIGNALS, end_by


def excepthook(
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    *,
    default: Callable = sys.__excepthook__,
) -> None:
    """Print the sentence of `error` to stderr, as ``sys.excepthook``; call `default` if it has none.

    If a stop signal ended a spawned process, end this one by the same signal. If this process was
    interrupted, kill those that it has spawned, because it would wait for them to end.
    """
    if isinstance(error, ProcessExitedException) and -error.exit_code in STOP_SIGNALS:
        end_by(signal.Signals(-error.exit_code))
    text = sentence(error)
    if isinstance(error, KeyboardInterrupt):  # after which Python ends with status 130
        for child in multiprocessing.active_children():
            child.kill()
        print("lm_plugins: interrupted", file=sys.stderr, flush=True)
    elif text is None:
        default(kind, error, trace)
    else:
        print(f"lm_plugins: error: {text}", file=sys.stderr, flush=True)


@contextmanager
def refusals_exit_with_2() -> Iterator[None]:
    """Print the sentence of an error that leaves the block, and exit with status 2, as argparse does.

    Raises:
        Exception: an error without a sentence
    """
    try:
        yield
    except Exception as error:
        text = sentence(error)
        if text is None:
            raise
        print(f"lm_plugins: error: {text}", file=sys.stderr, flush=True)
        sys.exit(2)
