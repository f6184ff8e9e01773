"""Arrow columns as the canonical cells that canonical.ts defines."""

import json
import math
import struct
import uuid

import pyarrow as pa
import pyarrow.compute as pc


def cells(column, nested_uuid=False):
    """The cells of an Arrow array or chunked array, in order."""
    if isinstance(column, pa.ChunkedArray):
        return [cell for chunk in column.chunks for cell in cells(chunk, nested_uuid)]
    kind = column.type
    if isinstance(kind, pa.UuidType):
        return cells(column.storage, True)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return list_cells(column, nested_uuid)
    if pa.types.is_dictionary(kind):
        return cells(column.dictionary_decode(), nested_uuid)
    numbers = as_integers(column)
    if numbers is not None:
        return pc.cast(numbers, pa.string()).to_pylist()
    text = printer(kind, nested_uuid)
    return [None if value is None else text(value) for value in column.to_pylist()]


def as_integers(column):
    """Everything that is canonically an integer, as integers; None for other types."""
    kind = column.type
    if pa.types.is_integer(kind):
        return column
    if pa.types.is_date32(kind):
        return column.cast(pa.int32())
    if pa.types.is_time64(kind) or pa.types.is_timestamp(kind):
        if kind.unit not in ("us", "ns"):
            raise TypeError(f"no canonical form for {kind}")
        return column.cast(pa.int64())
    return None


def list_cells(column, nested_uuid):
    values = cells(column.values, nested_uuid)
    offsets = column.offsets.to_pylist()
    valid = column.is_valid().to_pylist()
    return [
        values[offsets[row] : offsets[row + 1]] if valid[row] else None
        for row in range(len(column))
    ]


def printer(kind, as_uuid):
    if pa.types.is_boolean(kind):
        return lambda value: "true" if value else "false"
    if pa.types.is_float32(kind):
        return lambda value: bits(">f", value)
    if pa.types.is_float64(kind):
        return lambda value: bits(">d", value)
    if pa.types.is_decimal(kind):
        return lambda value: format(value, "f")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return str
    if as_uuid:
        return lambda value: str(uuid.UUID(bytes=value))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return lambda value: value.hex()
    if pa.types.is_fixed_size_binary(kind):
        return lambda value: value.hex()
    raise TypeError(f"no canonical form for {kind}")


def bits(layout, value):
    return "NaN" if math.isnan(value) else struct.pack(layout, value).hex()


def write_dump(output, head, columns):
    """Writes one table: its head, then its rows; `columns` are lists of cells."""
    output.write(json.dumps(head) + "\n")
    for row in zip(*columns):
        output.write(json.dumps(row) + "\n")
