"""Progress and results for a person at a terminal, or for a log."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, final

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from paceline.core.clock import Clock, WallClock
from paceline.report.measure import best_of, fixed, in_order, in_words
from paceline.report.summary import summary_of

_REFRESH_SECONDS = 0.1
_PLAIN_WIDTH = 160
_MARKS = 10
_BAR_WIDTH = 28
_MOST_DRAWING = 0.01  # of the time
_LONGEST_SECONDS = 1.0  # between two pictures, whatever they cost


@final
class Console:
    """Tells a person how it goes: live bars on a terminal, a line each 10 % elsewhere.

    ``advance`` may be called at every step: between two pictures, a tenth of a second
    apart, it only looks at the clock. It draws from the calling thread, so that training
    shares its cores with nobody; where drawing takes long, as with many lanes, the pictures
    come less often.

    Args:
        quiet: Say nothing.
        file: Where to; stderr when left out.
        clock: Tells when the next picture is due.
    """

    def __init__(
        self, *, quiet: bool = False, file: TextIO | None = None, clock: Clock | None = None
    ) -> None:
        self._file, self._clock, self._quiet = file, clock or WallClock(), quiet
        self._rich = console_for(file or sys.stderr)
        self._live: Live | None = None
        self._progress = self._new_progress()
        self._bars: dict[str, TaskID] = {}
        self._lanes = _Lanes()
        self._marks: dict[str, int] = {}
        self._last, self._due = "", 0.0

    def start(self) -> None:
        """Begins to draw, where there is a terminal."""
        if self._quiet or self._live is not None or not self._rich.is_terminal:
            return
        self._progress = self._new_progress()
        self._live = Live(
            Group(self._progress, self._lanes), console=self._rich, auto_refresh=False
        )
        self._live.start()

    def _new_progress(self) -> Progress:
        return Progress(
            TextColumn("{task.description:<10}", markup=False),
            BarColumn(bar_width=_BAR_WIDTH, complete_style="cyan", finished_style="cyan"),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}", markup=False, style="dim"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self._rich,
            auto_refresh=False,
        )

    def stop(self) -> None:
        """Draws the last picture, without lanes, and leaves the terminal as it was."""
        if self._live is not None:
            self._lanes.clear()
            self._live.refresh()
            self._live.stop()
            self._live = None
            self._bars.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def say(self, line: str) -> None:
        """Something worth knowing."""
        self.show(Text(line))

    def warn(self, line: str) -> None:
        """Something worth doing something about."""
        self.show(Text.assemble(("warning: ", "yellow"), line))

    def show(self, thing: RenderableType) -> None:
        """Anything that rich can draw, above the bars."""
        if not self._quiet:
            self._rich.print(thing, soft_wrap=isinstance(thing, Text))

    def advance(self, what: str, done: float, note: str = "") -> None:
        """``done`` is the share of ``what`` that is finished, from 0 to 1."""
        if self._quiet:
            return
        if self._live is None:
            self._mark(what, done, note)
            return
        now = self._clock.now()
        if now < self._due and what == self._last and done < 1:
            return
        self._last = what
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=1.0, note=note)
        self._progress.update(self._bars[what], completed=min(done, 1.0), note=note)
        if done >= 1:
            self._lanes.clear()
        self._live.refresh()
        took = self._clock.now() - now
        rest = min(took / _MOST_DRAWING, _LONGEST_SECONDS)
        self._due = now + max(_REFRESH_SECONDS, rest)

    def gauge(self, what: str, level: float, note: str = "") -> None:
        """A level that goes up and down, from 0 to 1: a lane under the bars.

        It is drawn with the next picture. Lanes are told one after the other, round by
        round; one that is left out of a round is gone. A log has no lanes.
        """
        if self._live is not None and not self._quiet:
            self._lanes.tell(what, level, note)

    def _mark(self, what: str, done: float, note: str) -> None:
        mark = min(int(done * _MARKS + 1e-9), _MARKS)
        if mark == self._marks.get(what, 0):
            return
        self._marks[what] = mark
        if mark > 0:
            self.say(f"{what} {mark * 100 // _MARKS:>3} %  {note}".rstrip())


@final
class _Lanes:
    """How busy each of some workers is, as rich draws it: nothing where there are none."""

    def __init__(self) -> None:
        self._levels: dict[str, tuple[float, str]] = {}
        self._round: set[str] = set()

    def tell(self, what: str, level: float, note: str) -> None:
        """A level; whoever is told a second time begins a new round."""
        if what in self._round:
            for gone in self._levels.keys() - self._round:
                del self._levels[gone]
            self._round.clear()
        self._round.add(what)
        self._levels[what] = (min(max(level, 0.0), 1.0), note)

    def clear(self) -> None:
        """Forgets all."""
        self._levels.clear()
        self._round.clear()

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        if not self._levels:
            return
        table = Table.grid(padding=(0, 1))
        for column in ("what", "bar", "level"):
            table.add_column(column, no_wrap=True)
        table.add_column("note", no_wrap=True, overflow="ellipsis", style="dim")
        for what, (level, note) in self._levels.items():
            bar = ProgressBar(total=1.0, completed=level, width=_BAR_WIDTH, complete_style="green")
            bar.finished_style = "green"
            table.add_row(Text(f"{what:<10}"), bar, f"{100 * level:>3.0f} % busy", Text(note))
        yield table


def console_for(file: TextIO) -> RichConsole:
    """A rich console that neither guesses at markup nor cuts lines of a log short."""
    terminal = file.isatty()
    return RichConsole(
        file=file,
        width=None if terminal else _PLAIN_WIDTH,
        markup=False,
        emoji=False,
        highlight=False,
    )


def result_table(facts: Mapping[str, Any], path: Path | None = None) -> Table:
    """The result beside the plain baselines, the best of each metric marked with ●.

    Args:
        facts: What ``run.json`` holds.
        path: The run's directory, to say where things lie.
    """
    run = summary_of(dict(facts), path or Path())
    rows: dict[str, Mapping[str, float]] = {}
    part = "test"
    if run.outcome is not None:
        part = "test" if run.outcome.test else "validation"
        rows = {"this run": run.outcome.measured} | dict(run.outcome.baselines)
    metrics = in_order(run.goal, dict.fromkeys(name for row in rows.values() for name in row))
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column(part)
    for metric in metrics:
        table.add_column(in_words(metric), justify="right")
    best = {
        metric: best_of(metric, {name: row[metric] for name, row in rows.items() if metric in row})
        for metric in metrics
    }
    for name, row in rows.items():
        cells = [_cell(row.get(metric), best[metric] == name) for metric in metrics]
        table.add_row(Text(name, style="bold" if name == "this run" else ""), *cells)
    table.caption = _caption(run.outcome.notes if run.outcome else {}, path)
    table.caption_justify = "left"
    return table


def _cell(value: float | None, best: bool) -> Text:
    return Text(f"{fixed(value)} {'●' if best else ' '}", style="bold cyan" if best else "")


def _caption(notes: Mapping[str, str], path: Path | None) -> Text | None:
    lines = [f"{name}: {text}" for name, text in notes.items()]
    if path is not None:
        lines += [f"model   {path / 'model.safetensors'}", f"report  {path / 'report.html'}"]
    return Text("\n".join(lines), style="dim") if lines else None
