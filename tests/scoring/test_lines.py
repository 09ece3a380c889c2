"""Lines of a text in blocks, each of which is answered before the next line is read."""

import pytest

from lm_plugins.scoring import lines
from lm_plugins.scoring.lines import blocks


@pytest.mark.parametrize("size", [1, 2])
def test_a_block_is_answered_before_the_next_line_is_read(size):
    """Another program may wait for the answers to its lines before it sends the next one."""
    read = []

    def text():
        for line in "abcde":
            read.append(line)
            yield line

    answered = []
    for block in blocks(text(), size):
        answered += block
        assert read == answered


def test_a_block_has_a_limited_length(monkeypatch):
    monkeypatch.setattr(lines, "LARGEST", 4)
    assert list(blocks(["ab", "cd", "e", "longer", "f"], 3)) == [["ab", "cd"], ["e"], ["longer"], ["f"]]
    assert list(blocks([], 3)) == []
