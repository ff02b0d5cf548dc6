"""Vectors of one machine register for kernels compiled by Numba.

Numba vectorises a loop only where LLVM can prove that arrays do not overlap and indices do not wrap, and then picks the
width itself. The values here are LLVM vectors held in registers by name: what is written is what is run. They have 512
bits (8 doubles or 16 floats) where the processor has AVX-512; elsewhere 256, which narrower registers hold by halves.

Arrays are C-ordered and addressed by one flat index, without bounds check, without negative indices.
"""

# mypy: allow-untyped-defs

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, config, types
from numba.core.codegen import get_host_cpu_features
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

FEATURES = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
BITS = 512 if "+avx512f" in FEATURES else 256
LANES = BITS // 64
"""Doubles in a vector."""


class Vector(types.Type):
    """Numba type of a vector of `dtype` (float64 or float32); of as many lanes as a register holds, unless said."""

    def __init__(self, dtype: types.Float, lanes: int = 0):
        self.dtype = dtype
        self.lanes = lanes or BITS // dtype.bitwidth
        super().__init__(f"Vector({dtype}, {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Vector):
        scalar = ir.DoubleType() if fe_type.dtype.bitwidth == 64 else ir.FloatType()
        super().__init__(manager, fe_type, ir.VectorType(scalar, fe_type.lanes))


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any, vector: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _call(builder: Any, name: str, result: Any, args: list[Any], fastmath: tuple[str, ...] = ()) -> Any:
    """Call LLVM's intrinsic `name` overloaded for the type of its last argument."""
    vector = args[-1].type
    width = 64 if isinstance(vector.element, ir.DoubleType) else 32
    function_type = ir.FunctionType(result, [a.type for a in args])
    function = cgutils.get_or_insert_function(builder.module, function_type, f"{name}.v{vector.count}f{width}")
    return builder.call(function, args, fastmath=fastmath)


def _splat(builder: Any, vector: Any, scalar: Any) -> Any:
    unset = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(unset, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, unset, zeros)


@intrinsic
def lanes_of(typingctx, array):
    """How many elements of the array a vector holds: a constant, which array.itemsize is not."""

    def codegen(context, builder, sig, args):
        return context.get_constant(types.intp, BITS // array.dtype.bitwidth)

    return types.intp(array), codegen


@intrinsic
def load(typingctx, array, index):
    """The vector array.ravel()[index : index + lanes]."""
    return _loading(Vector(array.dtype), array)


@intrinsic
def load_pixels(typingctx, array, index):
    """The vector array.ravel()[index : index + LANES], in the array's type: half a register of float32."""
    return _loading(Vector(array.dtype, LANES), array)


def _loading(vector: Any, array: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _address(context, builder, sig.args[0], args[0], args[1], context.get_value_type(vector))
        return builder.load(address, align=array.dtype.bitwidth // 8)

    return vector(array, types.intp), codegen


@intrinsic
def broadcast_pixels(typingctx, array, index):
    """The vector with array.ravel()[index] in every one of LANES lanes."""
    vector = Vector(array.dtype, LANES)

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return _splat(builder, context.get_value_type(vector), builder.load(builder.gep(data, [args[1]])))

    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx, array, index, value):
    """array.ravel()[index : index + lanes] = value, converted to the array's type."""

    def codegen(context, builder, sig, args):
        scalar = ir.DoubleType() if array.dtype.bitwidth == 64 else ir.FloatType()
        kept = ir.VectorType(scalar, value.lanes)
        convert = builder.fptrunc if array.dtype.bitwidth < value.dtype.bitwidth else builder.fpext
        converted = args[2] if kept == args[2].type else convert(args[2], kept)
        address = _address(context, builder, sig.args[0], args[0], args[1], kept)
        builder.store(converted, address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def read(typingctx, array, index):
    """The scalar array.ravel()[index]."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.intp), codegen


@intrinsic
def write(typingctx, array, index, value):
    """array.ravel()[index] = value, of the array's type."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        builder.store(args[2], builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp, array.dtype), codegen


@intrinsic
def splat(typingctx, scalar):
    """The vector with `scalar` in every lane."""
    vector = Vector(scalar)

    def codegen(context, builder, sig, args):
        return _splat(builder, context.get_value_type(vector), args[0])

    return vector(scalar), codegen


@intrinsic
def broadcast(typingctx, array, index):
    """The vector with array.ravel()[index] in every lane."""
    vector = Vector(array.dtype)

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return _splat(builder, context.get_value_type(vector), builder.load(builder.gep(data, [args[1]])))

    return vector(array, types.intp), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c, rounded once where the machine can."""

    def codegen(context, builder, sig, args):
        return _call(builder, "llvm.fmuladd", args[0].type, list(args))

    return a(a, a, a), codegen


@intrinsic
def sqrt(typingctx, a):
    """Square root of each lane."""

    def codegen(context, builder, sig, args):
        return _call(builder, "llvm.sqrt", args[0].type, list(args))

    return a(a), codegen


@intrinsic
def floor(typingctx, a):
    """The greatest whole number of at most a, in each lane."""

    def codegen(context, builder, sig, args):
        return _call(builder, "llvm.floor", args[0].type, list(args))

    return a(a), codegen


@intrinsic
def exponent(typingctx, a):
    """What a double's bits say of its binary logarithm: right at powers of two, linear between, at most 0.09 low."""

    def codegen(context, builder, sig, args):
        kind = args[0].type
        bits = builder.bitcast(args[0], ir.VectorType(ir.IntType(64), kind.count))
        number = builder.sitofp(bits, kind)
        scale, bias = (ir.Constant(kind, [x] * kind.count) for x in (2.0**-52, -1023.0))
        return builder.fadd(builder.fmul(number, scale), bias)

    return a(a), codegen


@intrinsic
def turn(typingctx, source, at, stride, target, starts, column):
    """Transpose LANES vectors of `source`, at, at + stride, ...: lane l of all to target.ravel()[starts[l] + column:].

    In the target's type.
    """

    def codegen(context, builder, sig, args):
        kind = context.get_value_type(Vector(source.dtype, LANES))
        whole = ir.IntType(64)
        table = []
        for n in range(LANES):
            index = builder.add(args[1], builder.mul(args[2], whole(n)))
            address = _address(context, builder, sig.args[0], args[0], index, kind)
            table.append(builder.load(address, align=source.dtype.bitwidth // 8))
        half = LANES // 2
        while half:  # exchange the upper lanes of upper rows with the lower lanes of the rows `half` below
            low = [lane if not lane & half else lane - half + LANES for lane in range(LANES)]
            high = [lane + half if not lane & half else lane + LANES for lane in range(LANES)]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), LANES), chosen) for chosen in (low, high)]
            turned = list(table)
            for n in range(LANES):
                if not n & half:
                    for m, mask in zip((n, n + half), masks, strict=True):
                        turned[m] = builder.shuffle_vector(table[n], table[n + half], mask)
            table, half = turned, half // 2
        scalar = ir.DoubleType() if target.dtype.bitwidth == 64 else ir.FloatType()
        kept = ir.VectorType(scalar, LANES)
        first = context.make_array(sig.args[4])(context, builder, args[4]).data
        for n, row in enumerate(table):
            start = builder.load(builder.gep(first, [whole(n)]))
            address = _address(context, builder, sig.args[3], args[3], builder.add(start, args[5]), kept)
            if kept != row.type:
                row = builder.fptrunc(row, kept) if target.dtype.bitwidth == 32 else builder.fpext(row, kept)
            builder.store(row, address, align=target.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, starts, types.intp), codegen


@intrinsic
def absolute(typingctx, a):
    """Magnitude of each lane."""

    def codegen(context, builder, sig, args):
        return _call(builder, "llvm.fabs", args[0].type, list(args))

    return a(a), codegen


@intrinsic
def where_less(typingctx, a, b, yes, no):
    """`yes` in the lanes where a < b, `no` in the others and wherever a or b is NaN."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return a(a, a, a, a), codegen


@intrinsic
def larger(typingctx, a, b):
    """The larger of a and b in each lane; b wherever either is NaN."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[0], args[1])

    return a(a, a), codegen


@intrinsic
def smaller(typingctx, a, b):
    """The smaller of a and b in each lane; b wherever either is NaN."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[0], args[1])

    return a(a, a), codegen


@intrinsic
def any_less(typingctx, a, b):
    """Whether a < b in any lane; a NaN is less than nothing."""

    def codegen(context, builder, sig, args):
        less = builder.fcmp_ordered("<", args[0], args[1])
        bits = builder.bitcast(less, ir.IntType(args[0].type.count))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(a, a), codegen


@intrinsic
def count_less(typingctx, a, b):
    """In how many lanes a < b."""

    def codegen(context, builder, sig, args):
        less = builder.fcmp_ordered("<", args[0], args[1])
        bits = builder.bitcast(less, ir.IntType(args[0].type.count))
        return builder.ctpop(builder.zext(bits, ir.IntType(64)))

    return types.intp(a, a), codegen


@intrinsic
def total(typingctx, a):
    """Sum of the lanes, in pairs."""

    def codegen(context, builder, sig, args):
        scalar = args[0].type.element
        start = ir.Constant(scalar, 0.0)
        # The one place where terms may be reordered: in lane order it would be a chain of additions.
        return _reduce(builder, start, args[0], scalar)

    return a.dtype(a), codegen


def _reduce(builder: Any, start: Any, vector: Any, scalar: Any) -> Any:
    return _call(builder, "llvm.vector.reduce.fadd", scalar, [start, vector], fastmath=("reassoc", "nsz"))


@intrinsic
def highest(typingctx, a):
    """The largest lane; no lane may be NaN."""

    def codegen(context, builder, sig, args):
        return _call(builder, "llvm.vector.reduce.fmax", args[0].type.element, list(args), fastmath=("nnan", "nsz"))

    return a.dtype(a), codegen


def _define(symbol: Callable[..., Any], operation: str) -> None:
    """Let `symbol` (operator.add, ...) take two vectors of the same type."""

    @infer_global(symbol)
    class Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], Vector) and args[0] == args[1]:
                return signature(args[0], *args)
            return None

    @lower_builtin(symbol, Vector, Vector)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, operation)(*args)


for _symbol, _operation in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_symbol, _operation)
