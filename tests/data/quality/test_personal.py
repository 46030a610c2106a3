"""Personal data in texts of any length."""

from kerasft.data.quality.personal import EMAIL


def test_a_long_text_without_a_gap_is_gone_through_once():
    """A search that began anew at each letter would not end in an hour."""
    assert EMAIL.search("a" * 1_000_000) is None
    assert EMAIL.search("x " + "a.b+c@example.org, and more").group() == "a.b+c@example.org"
