"""A recommendation, the decision table and the check of predictions, as text."""

import math
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.advice import held_out
from harness.advice.breakeven import MOST_PIXELS, Leg
from harness.advice.candidates import Candidate, Request
from harness.advice.evidence import Evidence
from harness.advice.gaps import MINUTE, Gap
from harness.advice.growth_law import LEVEL, Prediction
from harness.advice.held_out import Trial
from harness.machine import facts as machine_facts
from harness.machine import pinning
from harness.show.terminal import GATE_MARK, GATE_STYLE, fitting, say_left_out, seconds

USELESS = 10.0
"""An interval that reaches this factor either way says that too little was measured."""


def show(
    console: Console,
    known: Evidence,
    request: Request,
    candidates: Sequence[Candidate],
    chosen: Candidate | None,
    gaps: Sequence[Gap],
) -> None:
    """The recommendation, what stands behind it, and all candidates."""
    _line(console, f"{request.pixels:,} pixels x {request.bins} bins, times of the workload {request.dataset}")
    _line(console, f"machine: {_machine(known)}")
    if known.guess:
        _line(console, known.guess, "yellow")
    if chosen is None:
        _line(console, "No solver can be recommended.", "bold red")
    else:
        _chosen(console, chosen)
    _candidates(console, candidates, chosen)
    for gap in gaps:
        _line(console, f"not measured ({gap.why}): {', '.join(gap.solvers)}", "yellow")
    if gaps:
        _line(console, f"  --measure measures that, {MINUTE:.0f} s at most")
    for run in known.used:
        _line(console, f"from {run}", "dim")
    for run in known.left_out:
        _line(console, f"not used: {run}", "dim")


def _chosen(console: Console, chosen: Candidate) -> None:
    assert chosen.time_s is not None
    _line(console, "")
    _line(console, f"Use {chosen.spec}" + f" on {chosen.threads} thread(s): {interval(chosen.time_s, seconds)}", "bold")
    median, most = chosen.oneoff_s
    _line(console, f"  once per process: {seconds(median)} (up to {seconds(most)} when it compiles)")
    if chosen.memory_mb:
        part = " for each part" if chosen.parts > 1 else ""
        _line(console, f"  memory: {interval(chosen.memory_mb, megabytes)}{part}")
    else:
        _line(console, "  memory: not known from enough records")
    if chosen.parts > 1:
        _line(console, f"  solve the map in {chosen.parts} parts: at once it would take more memory than it may")
    if chosen.accuracy == "exact":
        _line(console, "  exact: agrees with the published algorithm; passed its gates at every measured size")
    else:
        _line(console, f"  approximate; passed its gates. Given up: {chosen.gives_up or 'nothing measurable'}")
    _line(console, f"  measured at {chosen.measured_at}")
    pixels, bins = chosen.beyond
    if pixels > 1:
        _line(console, f"  extrapolated {pixels:,.3g} times beyond the measured pixels, as overhead + cost per pixel")
    if bins > 1:
        _line(console, f"  extrapolated {bins:.3g} times beyond the measured bins")
    _line(console, f"  {call(chosen)}", "cyan")


def call(candidate: Candidate) -> str:
    """The call that runs the solver so."""
    text = f'dn2dem(dn, edn, tresp, tresp_logt, temps, solver="{candidate.spec}")'
    if candidate.threads > 1 and not candidate.pinned:
        text += f"  # with {pinning.THREAD_VARIABLES[0]}={candidate.threads} and its like set before Python starts"
    return text


def interval(prediction: Prediction, form: object) -> str:
    """A value and its interval."""
    assert callable(form)
    if prediction.high / prediction.value > USELESS:
        return f"{form(prediction.value)} (known to no better than a factor {USELESS:g}: measure more sizes)"
    return f"{form(prediction.value)} [{form(prediction.low)} to {form(prediction.high)}, {LEVEL:.0%}]"


def megabytes(value: float) -> str:
    """Memory in the unit that suits it."""
    return f"{value / 1024:.3g} GB" if value >= 1024 else f"{value:.0f} MB"


