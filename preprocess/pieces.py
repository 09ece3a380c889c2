"""Train a SentencePiece model."""

import re
from pathlib import Path

from lm_plugins.data.level import SENTENCEPIECE
from lm_plugins.data.text_codec import PIECE_ESCAPES
from preprocess.files import atomically

# SentencePiece overflows on some 100,000 characters without a space; it learns from shorter parts of them.
LONG_RUN = re.compile("[^ ]{4000}(?=[^ ])")
WISH = 8000  # pieces; a text that does not allow as many gets fewer


def train_pieces(lines: list[str], folder: Path, size: int | None, kind: str) -> None:
    """Train `folder`/sentencepiece.model on the `lines`; decoding returns the exact text.

    Args:
        size: number of pieces; None: WISH, or as many as the text allows
        kind: "unigram" or "bpe"

    Raises:
        SystemExit: the text does not allow `size` pieces.
    """
    import sentencepiece

    characters = sum(len(line) + 1 for line in lines)
    if size is not None and size > characters:  # SentencePiece would reserve memory for all of them
        raise SystemExit(
            f"error: SentencePiece cannot make {size:,} pieces from {characters:,} characters: give a "
            "smaller --vocab-size, or leave it out"
        )
    lines = [LONG_RUN.sub(r"\g<0> ", line.translate(PIECE_ESCAPES)) for line in lines]
    wish = max(WISH, 2 * len(set().union(*lines)))
    with atomically(folder / SENTENCEPIECE) as part, open(part, "wb") as file:
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=file,
                vocab_size=size or wish,
                hard_vocab_limit=size is not None,
                model_type=kind,
                character_coverage=1.0,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                max_sentence_length=max(10, *(len(line.encode()) for line in lines)),
                minloglevel=2,
            )
        except RuntimeError as error:
            what = f"make {size:,} pieces" if size else "learn from this text"
            raise SystemExit(f"error: SentencePiece cannot {what}: {explain(str(error))}") from error
    made = sentencepiece.SentencePieceProcessor(model_file=str(folder / SENTENCEPIECE)).get_piece_size()
    print(
        f"{made:,} pieces"
        + (f" instead of {wish:,}, because this text allows no more" if size is None and made < wish else ""),
        flush=True,
    )


def explain(message: str) -> str:
    """Return what to do about an error of SentencePiece."""
    if most := re.search(r"value <= (\d+)", message):
        return f"this text allows at most {most[1]}; give a smaller --vocab-size, or leave it out"
    if "insert_id" in message:  # of its special symbols
        return "that is too few for its special symbols; give a larger --vocab-size, or leave it out"
    if least := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return f"the characters of this text need {least[1]}; give a larger --vocab-size, or leave it out"
    return message
