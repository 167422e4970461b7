"""Eight SIMD registers as one value of compiled code, since numba has no vector type.

A ``Tile`` holds neighbouring numbers of an array, 32 of float64 or 64 of float32. A
bit flip within a register is one shuffle and any other flip another address, so a sum
over flips runs at one multiply-add per load: 2.3 times what LLVM makes of loops over
v[i ^ 1] in float64, 3.5 times in float32 (N = 12, AVX2).
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

REGISTERS = 8
BYTES = 32  # of a register: AVX2; for other processors LLVM splits or joins them
TILE_BYTES = REGISTERS * BYTES
FAST = ("reassoc", "contract", "nsz")


class TileType(types.Type):
    """The numba type of a tile."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.lanes = BYTES * 8 // dtype.bitwidth
        super().__init__(f"Tile({dtype})")


@register_model(TileType)
class TileModel(models.PrimitiveModel):
    """A tile is an array of LLVM vectors, which LLVM keeps in registers."""

    def __init__(self, manager, kind):
        number = ir.DoubleType() if kind.dtype == types.float64 else ir.FloatType()
        vector = ir.VectorType(number, kind.lanes)
        super().__init__(manager, kind, ir.ArrayType(vector, REGISTERS))


def registers(builder, tile):
    """Return the eight vectors of a tile."""
    return [builder.extract_value(tile, j) for j in range(REGISTERS)]


def joined(builder, vectors):
    """Return the tile of eight vectors."""
    tile = ir.Constant(ir.ArrayType(vectors[0].type, REGISTERS), ir.Undefined)
    for j, vector in enumerate(vectors):
        tile = builder.insert_value(tile, vector, j)
    return tile


def pointers(context, builder, array, value, first, *, flip=None, stride=None):
    """Return where the registers of array[(first + i) ^ flip] are.

    With a stride, each of them begins so many numbers after the last.
    """
    kind = TileType(array.dtype)
    data = context.make_array(array)(context, builder, value).data
    vector = context.get_value_type(kind).element.as_pointer()
    stride, found = stride or first.type(kind.lanes), []
    for j in range(REGISTERS):
        index = builder.add(first, builder.mul(stride, first.type(j)))
        index = index if flip is None else builder.xor(index, flip)
        found.append(builder.bitcast(builder.gep(data, [index]), vector))
    return found


@intrinsic
def load(_, array, first):
    """Return the tile array[first + i]."""
    kind, align = TileType(array.dtype), array.dtype.bitwidth // 8

    def generate(context, builder, _, args):
        found = pointers(context, builder, array, *args)
        return joined(builder, [builder.load(p, align=align) for p in found])

    return kind(array, types.uint64), generate


@intrinsic(prefer_literal=True)
def load_flipped(_, array, first, flip, lane):
    """Return the tile array[(first + i) ^ flip], given flip % 8 as a literal."""
    kind, align = TileType(array.dtype), array.dtype.bitwidth // 8
    order = [k ^ (lane.literal_value % kind.lanes) for k in range(kind.lanes)]

    def generate(context, builder, _, args):
        whole = builder.and_(args[2], args[2].type(-kind.lanes))
        found = pointers(context, builder, array, *args[:2], flip=whole)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), kind.lanes), order)
        vectors = [builder.load(p, align=align) for p in found]
        return joined(builder, [builder.shuffle_vector(v, v, mask) for v in vectors])

    return kind(array, types.uint64, types.uint64, lane), generate


@intrinsic
def store(_, array, first, tile):
    """Write a tile to array[first + i]."""
    align = array.dtype.bitwidth // 8

    def generate(context, builder, _, args):
        found = pointers(context, builder, array, *args[:2])
        for p, vector in zip(found, registers(builder, args[2]), strict=True):
            builder.store(vector, p, align=align)
        return context.get_dummy_value()

    return types.void(array, types.uint64, tile), generate


@intrinsic
def load_spread(_, array, first, stride):
    """Return the tile whose registers begin at array[first + j stride]."""
    kind, align = TileType(array.dtype), array.dtype.bitwidth // 8

    def generate(context, builder, _, args):
        found = pointers(context, builder, array, *args[:2], stride=args[2])
        return joined(builder, [builder.load(p, align=align) for p in found])

    return kind(array, types.uint64, types.uint64), generate


