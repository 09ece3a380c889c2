"""What fairseq-train builds, in this process."""

from pathlib import Path
from typing import Any

from fairseq import optim, options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

from lm_plugins.completion import complete

TINY = (
    "--cpu", "--no-save", "--decoder-embed-dim", "12", "--decoder-hidden-size", "16",
    "--decoder-layers", "3", "--batch-size", "4", "--tokens-per-sample", "10", "--bptt-variation", "0",
)  # fmt: skip


def training(data_bin: Path, arch: str, *flags: str) -> tuple[Any, Any, Any, Any]:
    """Return the task, model, criterion and optimizer of a tiny training, with its data loaded."""
    line = complete(["fairseq-train", str(data_bin), "--arch", arch, *TINY, *flags])[1:]
    args = options.parse_args_and_arch(options.get_training_parser(), line)
    cfg = convert_namespace_to_omegaconf(args)
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model).train()
    criterion = task.build_criterion(cfg.criterion).train()
    optimizer = optim.build_optimizer(cfg.optimizer, list(model.parameters()))
    task.load_dataset("train", combine=True)
    return task, model, criterion, optimizer
