"""Checks and set-up for tables with sparse gradients, and for tables that are sharded across processes."""

from typing import Any

from fairseq.models import BaseFairseqModel
from fairseq.optim import FairseqOptimizer
from torch.nn.parallel import DistributedDataParallel

from lm_plugins.errors import Refused
from lm_plugins.modules.embedding_dropout import Embedding
from lm_plugins.modules.split_vocabulary import is_sharded
from lm_plugins.optim.large_tables import LargeTables
from lm_plugins.ranks import rank_and_world

# fairseq's options that do not work with tables that are sharded across several processes.
REFUSED_WITH_SHARDS = {
    "no_save_optimizer_state": "--no-save-optimizer-state skips the step in which --split-vocabulary gathers "
    "the whole tables for a checkpoint: leave it out",
    "store_ema": "--store-ema copies the model, and not the tables that --split-vocabulary shards across "
    "processes: leave it out",
}


def check_options(model_cfg: Any, task_cfg: Any) -> None:
    """Check the options that --split-vocabulary excludes on several processes.

    Raises:
        Refused: one of them is given.
    """
    if getattr(model_cfg, "split_vocabulary", False) and rank_and_world()[1] > 1:
        for name, reason in REFUSED_WITH_SHARDS.items():
            if getattr(task_cfg, name):
                raise Refused(reason)


def exclude_shards_from_ddp(model: BaseFairseqModel) -> None:
    """Have torch's DDP neither broadcast nor all-reduce shards. fairseq's legacy DDP already skips them."""
    names = [name for name, p in model.named_parameters(remove_duplicate=False) if is_sharded(p)]
    # torch has no public form of this.
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, names)


def check_optimizer(optimizer: FairseqOptimizer, table: Embedding) -> None:
    """Check that `optimizer` supports the gradients of `table`.

    Raises:
        Refused: it would fail in fairseq without a clear message, or train wrongly.
    """
    flags = ["--sparse-embedding-grad"] * table.sparse + ["--split-vocabulary"] * (table.split is not None)
    if flags and not isinstance(optimizer, LargeTables):
        raise Refused(
            f"the optimizer does not support {' and '.join(flags)}: train in float32 with --optimizer "
            "nt_asgd (plain SGD with --averaging never) or --optimizer sparse_adagrad"
        )
    if table.sparse and table.split is None and rank_and_world()[1] > 1:
        raise Refused(
            "--sparse-embedding-grad with several processes needs --split-vocabulary, because fairseq "
            "all-reduces only dense gradients: add --split-vocabulary or leave out --sparse-embedding-grad"
        )
