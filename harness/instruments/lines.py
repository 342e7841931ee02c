# SPDX-License-Identifier: Apache-2.0
"""Bytes to lines, bounded: an instrument that sends garbage or an endless line is an error, not a full memory."""

from __future__ import annotations

from harness.errors import BenchError

LONGEST_LINE = 16_384  # bytes; an answer for 1000 channels of 15 characters fits
EXCERPT = 60
TEXT = frozenset(range(0x20, 0x7F)) | {0x09}


class LineBuffer:
    """Collects bytes of one port, gives whole lines. `place` names the port in errors."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """Lines now complete, without their ends; empty lines are left out. BenchError for what is no line of text."""
        self._bytes += data
        *whole, rest = self._bytes.replace(b"\r", b"\n").split(b"\n")
        self._bytes = bytearray(rest)
        if len(rest) > LONGEST_LINE:
            raise self._garbage(bytes(rest), f"{len(rest)} bytes without a line end")
        return [self._text(bytes(line)) for line in whole if line]

    def excerpt(self) -> str:
        """What has come of an unfinished line, printable; empty when nothing has."""
        return repr(bytes(self._bytes[:EXCERPT])) if self._bytes else ""

    def clear(self) -> None:
        """Forget an unfinished line."""
        self._bytes.clear()

    def _text(self, line: bytes) -> str:
        if len(line) > LONGEST_LINE:
            raise self._garbage(line, f"a line of {len(line)} bytes")
        if not TEXT.issuperset(line):
            raise self._garbage(line, "bytes that are no text")
        return line.decode("ascii").strip()

    def _garbage(self, data: bytes, what: str) -> BenchError:
        self._bytes.clear()
        return BenchError(
            f"{self._place}: sent {what}, beginning {data[:EXCERPT]!r}. Check baud rate, and that the port is the"
            " instrument's and not another device's."
        )


def shown(text: str) -> str:
    """A line for an error text, cut to what a person reads."""
    return text if len(text) <= EXCERPT else f"{text[: EXCERPT - 3]}..."
