"""Count the validations without a new best, for --patience, over all restarts of a run.

fairseq counts them for as long as its process lives. A resumed training would therefore count from 0 again,
and one that --patience has ended would train on if its command were repeated.
"""

from typing import Any, Optional


class Patience:
    """The best value of fairseq's --best-checkpoint-metric so far, and the validations since."""

    def __init__(self) -> None:
        self.best: Optional[float] = None
        self.stale = 0  # validations since the best one

    def count(self, value: float, maximize: bool) -> None:
        """Count a validation. As in fairseq, an equal value is not a new best.

        Args:
            value: of the metric, rounded as fairseq rounds it
            maximize: whether a larger value is better
        """
        if self.best is None or (value > self.best if maximize else value < self.best):
            self.best, self.stale = value, 0
        else:
            self.stale += 1

    def tell_fairseq(self) -> None:
        """Have fairseq count on from here, so that it saves and ends after the validation that is due.

        It keeps its count in these attributes of its function.
        """
        from fairseq_cli.train import should_stop_early  # importing it sets up logging to stdout

        should_stop_early.best, should_stop_early.num_runs = self.best, self.stale

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "stale": self.stale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.stale = state["best"], state["stale"]
