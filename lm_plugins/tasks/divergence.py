"""Stop a run that has diverged: its loss is not finite, or stays above that of guessing."""

import math

from lm_plugins.errors import Refused

MAX_LOSS = 1024.0  # bits per token; from here on the perplexity 2^loss overflows a float64
EPOCHS = 3  # in a row with a validation loss above that of the uniform distribution
MARGIN = 0.1  # bits by which a new model may exceed that loss, because its weights are random


def check_training_loss(loss: float, update: int) -> None:
    """Check the loss of an update, which is known only after the update is made, but before it is saved.

    Args:
        loss: with regularisation, in bits per token
        update: its number, from 1

    Raises:
        Refused: the loss is not finite.
    """
    if not math.isfinite(loss):
        raise Refused(
            f"the training loss of update {update:,} is {loss}: training has diverged, and no checkpoint was "
            "replaced; to continue from the last one, lower --lr or --clip-norm and add --accept-changes"
        )


def check_validation_loss(loss: float) -> None:
    """Check a validation loss in bits per token.

    Raises:
        Refused: the loss or its perplexity is not finite.
    """
    if not loss < MAX_LOSS:
        raise Refused(
            f"the validation loss is {loss:g} bits, a perplexity of {'nan' if math.isnan(loss) else 'inf'}: "
            "training has diverged, and no checkpoint was written after this validation; to continue from "
            "the last one, lower --lr or --clip-norm and add --accept-changes"
        )


def count_above_uniform(count: int, loss: float, vocabulary: int) -> int:
    """Return the number of epochs in a row that ended with a validation loss above log2 V.

    Args:
        count: the number before this epoch
        loss: validation loss at the end of this epoch, in bits per token
        vocabulary: V

    Raises:
        Refused: the number has reached EPOCHS.
    """
    uniform = math.log2(vocabulary)
    if loss <= uniform + MARGIN:
        return 0
    if count + 1 >= EPOCHS:
        raise Refused(
            f"the validation loss is {loss:.2f} bits, and has been above that of guessing ({uniform:.2f} "
            f"bits) at the end of {EPOCHS} epochs in a row: training has diverged; lower --lr or --clip-norm "
            "and start in another --save-dir"
        )
    return count + 1
