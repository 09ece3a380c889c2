"""Tables over the vocabulary whose rows are sharded across the processes.

Row v of a table lives on process v mod W, at local index v div W. Dictionaries are sorted by frequency, so
this spreads the frequent words evenly. Each process then holds 1/W of a model that consists mostly of such
tables.

Each process trains on its own streams, and processes exchange what one batch needs: the rows that are looked
up, or the features for the full softmax (as in Megatron-LM, Shoeybi et al. 2019, arXiv:1909.08053).
"""

from collections.abc import Iterable
from typing import Any, Optional

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lm_plugins.errors import Refused
from lm_plugins.ops.exchange import exchange
from lm_plugins.ops.gather_rows import gather_rows
from lm_plugins.ops.linear_logsumexp import linear_logsumexp
from lm_plugins.ops.scale_gradient import scale_gradient
from lm_plugins.ranks import rank_and_world

CHUNK = 1 << 14  # rows initialised or gathered at a time


class SplitVocabulary:
    """The rows that this process owns, and its access to those of the others.

    All processes must call :meth:`rows`, :meth:`logsumexp` and :meth:`gather` together. The gradient of a
    row is the mean over the losses of all processes, as DistributedDataParallel computes it for parameters
    that are not sharded.

    Checkpoints hold whole tables. All processes call :meth:`gather` before the first one saves, and
    :meth:`release` afterwards. In between, :meth:`whole` and the ``state_dict`` of a module return whole
    tables; at any other time they raise, so that no checkpoint can hold a shard.

    Args:
        vocabulary: V
    """

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.rank, self.world = rank_and_world()
        self.gathered: dict[int, Optional[Tensor]] = {}  # address of a shard -> whole table (first process)

    def own(self, table: Tensor) -> Tensor:
        """Return the rows of this process from a whole `table` [V, ...]."""
        return table[self.rank :: self.world]

    def uniform(self, width: int, init_range: float) -> Tensor:
        """Return this process's rows of a table [V, width] drawn uniformly from [-init_range, init_range].

        The whole table is the same for any number of processes.
        """
        own, filled = torch.empty(len(range(self.rank, self.vocabulary, self.world)), width), 0
        for start in range(0, self.vocabulary, CHUNK):
            chunk = torch.empty(min(CHUNK, self.vocabulary - start), width).uniform_(-init_range, init_range)
            rows = chunk[(self.rank - start) % self.world :: self.world]
            own[filled : filled + len(rows)] = rows
            filled += len(rows)
        return own

    def share(self, module: nn.Module, *names: str) -> None:
        """Declare that the parameters `names` of `module` hold only this process's rows of whole tables.

        ``module.state_dict()`` then returns the whole tables, and ``module.load_state_dict`` takes whole
        tables and keeps this process's rows.
        """
        for name in names:
            # fairseq marks a parameter that differs between processes in this way: its legacy DDP does not
            # all-reduce the gradient, and its gradient clipping treats the norm as local.
            getattr(module, name).expert = True

        def save(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
            for name in names:
                state[prefix + name] = self.whole(state[prefix + name])

        def load(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
            for name in names:
                if prefix + name in state:
                    state[prefix + name] = self.own(state[prefix + name])

        module.register_state_dict_post_hook(save)
        module.register_load_state_dict_pre_hook(load)

    def rows(self, shard: Tensor, index: Tensor, sparse: bool = False) -> Tensor:
        """Return the rows `index` [...] of the table whose `shard` this process holds, [..., *]."""
        if self.world == 1:
            return gather_rows(shard, index, sparse)
        words = index.flatten()
        owner = words % self.world
        order = owner.argsort(stable=True)
        sent = owner.bincount(minlength=self.world)
        received = exchange(sent, *[[1] * self.world] * 2)
        sent, received = torch.stack([sent, received]).tolist()  # the only synchronisation with the GPU
        asked = exchange(words[order] // self.world, sent, received)
        rows = scale_gradient(gather_rows(shard, asked, sparse), 1 / self.world)
        rows = exchange(rows, received, sent)
        return rows[order.argsort()].view(*index.shape, *shard.shape[1:])

    def logsumexp(
        self,
        features: Tensor,  # [N, C], with the same N on all processes
        weight: Tensor,  # this process's rows of [V, C]
        bias: Tensor,  # this process's rows of [V]
    ) -> Tensor:
        """Return ln of the sum of exp(W h + b) over all V words for each row of `features`, [N].

        Each process sums over its own words for the features of all processes.
        """
        equal = [len(features)] * self.world
        everyone = exchange(features.repeat(self.world, 1), equal, equal)
        weight, bias = (scale_gradient(shard, 1 / self.world) for shard in (weight, bias))
        sums = exchange(linear_logsumexp(everyone, weight, bias), equal, equal)
        return torch.logsumexp(sums.view(self.world, -1), dim=0)

    @torch.no_grad()
    def gather(self, shards: Iterable[Tensor]) -> None:
        """Gather the whole tables of `shards` in the host memory of the first process, chunk by chunk."""
        if self.world > 1:
            self.gathered = {shard.data_ptr(): self._gather(shard) for shard in shards}

    def release(self) -> None:
        """Free the whole tables."""
        self.gathered = {}

    def whole(self, shard: Tensor) -> Optional[Tensor]:
        """Return the whole table of `shard`; None on all processes but the first.

        Raises:
            Refused: the table was not gathered.
        """
        if self.world == 1:
            return shard
        if shard.data_ptr() not in self.gathered:
            raise Refused(
                f"the vocabulary is sharded across {self.world} processes and was not gathered, and a "
                "checkpoint must not hold only part of it: save with fairseq-train, without "
                "--no-save-optimizer-state"
            )
        return self.gathered[shard.data_ptr()]

    def _gather(self, shard: Tensor) -> Optional[Tensor]:
        longest = -(-self.vocabulary // self.world)  # the last processes may have one row less
        table = shard.new_empty(self.vocabulary, *shard.shape[1:], device="cpu") if self.rank == 0 else None
        for start in range(0, longest, CHUNK):
            chunk = shard.new_zeros(min(CHUNK, longest - start), *shard.shape[1:])
            rows = shard[start : start + len(chunk)]
            chunk[: len(rows)] = rows
            chunks = [torch.empty_like(chunk) for _ in range(self.world)] if self.rank == 0 else None
            dist.gather(chunk, chunks)
            for rank, received in enumerate(chunks or ()):
                target = table[rank :: self.world][start : start + len(chunk)]
                target.copy_(received[: len(target)])
        return table


def is_sharded(parameter: nn.Parameter) -> bool:
    """Return whether `parameter` differs between processes (see :meth:`SplitVocabulary.share`)."""
    return getattr(parameter, "expert", False)
