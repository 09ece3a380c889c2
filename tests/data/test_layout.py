"""A run resumes on the same layout only, also from checkpoints of earlier versions."""

from lm_plugins.data.layout import Layout
from lm_plugins.data.windows import cut, fixed, random_start, varied

FACTS = {"corpus": 17, "tokens": 100, "streams": 4, "own_streams": 2, "window": 10}
# As saved before Layout was a class: with what was drawn, and without the rest.
FIXED = {
    "corpus": 17, "tokens": 100, "streams of all ranks": 4, "streams of a rank": 2, "window": 10,
    "order of sentences": None, "rotation of streams": None, "random start": False, "window variation": None,
}  # fmt: skip
VARIED = {k: v for k, v in FIXED.items() if k != "random start"} | {"window variation": [5.0, 20], "seed": 3}


def test_equal_layouts_have_no_differences():
    layout = Layout(**FACTS, sentences=1)
    assert list(layout.differences(layout.state_dict())) == []


def test_checkpoints_of_earlier_versions_resume():
    assert list(Layout(**FACTS).differences(FIXED)) == []
    assert list(Layout(**FACTS, variation=[5.0, 20], seed=3).differences(VARIED)) == []


def test_a_difference_names_the_flags():
    (difference,) = Layout(**FACTS | {"window": 11}).differences(FIXED)
    assert "window = 10, but this run has 11" in difference and "--tokens-per-sample" in difference
    differences = list(Layout(**FACTS).differences(VARIED))
    assert any("--bptt-variation" in one for one in differences)
    assert not any("--random-start" in one for one in differences), "neither has a random start"


def test_the_next_folder_has_another_corpus():
    other = Layout(**FACTS | {"corpus": 18, "tokens": 90})
    assert len(list(other.differences(FIXED))) == 2
    assert list(other.differences(FIXED, same_folder=False)) == []


def test_a_layout_determines_the_windows():
    assert Layout(**FACTS).windows(33, 2) == cut(33, fixed(10), 2)
    assert Layout(**FACTS, random_start=True, seed=3).windows(33, 2) == cut(33, random_start(10, 3, 2), 2)
    varied_layout = Layout(**FACTS, variation=[5.0, 6], seed=3)
    assert varied_layout.windows(33, 2) == cut(33, varied(33, 10, 5.0, 6, 3, 2), 2)