@intrinsic
def store_spread(_, array, first, stride, tile):
    """Write a tile to where ``load_spread`` found it."""
    align = array.dtype.bitwidth // 8

    def generate(context, builder, _, args):
        found = pointers(context, builder, array, *args[:2], stride=args[2])
        for p, vector in zip(found, registers(builder, args[3]), strict=True):
            builder.store(vector, p, align=align)
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64, tile), generate


@intrinsic
def hadamard_across(_, tile):
    """Return the tile with its registers transformed by the three bits of their number.

    That is register j replaced by sum_k (-1)^popcount(j & k) of register k.
    """

    def generate(context, builder, _, args):
        found = registers(builder, args[0])
        for half in (1, 2, 4):
            low = [j for j in range(REGISTERS) if not j & half]
            for j in low:
                a, b = found[j], found[j + half]
                found[j], found[j + half] = builder.fadd(a, b), builder.fsub(a, b)
        return joined(builder, found)

    return tile(tile), generate


@intrinsic
def hadamard_within(_, tile):
    """Return the tile with every register transformed by the bits of its lanes."""

    def generate(context, builder, _, args):
        found, lanes = registers(builder, args[0]), range(tile.lanes)
        for bit in range(tile.lanes.bit_length() - 1):
            kind = ir.VectorType(ir.IntType(32), tile.lanes)
            other = ir.Constant(kind, [k ^ 1 << bit for k in lanes])
            signs = [-1.0 if k >> bit & 1 else 1.0 for k in lanes]
            sign = ir.Constant(found[0].type, signs)
            for j, v in enumerate(found):
                moved = builder.shuffle_vector(v, v, other)
                signed = builder.fmul(v, sign, flags=FAST)
                found[j] = builder.fadd(moved, signed, flags=FAST)
        return joined(builder, found)

    return tile(tile), generate


@intrinsic
def zero(_, array):
    """Return a tile of zeros like the numbers of an array."""
    kind = TileType(array.dtype)

    def generate(context, *_):
        return ir.Constant(context.get_value_type(kind), None)

    return kind(array), generate


def multiply_add(builder, tile, factors, other):
    """Build tile + factors * other, register by register."""
    parts = zip(
        registers(builder, tile), factors, registers(builder, other), strict=True
    )
    return joined(
        builder,
        [
            builder.fadd(a, builder.fmul(b, c, flags=FAST), flags=FAST)
            for a, b, c in parts
        ],
    )


@intrinsic
def add_scaled(_, tile, number, other):
    """Return tile + number * other."""

    def generate(context, builder, _, args):
        undefined = ir.Constant(context.get_value_type(tile).element, ir.Undefined)
        one = builder.insert_element(undefined, args[1], ir.IntType(32)(0))
        first = ir.Constant(ir.VectorType(ir.IntType(32), tile.lanes), None)
        factor = builder.shuffle_vector(one, one, first)
        return multiply_add(builder, args[0], [factor] * REGISTERS, args[2])

    return tile(tile, tile.dtype, tile), generate


@intrinsic
def add_product(_, tile, one, other):
    """Return tile + one * other."""

    def generate(context, builder, _, args):
        return multiply_add(builder, args[0], registers(builder, args[1]), args[2])

    return tile(tile, tile, tile), generate


@intrinsic
def inner(_, one, other):
    """Return sum_i one[i] other[i]."""
    letter = f"v{one.lanes}f{one.dtype.bitwidth}"

    def generate(context, builder, _, args):
        pairs = zip(*(registers(builder, arg) for arg in args), strict=True)
        parts = [builder.fmul(a, b, flags=FAST) for a, b in pairs]
        while len(parts) > 1:
            halves = zip(parts[::2], parts[1::2], strict=True)
            parts = [builder.fadd(a, b, flags=FAST) for a, b in halves]
        number = parts[0].type.element
        kind = ir.FunctionType(number, [number, parts[0].type])
        name = f"llvm.vector.reduce.fadd.{letter}"
        reduce = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(reduce, [number(0.0), parts[0]], fastmath=FAST)

    return one.dtype(one, one), generate


@intrinsic
def popcount(_, word):
    """Return the number of ones of an unsigned integer."""

    def generate(context, builder, _, args):
        return builder.ctpop(args[0])

    return word(word), generate