def _candidates(console: Console, candidates: Sequence[Candidate], chosen: Candidate | None) -> None:
    texts = []
    for c in candidates:
        wide = c.time_s is not None and c.time_s.high / c.time_s.value > USELESS
        span = f"{seconds(c.time_s.low)} – {seconds(c.time_s.high)}" if c.time_s else ""
        texts.append(
            {
                "solver": ("→ " if c is chosen else "  ") + c.solver,
                "threads": str(c.threads),
                "time": seconds(c.time_s.value) if c.time_s else "–",
                "gate": GATE_MARK[c.gate],
                "memory": megabytes(c.memory_mb.value) if c.memory_mb else "–",
                "interval": "wide" if wide else span,
                "accuracy": c.accuracy,
                "px beyond": f"{c.beyond[0]:,.0f}x" if c.beyond[0] > 1 else "",
            }
        )
    names = fitting(console.width, texts, ("px beyond", "accuracy", "interval", "memory"))
    view = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for name, width in names.items():
        side = "left" if name in ("solver", "gate", "accuracy") else "right"
        view.add_column(name, justify=side, width=width, overflow="fold")  # type: ignore[arg-type]
    console.print(Text("\nall candidates", "bold"))
    for c, text in zip(candidates, texts, strict=True):
        style = "dim" if c.refused else ""
        view.add_row(*(Text(text[n], style=GATE_STYLE[c.gate] if n == "gate" else style) for n in names))
    console.print(view)
    if texts:
        say_left_out(console, texts, names)
    for c in candidates:
        if c.refused:
            _line(console, f"✘ {c.solver}, {c.threads} thread(s): {c.refused}", "red" if c.gate == "fail" else "dim")
        elif c.gives_up and c is not chosen:
            _line(console, f"  {c.solver} gives up: {c.gives_up}", "dim")


def asks(console: Console, gaps: Sequence[Gap]) -> bool:
    """Ask, on a terminal, whether to measure."""
    for gap in gaps:
        _line(console, f"not measured ({gap.why}): {', '.join(gap.solvers)}")
    try:
        answer = console.input(f"Measure that now, {MINUTE:.0f} s at most? [y/N] ", markup=False)
    except EOFError:
        answer = "no"
    return answer.strip().lower() in ("y", "yes")


def show_table(console: Console, known: Evidence, request: Request, legs: Sequence[Leg]) -> None:
    """The decision table."""
    _line(console, f"fastest solver by map size, workload {request.dataset}; machine: {_machine(known)}")
    if known.guess:
        _line(console, known.guess, "yellow")
    view = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("bins", "device", "solvers", "from pixels", "solver", "threads", "overtakes between", "beyond"):
        view.add_column(name, justify="right" if name in ("bins", "from pixels", "threads") else "left")
    for leg in legs:
        settled = leg.start_high < MOST_PIXELS
        between = f"{leg.start_low:,.0f} – {leg.start_high:,.0f}" if settled else f"{leg.start_low:,.0f} – not settled"
        between = "anywhere: as fast" if leg.start_low <= 1 and not settled else between
        between = "" if math.isnan(leg.start_low) else between
        view.add_row(
            str(leg.bins),
            leg.device,
            "exact" if leg.needs == "exact" else "all",
            f"{leg.from_pixels:,.0f}",
            leg.solver,
            str(leg.threads),
            between,
            f"{leg.beyond:.2g}x measured" if leg.beyond > 1 else "",
        )
    console.print(view)


def show_trials(console: Console, trials: Sequence[Trial]) -> None:
    """Predicted and measured times, and the worst of every solver."""
    predicted = sorted((t for t in trials if not t.why), key=lambda t: (t.solver, t.threads, t.bins, t.pixels))
    texts = [
        {
            "solver": t.solver,
            "threads": str(t.threads),
            "pixels": f"{t.pixels:,}",
            "bins": str(t.bins),
            "error": f"{t.error:+.0%} {'✔' if t.good else '✘'}",
            "predicted": seconds(t.predicted_s),
            "measured": seconds(t.measured_s),
            "dataset": t.dataset,
        }
        for t in predicted
    ]
    if texts:
        names = fitting(console.width, texts, ("dataset", "measured", "predicted"))
        view = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
        for name, width in names.items():
            side = "left" if name in ("solver", "dataset") else "right"
            view.add_column(name, justify=side, width=width, overflow="fold")  # type: ignore[arg-type]
        for t, text in zip(predicted, texts, strict=True):
            view.add_row(*(text[name] for name in names), style="" if t.good else "bold red")
        console.print(view)
        say_left_out(console, texts, names)
    reasons = Counter((t.solver, t.threads, t.dataset, t.why) for t in trials if t.why)
    for (solver, threads, dataset, why), count in reasons.items():
        _line(console, f"– {solver}, {threads} thread(s), {dataset}, {count} sizes: {why}", "dim")
    for solver, error in held_out.worst(trials).items():
        _line(console, f"{solver}: at most {error:.0%} off", "" if error <= held_out.WITHIN else "bold red")
    _line(console, held_out.tally(trials))


def _machine(known: Evidence) -> str:
    facts = known.machine
    return machine_facts.machine_label(facts) if "cores" in facts else f"{facts['id']} (not this one)"


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style), soft_wrap=not console.is_terminal)
