from __future__ import annotations

import io

from rich.text import Text

from paceline.core.clock import ManualClock
from paceline.report.console import Console, console_for, result_table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(table) -> list[str]:
    file = io.StringIO()
    console_for(file).print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_without_a_terminal_a_line_comes_every_tenth():
    file = io.StringIO()
    with Console(file=file) as console:
        for step in range(1001):
            console.advance("training", step / 1000, f"step {step}")
    lines = file.getvalue().splitlines()
    assert lines[0] == "training  10 %  step 100"
    assert lines[-1] == "training 100 %  step 1000"
    assert len(lines) == 10


def test_quiet_says_nothing():
    file = Terminal()
    with Console(quiet=True, file=file) as console:
        console.say("a")
        console.warn("b")
        console.show(Text("c"))
        console.advance("training", 1.0)
    assert file.getvalue() == ""


def test_words_are_printed_as_they_are_however_long():
    file = io.StringIO()
    console = Console(file=file)
    console.say("[bold]not markup[/] :smile: " + "x" * 500)
    console.warn("beware")
    said, warned = file.getvalue().splitlines()
    assert said == "[bold]not markup[/] :smile: " + "x" * 500
    assert warned == "warning: beware"


def test_a_terminal_is_redrawn_ten_times_a_second_at_most():
    file, clock = Terminal(), ManualClock()
    with Console(file=file, clock=clock) as console:
        console.advance("training", 0.0)
        before = len(file.getvalue())
        for step in range(1000):
            console.advance("training", step / 2000, f"step {step}")
        assert len(file.getvalue()) == before
        clock.advance(0.2)
        console.advance("training", 0.5, "half")
        assert "half" in file.getvalue()
        console.advance("training", 1.0, "whole")
    assert "whole" in file.getvalue()


def test_two_jobs_have_a_bar_each_and_words_go_above():
    file = Terminal()
    with Console(file=file, clock=ManualClock()) as console:
        console.start()
        console.advance("baselines", 1.0)
        console.advance("training", 0.5)
        console.say("hello")
    assert "baselines" in file.getvalue() and "hello" in file.getvalue()


def test_the_result_stands_beside_the_baselines_and_the_best_is_marked(made, tmp_path):
    lines = printed(result_table(made.facts_of(tmp_path), tmp_path))
    assert lines[0].split() == ["test", "accuracy", "log", "loss", "balanced", "accuracy"]
    assert lines[1].split()[:4] == ["this", "run", "0.9917", "●"]
    assert sum("●" in line for line in lines) == 1
    assert any("stopped before it converged" in line for line in lines)
    assert any("model.safetensors" in line for line in lines)


def test_a_better_baseline_is_marked_honestly(made, tmp_path):
    result = {"test": {"accuracy": 0.5}, "baselines": {"majority": {"accuracy": 0.6}}}
    lines = printed(result_table(made.facts_of(tmp_path, result=result)))
    assert [("●" in line) for line in lines] == [False, False, True]


def test_a_run_without_result_has_an_empty_table(made, tmp_path):
    assert result_table(made.facts_of(tmp_path, result=None)).row_count == 0


def lanes_of(console) -> list[str]:
    return printed(console._lanes)


def test_each_lane_is_drawn_under_the_bars_with_its_name_and_note():
    file, clock = Terminal(), ManualClock()
    with Console(file=file, clock=clock) as console:
        console.gauge("agent 1", 0.75, "48 samples · waits 12 %")
        console.gauge("agent 2", 0.5, "16 samples · waits 38 %")
        console.advance("training", 0.3, "step 3")
        drawn = file.getvalue()
        assert drawn.index("training") < drawn.index("agent 1") < drawn.index("agent 2")
        assert "75 % busy" in drawn and "16 samples · waits 38 %" in drawn
    assert lanes_of(console) == []


def test_a_log_has_no_lanes():
    file = io.StringIO()
    with Console(file=file) as console:
        console.gauge("agent 1", 0.75, "note")
        console.advance("training", 0.5, "half")
    assert file.getvalue() == "training  50 %  half\n"


def test_a_quiet_console_has_no_lanes():
    file = Terminal()
    with Console(quiet=True, file=file) as console:
        console.gauge("agent 1", 0.75, "note")
    assert file.getvalue() == ""


def test_a_lane_that_a_round_leaves_out_is_gone_and_a_new_one_comes():
    with Console(file=Terminal(), clock=ManualClock()) as console:
        for names in ((1, 2, 3), (1, 3), (1, 3), (1, 3, 4), (1, 3, 4)):
            for name in names:
                console.gauge(f"agent {name}", 0.5)
        assert [line.split()[1] for line in lanes_of(console)] == ["1", "3", "4"]


def test_a_level_beyond_its_bounds_is_drawn_at_them():
    with Console(file=Terminal(), clock=ManualClock()) as console:
        console.gauge("agent 1", 1.7)
        console.gauge("agent 2", -0.2)
        assert [line.split(" %")[0].split()[-1] for line in lanes_of(console)] == ["100", "0"]


def test_lanes_go_when_a_bar_is_full():
    with Console(file=Terminal(), clock=ManualClock()) as console:
        console.gauge("agent 1", 0.5)
        console.advance("training", 1.0)
        assert lanes_of(console) == []


def test_slow_drawing_makes_pictures_rarer_but_one_a_second_stays():
    class Slow:
        """A clock on which every look takes 5 ms."""

        def __init__(self) -> None:
            self.seconds = 0.0

        def now(self) -> float:
            self.seconds += 0.005
            return self.seconds

    file, clock = Terminal(), Slow()
    with Console(file=file, clock=clock) as console:
        console.advance("training", 0.1, "first")
        clock.seconds += 0.3
        console.advance("training", 0.2, "second")
        clock.seconds += 0.3
        console.advance("training", 0.3, "third")
    assert "first" in file.getvalue()
    assert "second" not in file.getvalue()
    assert "third" in file.getvalue()
