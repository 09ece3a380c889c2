"""What a task does for tables with sparse gradients, and for tables split over the processes."""

import sys

from torch.nn.parallel import DistributedDataParallel

from lm_plugins.errors import Refused
from lm_plugins.ranks import rank_and_world


def keep_from_averaging(model):
    """Has torch's DDP leave split tables alone; fairseq's own looks at the parameters."""
    names = [
        name for name, p in model.named_parameters(remove_duplicate=False) if hasattr(p, "split_vocabulary")
    ]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, names)


def check_takes(optimizer, table):
    """Refuses an optimizer that would fail in fairseq, which does not say why, or train wrongly."""
    flags = ["--sparse-embedding-grad"] * table.sparse + ["--split-vocabulary"] * (table.split is not None)
    if flags and not getattr(optimizer, "takes_large_tables", False):
        raise Refused(
            f"the optimizer does not support {' and '.join(flags)}: train in float32 with --optimizer "
            "nt_asgd (plain SGD with --averaging never) or --optimizer sparse_adagrad"
        )
    if table.sparse and table.split is None and rank_and_world()[1] > 1:
        raise Refused(
            "--sparse-embedding-grad with several processes needs --split-vocabulary, because fairseq "
            "all-reduces only dense gradients: add --split-vocabulary or leave out --sparse-embedding-grad"
        )


def gather(optimizer, table):
    """Before a checkpoint, on all processes; not while an exception is on its way, on one of them."""
    if table.split is not None and sys.exc_info()[0] is None:
        table.split.gather(optimizer.split_parts())


def release(table):
    """After the checkpoint: the whole tables are let go."""
    if table.split is not None:
        table.split.release()
