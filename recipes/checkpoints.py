"""The checkpoints of an experiment: its folders, and the best one of each."""

from pathlib import Path

TRAINED, FINETUNED = "checkpoints", "finetuned"  # folders in that of an experiment
BEST = "checkpoint_best.pt"  # in each of them; the name is fairseq's


def trained_checkpoint(experiment: Path) -> Path:
    """Return the best checkpoint of training."""
    return experiment / TRAINED / BEST


def finetuned_checkpoint(experiment: Path) -> Path:
    """Return the best checkpoint of fine-tuning."""
    return experiment / FINETUNED / BEST


def best_checkpoint(experiment: Path) -> Path:
    """Return the best checkpoint of fine-tuning, or of training if there was no fine-tuning."""
    finetuned = finetuned_checkpoint(experiment)
    return finetuned if finetuned.exists() else trained_checkpoint(experiment)
