"""Smaller pictures for the documentation: of a screen's thousands of shades, 256 are enough, and need a third of the bytes.

Reads and writes PNG (https://www.w3.org/TR/png-3/) as far as Chromium makes it: 8 bits of red, green and blue, not interlaced.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

MOST_COLOURS = 256
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB, _PALETTE = 2, 3

Colour = tuple[int, int, int]


def with_palette(png: bytes) -> bytes:
    """The same picture with its 256 most frequent colours, each other one replaced by the nearest of them."""
    chunks = list(_chunks(png))
    width, height, depth, kind, *_ = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, kind) == (8, _RGB)
    packed = b"".join(content for name, content in chunks if name == b"IDAT")
    rows = [list(zip(*[iter(row)] * 3, strict=True)) for row in _rows(zlib.decompress(packed), size=width * 3)]
    counted = Counter(colour for row in rows for colour in row)
    palette = [colour for colour, _ in counted.most_common(MOST_COLOURS)]
    places = {colour: _nearest(colour, palette) for colour in counted}
    pixels = b"".join(b"\0" + bytes(places[colour] for colour in row) for row in rows)
    return SIGNATURE + b"".join(
        _chunk(name, content)
        for name, content in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _PALETTE, 0, 0, 0)),
            (b"PLTE", bytes(part for colour in palette for part in colour)),
            (b"IDAT", zlib.compress(pixels, 9)),
            (b"IEND", b""),
        )
    )


def _nearest(colour: Colour, palette: list[Colour]) -> int:
    red, green, blue = colour
    distances = [(red - r) ** 2 + (green - g) ** 2 + (blue - b) ** 2 for r, g, b in palette]
    return distances.index(min(distances))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        place += length + 12


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _rows(filtered: bytes, *, size: int) -> Iterator[bytes]:
    """Each row of pixels, with what its filter took away put back (section 9 of the standard)."""
    above = bytes(size)
    for start in range(0, len(filtered), size + 1):
        kind, row = filtered[start], filtered[start + 1 : start + 1 + size]
        above = _FILTERS[kind](row, above)
        yield above


def _from_left(guess: Callable[[int, int, int], int]) -> Callable[[bytes, bytes], bytes]:
    """A filter that goes by the pixel before, the one above, and the one before that."""

    def read(row: bytes, above: bytes) -> bytes:
        done, before = bytearray(3), bytes(3) + above  # nothing is left of the first pixel
        for place, value in enumerate(row):
            done.append((value + guess(done[place], above[place], before[place])) & 255)
        return bytes(done[3:])

    return read


def _paeth(left: int, above: int, corner: int) -> int:
    by_left, by_above, by_corner = abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)
    if by_left <= by_above and by_left <= by_corner:
        return left
    return above if by_above <= by_corner else corner


_FILTERS: tuple[Callable[[bytes, bytes], bytes], ...] = (
    lambda row, _: row,
    _from_left(lambda left, above, corner: left),
    lambda row, above: bytes([(one + other) & 255 for one, other in zip(row, above, strict=True)]),
    _from_left(lambda left, above, corner: (left + above) // 2),
    _from_left(_paeth),
)
