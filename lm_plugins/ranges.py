"""The ranges of numeric options: declared next to an option, and checked before anything is built.

An option declares its range in the metadata of its dataclass field, ``metadata={"range": at_least(1)}``, also
in a plug-in. The ranges of fairseq's own options are in :data:`OF_FAIRSEQ`.
"""

import ast
import math
import operator
from collections.abc import Iterable
from dataclasses import Field, fields
from numbers import Real
from typing import Any, NamedTuple

from lm_plugins.errors import Refused
from lm_plugins.flags import Flags, flag_of

KEY = "range"  # in the metadata of a field


class Range(NamedTuple):
    """The finite numbers from `low` to `high`; `above` excludes `low`, and `below` excludes `high`."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, Real) or not math.isfinite(number):  # also NumPy's numbers
            return False
        over = number > self.low if self.above else number >= self.low
        return over and (number < self.high if self.below else number <= self.high)

    def __str__(self) -> str:
        limits = []
        if self.low > -math.inf:
            limits.append(f"{'above' if self.above else 'at least'} {self.low:g}")
        if self.high < math.inf:
            limits.append(f"{'below' if self.below else 'at most'} {self.high:.10g}")
        return " and ".join(limits)


def at_least(low: float) -> Range:
    return Range(low)


def above(low: float) -> Range:
    return Range(low, above=True)


def between(low: float, high: float) -> Range:
    """Return the numbers from `low` to `high`, both included."""
    return Range(low, high)


FINITE = Range()
PROBABILITY = Range(0, 1, below=True)  # of a dropout, or a decay rate; 1 would leave nothing
PAIRS = ("adam_betas",)  # options of two numbers
SHRINKING = Range(0, 1, above=True, below=True)  # factors

# fairseq's options that training and evaluation rely on. -1 is fairseq's way to write "all" or "never".
OF_FAIRSEQ = {
    "adam_betas": PROBABILITY,
    "adam_eps": above(0),
    "batch_size": at_least(1),
    "batch_size_valid": at_least(1),
    "beam": at_least(1),
    "buffer_size": at_least(0),
    "checkpoint_shard_count": at_least(1),
    "clip_norm": at_least(0),
    "distributed_port": at_least(-1),
    "distributed_world_size": at_least(1),
    "fp16_init_scale": above(0),
    "fp16_scale_tolerance": between(0, 1),
    "fp16_scale_window": at_least(1),
    "keep_best_checkpoints": at_least(-1),
    "keep_interval_updates": at_least(-1),
    "keep_last_epochs": at_least(-1),
    "log_interval": at_least(1),
    "lr": above(0),
    "lr_period_updates": at_least(-1),
    "lr_shrink": Range(0, 1, above=True),
    "max_epoch": at_least(0),
    "max_len_a": at_least(0),
    "max_len_b": at_least(0),
    "max_tokens": at_least(1),
    "max_tokens_valid": at_least(1),
    "max_update": at_least(0),
    "min_loss_scale": above(0),
    "momentum": PROBABILITY,
    "nbest": at_least(1),
    "patience": at_least(-1),
    "sampling_topk": at_least(-1),
    "sampling_topp": Range(-1, 1),
    "save_interval": at_least(1),
    "save_interval_updates": at_least(0),
    "seed": between(0, 2**32 - 1),
    "stop_time_hours": at_least(0),
    "temperature": above(0),
    "update_freq": at_least(1),
    "validate_after_updates": at_least(0),
    "validate_interval": at_least(1),
    "validate_interval_updates": at_least(0),
    "warmup_updates": at_least(0),
    "weight_decay": at_least(0),
}


def range_of(field: Field) -> Range | None:
    """Return the range of an option, or None if it has none."""
    return field.metadata.get(KEY, OF_FAIRSEQ.get(field.name))


def check(flag: str, value: Any, allowed: Range) -> None:
    """Refuse a `value` outside of `allowed`; every number of a list must be in it.

    Raises:
        Refused: a number is out of range or not finite, or the list is empty
    """
    numbers = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    if numbers and all(number in allowed for number in numbers):
        return
    shown = ",".join(map(str, numbers)) or "empty"
    every = "every number" if len(numbers) > 1 else "it"
    finite = all(isinstance(number, Real) and math.isfinite(number) for number in numbers)
    words = [] if finite and numbers else ["a finite number"]
    raise Refused(f"{flag} is {shown}: {every} must be {', '.join([*words, *filter(None, [str(allowed)])])}")


def whole(name: str, value: Any, allowed: Range) -> int:
    """Return `value`, an integer of Python, NumPy or torch, as an int.

    Raises:
        Refused: it is not an integer, or out of range
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise Refused(f"{name} is {value!r:.60}: give a whole number") from None
    check(name, number, allowed)
    return number


def check_typed(typed: Flags, options: Iterable[type]) -> None:
    """Refuse typed numbers that are out of range.

    Args:
        typed: {flag: text}
        options: dataclasses of options, such as those of the architecture, the task and fairseq

    Raises:
        Refused: see :func:`check`; or a fraction is typed where an integer is needed
    """
    declared = {flag_of(field.name): field for group in options for field in fields(group)}
    for flag, text in typed.items():
        if flag not in declared:
            continue
        field = declared[flag]
        allowed = range_of(field)
        if allowed is None:
            continue
        numbers = read(flag, text, field)
        check(flag, numbers, allowed)
        if field.name in PAIRS and (not isinstance(numbers, list | tuple) or len(numbers) != 2):
            raise Refused(f"{flag} is {text}: give two numbers, such as (0.9, 0.999)")


def read(flag: str, text: str | None, field: Field) -> Any:
    """Return the numbers that were typed for an option; return a text that is not a number unchanged."""
    if text is None:
        return []
    kind = str(field.type)
    try:
        if "List" not in kind and "Any" not in kind:  # Any: a pair of numbers, as fairseq declares it
            return (int if "int" in kind else float)(text)
        value = ast.literal_eval(text) if text else ()
    except (SyntaxError, ValueError):
        return text
    numbers = value if isinstance(value, list | tuple) else [value]
    if "int" in kind and any(isinstance(number, float) and number % 1 for number in numbers):
        raise Refused(f"{flag} is {text}: give whole numbers")
    return numbers


def check_config(cfg: Any, options: type) -> None:
    """Refuse values of `cfg` that are out of the ranges that the dataclass `options` declares.

    Values that are None, or that `cfg` does not have, are not checked.

    Raises:
        Refused: see :func:`check`
    """
    for field in fields(options):
        if KEY in field.metadata and (value := getattr(cfg, field.name, None)) is not None:
            check(flag_of(field.name), value, field.metadata[KEY])
