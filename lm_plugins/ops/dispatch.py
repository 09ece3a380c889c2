"""Choose the implementation of an op: the requested one, or else the fastest that supports the call."""

from collections.abc import Callable, Mapping

import torch

Check = Callable[[], str | None]
TRACED = ("loop", "torch")  # implementations that torch.export can trace, the first that an op has


def choose(op: str, impl: str | None, checks: Mapping[str, Check | None]) -> str:
    """Return the name of the implementation to run.

    Args:
        op: name of the op, for error messages
        impl: the implementation that the caller asks for; None: the first one that supports the call, or,
            while torch.export traces a model, the one of :data:`TRACED`, since kernels are opaque to it
        checks: for each implementation, fastest first, a function that returns why it does not support the
            call, or None if it does; None in place of the function: it supports every call

    Raises:
        ValueError: the op has no implementation `impl`.
        RuntimeError: the implementation `impl` does not support the call.
    """
    if impl is None and torch.compiler.is_exporting():
        impl = next((name for name in TRACED if name in checks), None)
    if impl is None:
        return next(name for name, check in checks.items() if check is None or check() is None)
    if impl not in checks:
        raise ValueError(f"{op} has no impl '{impl}': choose from {', '.join(checks)}")
    reason = checks[impl] and checks[impl]()
    if reason:
        raise RuntimeError(f"{op} with impl '{impl}': {reason}")
    return impl
