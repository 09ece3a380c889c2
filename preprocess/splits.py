"""Split a text into training, validation and test."""

import re

HELD_OUT = 0.05  # the share of the validation text, and of the test text
FEW = 20  # lines; below this number, one line is more than that share
WHITE_SPACE = re.compile(r"\s+")

Lines = list[str]


def hold_out(lines: Lines, name: str, inside_words: bool) -> dict[str, Lines]:
    """Return {split: lines}, with the end of the text `name` held out.

    Args:
        inside_words: a text of few lines may be cut inside a word

    Raises:
        SystemExit: the text is too short.
    """
    if len(lines) < FEW:
        count = f"{len(lines)} lines" if len(lines) > 1 else "one line"
        ends = f"{1 - 2 * HELD_OUT:.0%} and {1 - HELD_OUT:.0%}"
        print(f"{name} has {count}, so it is split after {ends} of its characters", flush=True)
        splits = [text.split("\n") for text in cut("\n".join(lines), inside_words)]
    else:
        held = int(len(lines) * HELD_OUT)
        splits = [lines[: -2 * held], lines[-2 * held : -held], lines[-held:]]
    if not all(any(line.strip() for line in split) for split in splits):
        raise SystemExit(
            f"error: {name} is too short to hold out {HELD_OUT:.0%} for each of validation and test: give "
            "--valid and --test, or more text"
        )
    return dict(zip(("train", "valid", "test"), splits, strict=True))


def cut(text: str, inside_words: bool) -> list[str]:
    """Return three parts of `text`, cut at any character or at the next white space, which is dropped."""
    pieces, begin = [], 0
    for share in (2 * HELD_OUT, HELD_OUT):
        end = after = max(begin, len(text) - round(len(text) * share))
        if not inside_words:
            space = WHITE_SPACE.search(text, end)
            end, after = space.span() if space else (len(text), len(text))
        pieces.append(text[begin:end])
        begin = after
    return [*pieces, text[begin:]]
