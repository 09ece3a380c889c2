"""The facts that determine the windows of a training run, saved in its checkpoints and compared on resume."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Optional

from lm_plugins.data.windows import Window, cut, fixed, random_start, varied


def fact(key: str, flags: str, *, of_folder: bool = False, default: Any = MISSING) -> Any:
    """Declare a fact: its `key` in checkpoints and messages, and the `flags` that set it.

    Args:
        of_folder: the fact differs between several data folders
        default: for checkpoints without the key
    """
    return field(default=default, metadata={"key": key, "flags": flags, "of_folder": of_folder})


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The facts of a run. With equal layouts, runs read the same windows, and an epoch's positions agree."""

    corpus: int = fact("corpus", "data folder", of_folder=True)  # a checksum
    tokens: int = fact("tokens", "data folder", of_folder=True)
    streams: int = fact("streams of all ranks", "--batch-size and number of processes")
    own_streams: int = fact("streams of a rank", "--batch-size and number of processes")
    window: int = fact("window", "--tokens-per-sample")
    sentences: Optional[int] = fact("order of sentences", "--seed and --sample-break-mode", default=None)
    rotation: Optional[int] = fact("rotation of streams", "--seed and --rotate-streams", default=None)
    order: Optional[int] = fact("order of windows", "--seed and --independent-windows", default=None)
    random_start: bool = fact("random start", "--random-start", default=False)
    variation: Optional[list[float]] = fact(
        "window variation", "--bptt-variation and --bptt-max-delta", default=None
    )
    multiple: int = fact("multiple of window lengths", "--bptt-multiple", default=1)
    seed: Optional[int] = fact("seed", "--seed", default=None)  # of the window lengths

    def windows(self, length: int, epoch: int) -> list[Window]:
        """Return the windows of an epoch whose longest stream has `length` tokens."""
        if self.variation:
            deviation, max_delta = self.variation
            lengths = varied(length, self.window, deviation, max_delta, self.seed, epoch, self.multiple)
        elif self.random_start and self.order is None:  # which moves the windows in the text instead
            lengths = random_start(self.window, self.seed, epoch)
        else:
            lengths = fixed(self.window)
        return cut(length, lengths, epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return plain values by key."""
        return {one.metadata["key"]: getattr(self, one.name) for one in fields(self)}

    def differences(self, saved: dict[str, Any], same_folder: bool = True) -> Iterator[str]:
        """Yield a sentence for each fact in which the state_dict `saved` differs from this layout.

        Args:
            same_folder: also compare the facts that differ between data folders
        """
        for one in fields(self):
            key, value = one.metadata["key"], getattr(self, one.name)
            before = saved.get(key, None if one.default is MISSING else one.default)
            if before != value and (same_folder or not one.metadata["of_folder"]):
                yield (
                    f"the checkpoint was trained with {key} = {before}, but this run has {value}; use the "
                    f"same {one.metadata['flags']}"
                )
