"""The cache's probability of the targets alone, by products of a block of states with a block of the past.

What is held is a block of products, neither [T, V] nor [W, V].
"""

import torch

BLOCK = 1 << 22  # products h_t . h_j held at a time


def neural_cache(query, target, keys, words, thetas, windows, block=BLOCK):
    """ln p_t(target), for each window and each theta, in nats.

    Args:
        query: h_t, [T, B, C]
        target: [T, B]
        keys, words: [M + T, B, C] and [M + T, B]: the pairs before the queries, and those of the queries
        thetas: list of n numbers
        windows: list of m numbers, each W or None: all pairs
        block: products held at a time

    Returns:
        [m, n, T, B]; -inf where the target is not in the cache
    """
    time, streams = target.shape
    past, found = len(keys) - time, []
    h, k = query.transpose(0, 1), keys.transpose(0, 1)  # [B, T, C], [B, M + T, C]
    target, words = target.t().unsqueeze(2), words.t().unsqueeze(1)  # [B, T, 1], [B, 1, M + T]
    reach = None if None in windows else max(windows)
    rows = min(time, max(reach or time, 128))  # not many more than the window: its corners are wasted
    rows = max(1, min(rows, block // (streams * min(len(keys), rows + (reach or len(keys))))))
    for start in range(0, time, rows):
        end = min(start + rows, time)
        first = 0 if reach is None else max(0, past + start - reach)
        columns = max(1, block // (streams * (end - start)))
        at = torch.arange(past + start, past + end, device=query.device).unsqueeze(1)
        matched = total = query.new_full((len(windows), len(thetas), streams, end - start), -torch.inf)
        for left in range(first, past + end, columns):
            right = min(left + columns, past + end)
            products = h[:, start:end] @ k[:, left:right].mT
            same = words[:, :, left:right] == target[:, start:end]
            distance = at - torch.arange(left, right, device=query.device)
            part, part_matched = _sums(products, same, distance, thetas, windows)
            total, matched = torch.logaddexp(total, part), torch.logaddexp(matched, part_matched)
        found.append(matched - total.masked_fill(total == -torch.inf, 0))
    return torch.cat(found, dim=-1).transpose(-1, -2)


def _sums(products, same, distance, thetas, windows):
    """ln of the sums of exp(theta h_t . h_j) in each window: over all j, and over those with the target."""
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
