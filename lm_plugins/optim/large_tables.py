"""Optimizer support for large tables: sparse gradients, and tables that are sharded across processes."""

from collections.abc import Callable
from typing import Any, Optional

import torch
import torch.distributed as dist
from fairseq.utils import apply_to_sample
from torch import Tensor
from torch.nn import Parameter

from lm_plugins.errors import Refused
from lm_plugins.modules.split_vocabulary import SplitVocabulary, is_sharded
from lm_plugins.optim.consolidation import torch_optimizer
from lm_plugins.optim.host_norm import clip_factor, clip_to_norm, to_host
from lm_plugins.ranks import rank_and_world


def own_rows(parameter: Parameter, table: Tensor) -> Tensor:
    """Return this process's rows of a saved `table`, or all of it if `parameter` is not sharded."""
    rank, world = rank_and_world()
    return table[rank::world] if is_sharded(parameter) and table.dim() else table


class LargeTables:
    """Support sparse gradients and sharded tables, which fairseq's base class does not.

    This is a mixin for a fairseq optimizer that works row by row, such as SGD, averaged SGD and Adagrad.
    """

    split: Optional[SplitVocabulary] = None  # owner of the sharded tables

    def set_split(self, split: SplitVocabulary) -> None:
        """Save the tables that `split` shards as whole tables; call this before the first update."""
        self.split = split

    @torch.no_grad()
    def multiply_grads(self, c: float | Tensor) -> None:
        """Multiply all gradients by `c`. fairseq's own method does not scale uncoalesced sparse ones."""
        if torch.is_tensor(c) and c.is_cpu:
            c = c.item()
        dense = []
        for p in self.params:
            if p.grad is None:
                continue
            if p.grad.is_sparse:
                p.grad = p.grad.coalesce() * c
            else:
                dense.append(p.grad)
        if dense:
            torch._foreach_mul_(dense, c)

    @torch.no_grad()
    def clip_grad_norm(self, max_norm: float, aggregate_norm_fn: Optional[Callable] = None) -> Tensor:
        """Scale all gradients to a norm of at most `max_norm`, if that is positive.

        Returns:
            The norm before clipping, over the rows of all processes, on the CPU; see host_norm.py.

        Raises:
            Refused: weight decay with sparse gradients.
        """
        params = [p for p in self.params if p.grad is not None]
        sparse = any(p.grad.is_sparse for p in params)
        sharded = [p for p in params if is_sharded(p)]
        if not sparse and not sharded:
            return clip_to_norm(params, max_norm, aggregate_norm_fn)
        if sparse and self.optimizer_config["weight_decay"]:
            raise Refused(
                "--weight-decay would change every row of a table at each update, which sparse gradients are "
                "meant to avoid: give --weight-decay 0, or leave out --sparse-embedding-grad"
            )
        norm = _norm([p for p in params if not is_sharded(p)])
        if sharded:
            squared = _norm(sharded).square()
            if rank_and_world()[1] > 1:
                dist.all_reduce(squared)
            norm = (norm.to(squared).square() + squared).sqrt()
        norm = to_host(norm)
        if max_norm > 0:
            self.multiply_grads(clip_factor(norm, max_norm))
        return norm

    def shards(self) -> list[Tensor]:
        """Return this process's rows of the sharded tables, and their optimizer state."""
        inner, params = torch_optimizer(self), list(self.params)
        others = getattr(inner, "other", None) or [None] * len(params)
        shards = []
        for p, other in zip(params, others, strict=True):
            if is_sharded(p):
                state = [x for x in inner.state.get(p, {}).values() if x.shape == p.shape]
                shards += [p.data, *state] if other is None else [p.data, other, *state]
        return shards

    def state_dict(self) -> dict[str, Any]:
        """Return the state with whole tables in place of shards.

        Raises:
            Refused: the whole tables were not gathered.
        """
        state, addresses = super().state_dict(), {shard.data_ptr() for shard in self.shards()}
        if not addresses or rank_and_world()[1] == 1:
            return state
        if self.split is None:
            raise Refused(
                "the optimizer state of sharded tables cannot be saved before the first update: train first"
            )
        return apply_to_sample(lambda x: self.split.whole(x) if x.data_ptr() in addresses else x, state)


def _norm(params: list[Parameter]) -> Tensor:
    grads = [p.grad.coalesce().values() if p.grad.is_sparse else p.grad for p in params]
    return torch.nn.utils.get_total_norm([grad.float() for grad in grads])
