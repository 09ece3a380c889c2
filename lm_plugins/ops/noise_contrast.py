"""Losses that tell a target from K noise words, in place of a softmax over all V.

Both take the scores s of the target [...] and of the noise [..., K] and the logarithms of the noise
distribution q at these words, and return the loss of each target [...] in nats. K counts the noise
words that belong to a target, shared with other targets or not.
"""

import math

import torch
from torch.nn import functional as F


def noise_contrastive_estimation(score, log_q, noise_score, noise_log_q, log_z=0.0):
    """NCE (Gutmann and Hyvarinen 2010; Mnih and Teh 2012, arXiv:1206.6426).

        d(w) = s_w - ln Z - ln(K q_w)        loss = -ln sigmoid(d(target)) - sum_i ln sigmoid(-d(noise_i))

    Noise words that happen to be the target stay: NCE asks for independent noise. The gradient
    tends to that of the softmax with K (for Z the sum of all exponentials).
    """
    log_k = math.log(noise_score.size(-1))
    loss = F.softplus(log_z + log_k + log_q - score)
    return loss + F.softplus(noise_score - log_z - log_k - noise_log_q).sum(-1)


def sampled_softmax(score, noise_score, noise_log_q, hit):
    """Softmax with its denominator estimated by importance sampling.

        loss = -ln [ exp(s_target) / (exp(s_target) + sum_i exp(s_i) / (K q_i)) ]

    over the noise words i other than the target (Bengio and Senecal 2008; in this form, with an
    unbiased denominator, Blanc and Rendle 2018, arXiv:1712.00527). The loss tends to the softmax's.

    Args:
        hit: [..., K], True where the noise word is the target
    """
    log_k = math.log(noise_score.size(-1))
    noise = (noise_score - noise_log_q - log_k).masked_fill(hit, -torch.inf)
    score = score.unsqueeze(-1)
    return torch.logsumexp(torch.cat([score, noise], dim=-1), dim=-1) - score.squeeze(-1)
