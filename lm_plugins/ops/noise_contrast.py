"""Losses that distinguish a target from K noise words, in place of a softmax over all V words.

They take the scores s of the target and of its noise words, and ln q of these words under the noise
distribution q. They return the loss of each target in nats. K counts the noise words of one target, whether
or not other targets share them. K q is the expected number of times that a word is among them. For distinct
words, q is that number over K.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def noise_contrastive_estimation(
    score: Tensor,  # [...]
    log_q: Tensor,  # [...]
    noise_score: Tensor,  # [..., K]
    noise_log_q: Tensor,  # [..., K]
    log_z: Tensor | float = 0.0,
) -> Tensor:  # [...]
    """Return the loss of NCE (Gutmann and Hyvarinen 2010; Mnih and Teh 2012, arXiv:1206.6426).

        d(w) = s_w - ln Z - ln(K q_w)        loss = -ln sigmoid(d(target)) - sum_i ln sigmoid(-d(noise_i))

    Noise words that equal the target are not removed, because NCE requires independent noise. As K grows, the
    gradient tends to that of the softmax, if Z is the sum of the exponentials of all scores.
    """
    log_k = math.log(noise_score.size(-1))
    loss = F.softplus(log_z + log_k + log_q - score)
    return loss + F.softplus(noise_score - log_z - log_k - noise_log_q).sum(-1)


def sampled_softmax(
    score: Tensor,  # [...]
    noise_score: Tensor,  # [..., K]
    noise_log_q: Tensor,  # [..., K]
    hit: Tensor,  # [..., K]
) -> Tensor:  # [...]
    """Return the loss of a softmax whose denominator is estimated by importance sampling.

        loss = -ln [ exp(s_target) / (exp(s_target) + sum_i exp(s_i) / (K q_i)) ]

    over the noise words i other than the target (Bengio and Senecal 2008; in this form, with an unbiased
    denominator, Blanc and Rendle 2018, arXiv:1712.00527). As K grows, the loss tends to that of the softmax.
    TensorFlow's loss of this name is :func:`tf_sampled_softmax`.

    Args:
        score, noise_score: s of the targets and of the noise words
        noise_log_q: ln q of the noise words
        hit: True where the noise word is the target
    """
    log_k = math.log(noise_score.size(-1))
    noise = (noise_score - noise_log_q - log_k).masked_fill(hit, -torch.inf)
    score = score.unsqueeze(-1)
    return torch.logsumexp(torch.cat([score, noise], dim=-1), dim=-1) - score.squeeze(-1)


def tf_sampled_softmax(
    score: Tensor,  # [...]
    log_q: Tensor,  # [...]
    noise_score: Tensor,  # [..., K]
    noise_log_q: Tensor,  # [..., K]
    hit: Tensor,  # [..., K]
) -> Tensor:  # [...]
    """Return the loss of a softmax over the target and its noise words (Jean et al. 2015, arXiv:1412.2007).

        d(w) = s_w - ln(K q_w)        loss = -ln [ exp d(target) / (exp d(target) + sum_i exp d(i)) ]

    over the noise words i other than the target. This is ``tf.nn.sampled_softmax_loss``. It corrects the
    score of the target too. If no noise word equals the target, exp(-loss) is the posterior of the target
    among the candidates, which has no bias at a small K. Noise words that equal the target are removed, which
    biases targets that are often among the noise words. The value is not an estimate of -ln p. TensorFlow's
    sampler draws distinct words. Departure: TensorFlow removes only one noise word that equals the target,
    which makes a difference if the words are not distinct.

    Args:
        score, noise_score: s of the targets and of the noise words
        log_q, noise_log_q: ln q of the targets and of the noise words
        hit: True where the noise word is the target
    """
    log_k = math.log(noise_score.size(-1))
    return sampled_softmax(score - log_q - log_k, noise_score, noise_log_q, hit)
