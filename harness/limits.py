"""What this machine can do at most, measured once and kept; how far a solver is from it.

`python -m harness.limits` shows the figures, and measures them anew with --again. They are kept per machine in .cache/
of the checkout, or in the user's cache folder, and a copy goes into every run's provenance.

A rate is what one core, or all cores at once, sustained in the best of several rounds: a limit is what a quiet machine
does. The median of the rounds stands beside it, since a machine that is shared is not always quiet.
"""

import json
from collections.abc import Sequence

from rich.table import Table

from harness.machine import facts
from harness.machine.limits import known
from harness.show import terminal
from implementations import command_line as cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the figures and return the exit code."""
    parser = cli.Parser("harness.limits", description=__doc__)
    parser.add_argument("--again", action="store_true", help="measure, whatever is kept")
    parser.add_argument("--json", action="store_true")
    given = parser.parse(arguments)
    limits = known(given.again)
    if given.json:
        print(json.dumps(limits, indent=1))
        return cli.OK
    view = Table("what", box=None, padding=(0, 2, 0, 0))
    for name in ("one core, best", "median", "all cores, best", "median", "scaling"):
        view.add_column(name, justify="right")
    named = [("multiply-adds, Gflop/s", limits["flops_per_s"], 1e9)]
    named += [("divisions, G/s", limits["divisions_per_s"], 1e9), ("square roots, G/s", limits["roots_per_s"], 1e9)]
    named += [(f"copy of {b['bytes'] // 1024:,} KiB, GB/s", b, 1e9) for b in limits["copy_bytes_per_s"]]
    for name, figures, unit in named:
        one, both = figures["core"], figures["all"]
        texts = (f"{x / unit:.3g}" for x in (one["best"], one["median"], both["best"], both["median"]))
        view.add_row(name, *texts, f"{both['median'] / one['median']:.2f}x")
    console = terminal.console()
    console.print(view)
    console.print(
        f"memory's first use: {limits['first_use_bytes_per_s'] / 1e9:.3g} GB/s; a Python call: "
        f"{terminal.seconds(limits['call_s'])}; an interpreter's start: {terminal.seconds(limits['interpreter_s'])}; "
        f"device: {'none' if limits['device'] is None else limits['device']}",
        soft_wrap=not console.is_terminal,
    )
    console.print(f"machine: {facts.machine_label(limits['machine'])}; {limits['vectors']}")
    return cli.OK


if __name__ == "__main__":
    cli.run(main)
