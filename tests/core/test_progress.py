"""Nobody has to listen."""

from __future__ import annotations

from paceline.core.progress import Silence


def test_silence_takes_everything_and_says_nothing(capfd):
    nobody = Silence()
    nobody.say("a")
    nobody.warn("b")
    nobody.advance("training", 0.5, "step 3")
    assert capfd.readouterr() == ("", "")
