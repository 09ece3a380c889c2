"""Write learning curves as a table: a line for each epoch, and tabs between the columns."""

from collections.abc import Iterator
from pathlib import Path

from recipes.curves import STAGES, TAGS
from recipes.logs import epochs

KEYS = "experiment", "stage", "epoch", "seconds"
LOGGED = (  # in fairseq's log; the losses are in bits per token
    "train_num_updates", "train_lr", "train_wps", "train_loss", "train_ppl", "valid_loss", "valid_ppl",
)  # fmt: skip


def is_table(text: str) -> bool:
    """Return whether `text` begins as a table of learning curves does, perhaps one with other quantities."""
    return text.startswith("\t".join(KEYS))


def write_table(named: dict[str, Path], path: Path) -> None:
    """Write the curves of experiments, {name: folder}, to the file `path`."""
    lines = [(*KEYS, *LOGGED), *(row for name, experiment in named.items() for row in rows(name, experiment))]
    path.write_text("".join("\t".join(line) + "\n" for line in lines))


def rows(name: str, experiment: Path) -> Iterator[tuple[str, ...]]:
    """Yield the values of each epoch of each stage, as logged; "-" for those that were not logged."""
    for stage in STAGES:
        log = experiment / "logs" / f"{stage}.log"
        logged = {tag: {one["epoch"]: one for one in epochs(log, tag)} for tag in TAGS}
        for epoch in sorted(set().union(*logged.values())):
            values = {key: value for tag in TAGS for key, value in logged[tag].get(epoch, {}).items()}
            yield (
                name, stage, f"{round(epoch, 2):g}", f"{values['seconds']:.0f}",
                *(str(values.get(key, "-")) for key in LOGGED),
            )  # fmt: skip
