"""Compute the cache's probability of the targets only, from one block of products at a time.

A block holds the products of some queries with some of the past states. Neither [T, V] nor [W, V] is ever
materialised.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 1 << 22  # products h_t . h_j held in memory at a time


def neural_cache(
    query: Tensor,
    target: Tensor,
    keys: Tensor,
    words: Tensor,
    thetas: Sequence[float],
    windows: Sequence[int | None],
    block: int = BLOCK,
) -> Tensor:
    """Return ln p_t(target) in nats for each of m windows and n thetas, [m, n, T, B].

    The result is -inf where the target is not in the cache.

    Args:
        query: h_t, [T, B, C]
        target: [T, B]
        keys: M past states followed by the queries, [M + T, B, C]
        words: the word that followed each of `keys`, [M + T, B]
        thetas: n numbers
        windows: m numbers W; None: all pairs
        block: number of products held in memory at a time
    """
    time, streams = target.shape
    past = len(keys) - time
    h, k = query.transpose(0, 1), keys.transpose(0, 1)  # [B, T, C], [B, M + T, C]
    target, words = target.t().unsqueeze(2), words.t().unsqueeze(1)  # [B, T, 1], [B, 1, M + T]
    longest = None if None in windows else max(windows)
    # In a square of products as large as the window, half are outside the window: do not use many more rows.
    rows = min(time, max(longest or time, 128))
    rows = max(1, min(rows, block // (streams * min(len(keys), rows + (longest or len(keys))))))
    log_probs = []
    for start in range(0, time, rows):
        end = min(start + rows, time)
        first = 0 if longest is None else max(0, past + start - longest)
        columns = max(1, block // (streams * (end - start)))
        position = torch.arange(past + start, past + end, device=query.device).unsqueeze(1)
        matched = total = query.new_full((len(windows), len(thetas), streams, end - start), -torch.inf)
        for low in range(first, past + end, columns):
            high = min(low + columns, past + end)
            products = h[:, start:end] @ k[:, low:high].mT
            same = words[:, :, low:high] == target[:, start:end]
            distance = position - torch.arange(low, high, device=query.device)
            block_total, block_matched = _log_sums(products, same, distance, thetas, windows)
            total = torch.logaddexp(total, block_total)
            matched = torch.logaddexp(matched, block_matched)
        log_probs.append(matched - total.masked_fill(total == -torch.inf, 0))
    return torch.cat(log_probs, dim=-1).transpose(-1, -2)


def _log_sums(
    products: Tensor,  # [B, R, J]: R queries, J past states
    same: Tensor,  # [B, R, J]: True where the past word is the target
    distance: Tensor,  # [R, J]: in positions, below 1 for states that are not past
    thetas: Sequence[float],
    windows: Sequence[int | None],
) -> tuple[Tensor, Tensor]:
    """Return ln sum_j exp(theta h_t . h_j) over all j in a window, and over those with the target.

    Both are [m, n, B, R].
    """
    total, matched = [], []
    for window in windows:
        seen = distance >= 1 if window is None else (distance >= 1) & (distance <= window)
        inside = products.masked_fill(~seen, -torch.inf)
        largest = inside.amax(-1, keepdim=True)
        inside = inside.sub_(largest.masked_fill(largest == -torch.inf, 0))
        for theta in thetas:
            weights = torch.exp(theta * inside) if theta else seen.to(inside).expand_as(inside)
            offset = theta * largest.squeeze(-1) if theta else 0
            total.append(weights.sum(-1).log() + offset)
            matched.append((weights * same).sum(-1).log() + offset)
    shape = (len(windows), len(thetas), *products.shape[:-1])
    return torch.stack(total).view(shape), torch.stack(matched).view(shape)
