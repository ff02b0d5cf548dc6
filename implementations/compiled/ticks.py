"""The processor's cycle counter, read between the stages of a kernel where somebody counts; nothing where nobody does.

A reading costs some ten nanoseconds, a few per pixel.
"""

# mypy: allow-untyped-defs

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from implementations.compiled.jit import part

STAGES = ("weights", "factorisation", "grid search", "positivity", "errors", "profile width", "other")
"""Reading pixels and writing outputs are the other ones."""
WEIGHTS, FACTORISATION, SEARCH, POSITIVITY, ERRORS, WIDTH, OTHER = range(len(STAGES))


@intrinsic
def cycles(typingctx):
    """The processor's cycle counter."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(ir.IntType(64), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.readcyclecounter"), [])

    return types.int64(), codegen


@part
def start(ticks):
    """The counter; 0 where nobody counts. Numba compiles only the branch that is taken."""
    if ticks is None:
        return 0
    return cycles()


@part
def mark(ticks, stage, since):
    """Add the cycles since the last mark to a stage; returns the counter."""
    if ticks is None:
        return since
    now = cycles()
    ticks[stage] += now - since
    return now
