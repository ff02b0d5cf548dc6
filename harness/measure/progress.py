"""What a sweep shows while it runs: its rows as they come, above a bar with the time left where there is a terminal."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from harness.measure.forecast import Forecast
from harness.records.schema import Cell
from harness.show.terminal import ratio, seconds

BAR_WIDTH = 12


class Left(ProgressColumn):
    """Time left, counted down between the forecast's news."""

    def __init__(self, left: Callable[[], float | None]):
        super().__init__(table_column=Column(no_wrap=True))
        self._left = left

    def render(self, task: Task) -> Text:
        """The column's text at this moment."""
        return Text(f"{duration(self._left())} left", "cyan")


class What(ProgressColumn):
    """What is going on, cut short where the terminal is narrow: the other columns keep their width."""

    def render(self, task: Task) -> Text:
        """The column's text at this moment."""
        return Text(task.fields["what"], "dim", no_wrap=True, overflow="ellipsis")


class Display:
    """A line for each finished row, above a progress bar where there is a terminal. `clock` gives seconds."""

    def __init__(self, console: Console, forecast: Forecast, clock: Callable[[], float] = time.monotonic):
        self.console, self.forecast, self._clock = console, forecast, clock
        self.live = console.is_terminal
        whole = [Column(no_wrap=True, min_width=width) for width in (BAR_WIDTH, 4, 7)]
        columns = [BarColumn(BAR_WIDTH, table_column=whole[0]), TaskProgressColumn(table_column=whole[1])]
        columns += [TimeElapsedColumn(table_column=whole[2]), Left(self.left), What()]
        self._bar = Progress(*columns, console=console, disable=not self.live, transient=True)
        self._task = self._bar.add_task("sweep", total=1.0, what="")
        self._cell: Cell | None = None
        self._started = self._cell_started = self._stage_started = clock()

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def left(self) -> float | None:
        """Seconds to the end of the sweep; None where nothing is known yet."""
        return self.forecast.left(self._cell, self._clock() - self._cell_started)

    def cell(self, cell: Cell) -> None:
        """A cell begins."""
        self._cell, self._cell_started = cell, self._clock()
        if not self.live:
            passed = self._clock() - self._started
            self.console.print(f"[{passed:6.1f} s, {duration(self.left())} left] {_name(cell)}")

    def say(self, what: str) -> None:
        """What is going on in it."""
        self._stage_started = self._clock()
        passed, left = self._stage_started - self._started, self.left()
        share = passed / (passed + left) if left else 0.0
        self._bar.update(self._task, completed=share, what=f"{_name(self._cell)}: {what}" if self._cell else what)

    def warmed(self, solver: str, run_s: float) -> None:
        """The stage that ends now was a solver's warm-up; a run takes it that many seconds."""
        if self._cell is not None:
            self.forecast.warmed(self._cell, solver, self._clock() - self._stage_started, run_s)

    def cell_done(self, cell: Cell, rows: Sequence[dict[str, Any]]) -> None:
        """A cell's rows are recorded; none where it needed no measuring."""
        self.forecast.done(cell, rows, self._clock() - self._cell_started)
        self._cell = None
        if self.live and any(row["status"] != "skipped" for row in rows):
            self.console.print(Text(_name(cell), "bold"))
        for row in rows:
            if row["status"] == "skipped" and self.live:
                continue  # in every cell, and the table at the end says why
            bad = row["status"] != "ok" or row["gate"] == "fail"
            self.console.print(
                Text(f"    {row['solver']}: {_outcome(row)}", "red" if bad else ""),
                soft_wrap=not self.console.is_terminal,
            )


def _outcome(row: dict[str, Any]) -> str:
    """What came of a solver: its time, its speed beside the baseline's, its gate; or why there is none."""
    if row["status"] != "ok":
        return f"{row['status']}: {row['reason']}"
    faster = row.get("speedup") or math.nan
    compared = row["solver"] != "baseline" and not math.isnan(faster)
    return f"{seconds(row['median_s'])}{f', {ratio(faster)}' if compared else ''}, gate {row['gate']}"


def _name(cell: Cell) -> str:
    return f"{cell.dataset} {cell.pixels} px x {cell.bins} bins"


def duration(value: float | None) -> str:
    """A time to wait, as coarse as a forecast is."""
    if value is None:
        return "unknown time"
    if value < 60:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"
