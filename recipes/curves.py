"""Draw learning curves by epochs and by time: perplexity, or the loss where no perplexity is logged.

The curve of fine-tuning continues the one of the training that it started from.
"""

from pathlib import Path
from typing import Any, NamedTuple

from recipes.logs import epochs
from recipes.plots import log_scale, picture, whole_numbers

PERPLEXITY, LOSS = "perplexity", "loss, bits per token"  # NCE logs a loss but no perplexity
STAGES = {"train": "", "finetune": "fine-tuned, "}
TAGS = {"train": "training", "valid": "validation"}
MARKED = 60  # curves with more points have no markers


class Curve(NamedTuple):
    """A logged quantity of one stage and subset."""

    stage: str  # of STAGES
    tag: str  # of TAGS
    quantity: str  # PERPLEXITY or LOSS
    epochs: list[float]
    seconds: list[float]
    values: list[float]

    @property
    def label(self) -> str:
        """Return the name of the curve in a legend."""
        return STAGES[self.stage] + TAGS[self.tag]


def curves(experiment: Path) -> list[Curve]:
    """Return the curves of an experiment's logs; [] if nothing has been logged yet."""
    result = []
    epoch = seconds = 0.0  # at the start of the stage
    for stage in STAGES:
        log = experiment / "logs" / f"{stage}.log"
        entries = {tag: epochs(log, tag) for tag in TAGS}
        for tag, ones in entries.items():
            if not ones:
                continue
            exact = all(f"{tag}_ppl" in one for one in ones)
            values = [float(one[f"{tag}_ppl" if exact else f"{tag}_loss"]) for one in ones]
            ends = [epoch + one["epoch"] for one in ones], [seconds + one["seconds"] for one in ones]
            result.append(Curve(stage, tag, PERPLEXITY if exact else LOSS, *ends, values))
        last = [ones[-1] for ones in entries.values() if ones]
        epoch += max((one["epoch"] for one in last), default=0)
        seconds += max((one["seconds"] for one in last), default=0)
    return result


def draw(named: dict[str, list[Curve]], path: Path, level: tuple[str, float] | None = None) -> None:
    """Draw the curves of experiments, {name: curves}, by epochs and by time, into the file `path`.

    Args:
        level: label and value of a horizontal line to compare the validation perplexity with
    """
    drawn = [curve for ones in named.values() for curve in ones]
    quantities = [name for name in (PERPLEXITY, LOSS) if any(curve.quantity == name for curve in drawn)]
    seconds = max(max(curve.seconds) for curve in drawn)
    unit, scale = ("hours", 3600) if seconds > 2 * 3600 else ("minutes", 60)
    with picture(path, 10, 4 * len(quantities) + 0.8) as figure:
        panels = figure.subplots(len(quantities), 2, sharey="row", squeeze=False)
        for quantity, (by_epoch, by_time) in zip(quantities, panels, strict=True):
            for number, (name, ones) in enumerate(named.items()):
                for curve in (one for one in ones if one.quantity == quantity):
                    style = _style(curve, number, len(named) > 1)
                    style["label"] = f"{name}, {curve.label}" if len(named) > 1 else curve.label
                    by_epoch.plot(curve.epochs, curve.values, **style)
                    by_time.plot([value / scale for value in curve.seconds], curve.values, **style)
            if level and quantity == PERPLEXITY:
                for axes in (by_epoch, by_time):
                    axes.axhline(level[1], color="grey", linestyle=":", label=level[0])
            for axes in (by_epoch, by_time):
                if quantity == PERPLEXITY:
                    log_scale(axes)
                axes.grid(axis="y", alpha=0.3)
            whole_numbers(by_epoch)
            by_epoch.set(xlabel="epoch", ylabel=quantity)
            by_time.set(xlabel=f"{unit} of training and validation", xlim=(0, None))
        if len(named) == 1:
            figure.suptitle(next(iter(named)))
        lines = {line.get_label(): line for axes in panels[:, 0] for line in axes.get_lines()}
        figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=min(len(lines), 4))


def _style(curve: Curve, number: int, several: bool) -> dict[str, Any]:
    """Return line, marker and colour: a colour for each experiment, or each stage of a single one."""
    finetuned = curve.stage == "finetune"
    training = curve.tag == "train"
    marker = "" if len(curve.values) > MARKED else ("s" if finetuned else "o")
    return {
        "color": f"C{number if several else int(finetuned)}",
        "linestyle": "--" if training else "-",
        "alpha": 0.55 if training else 1.0,
        "marker": marker,
        "markersize": 3.5,
        "markerfacecolor": "white" if finetuned and several else None,
    }
