"""In which encoding a file is written, by its first bytes, and any encoding read as UTF-8."""

from __future__ import annotations

import codecs
import io

from kerasft.errors import UserError

_MARKS = (  # the longer first: UTF-32's mark begins as UTF-16's does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1 << 16
_ALPHABETS = bytes({*range(0x10)} - {0x0A, 0x0D})  # high bytes of UTF-16; line ends are UTF-8's too
LEAST_PAIRS = 4  # characters outside ASCII that a guess is made by


def guess_encoding(start: bytes) -> str | None:
    """The encoding of a text that begins so; None: UTF-8, or none that can be told.

    UTF-16 is told by its mark, or by zero bytes in every other place, as ASCII has them there. GB18030 is told by what
    its bytes come to: pairs that are common Chinese characters and punctuation. Other encodings with pairs of bytes
    (Korean, Japanese) and those of one byte a character give pairs that Chinese rarely or never has.

    Args:
        start: the first bytes; the last character may be cut.
    """
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    if b"\0" in start:
        return _utf16(start)
    if _decodes(start, "utf-8") or not _decodes(start, "gb18030"):
        return None
    return "gb18030" if _is_chinese(start) else None


def _utf16(start: bytes) -> str | None:
    halves = start[0::2], start[1::2]  # the high bytes, in big and in little endian
    # Bytes that are UTF-8 but for stray zeros are a damaged file. In UTF-16 such bytes would be those of alphabets:
    # Latin, Greek, Cyrillic, Hebrew, Arabic, Indic, Thai, whose high bytes are control characters in UTF-8.
    # Of a few bytes three stray zeros are most of one half, so there all must be of alphabets.
    least = (1.0 if len(start) < 16 else 0.6) if _decodes(start, "utf-8") else 0.0
    for encoding, high, low in (("utf-16-be", *halves), ("utf-16-le", *halves[::-1])):
        zeros = high.count(0)
        letters = len(high) - len(high.translate(None, _ALPHABETS))
        if zeros > 2 * low.count(0) and zeros >= 0.05 * len(high) and letters >= least * len(high):
            if _decodes(start, encoding):
                return encoding
    return None


def _is_chinese(start: bytes) -> bool:
    text = codecs.getincrementaldecoder("gb18030")().decode(start)
    pairs = [pair for pair in (character.encode("gb18030") for character in text if character > "\x7f")]
    common = [pair[0] for pair in pairs if len(pair) == 2 and min(pair) >= 0xA1]
    # Rows of GB 2312: A1 and A3 are punctuation, A4 and A5 kana, B0 to D7 the 3,755 common characters in the order of
    # pinyin. Korean fills B0 to C8 alone, Japanese A4 and A5 besides.
    chinese = [row for row in common if row in (0xA1, 0xA3) or 0xB0 <= row <= 0xD7]
    kana = [row for row in common if row in (0xA4, 0xA5)]
    late = [row for row in chinese if row >= 0xC9]
    if len(pairs) < LEAST_PAIRS:
        return False
    return len(chinese) >= 0.85 * len(pairs) and len(kana) <= 0.05 * len(pairs) and len(late) >= 0.1 * len(pairs)


def _decodes(start: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        return False
    return True


def is_utf8(encoding: str) -> bool:
    """Whether a codec's name is one of UTF-8's."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def not_utf8(where: str, error: UnicodeDecodeError) -> UserError:
    """The error for bytes that are not UTF-8."""
    byte = error.object[error.start]
    maybe = " (it may be GB18030)" if guess_encoding(error.object) == "gb18030" else ""
    return UserError(
        f"{where}: byte 0x{byte:02x} is not UTF-8 ({error.reason}){maybe}; save the file as UTF-8, or set "
        "data.encoding, such as gb18030, utf-16 or cp1252"
    )


class Transcoded(io.RawIOBase):
    """A stream in any encoding as a stream of UTF-8.

    Args:
        stream: of bytes.
        encoding: a codec's name.
        name: of the file, for errors.
    """

    def __init__(self, stream: io.BufferedReader, encoding: str, name: str):
        self._stream, self._encoding, self._name = stream, encoding, name
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = memoryview(b"")
        self._lines = 1
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not self._ready and not self._ended:
            data = self._stream.read1(_CHUNK)
            self._ended = not data
            self._ready = memoryview(self._decode(data).encode("utf-8"))
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def _decode(self, data: bytes) -> str:
        try:
            text = self._decoder.decode(data, final=self._ended)
        except UnicodeError as error:
            raise UserError(
                f"{self._name}: not {self._encoding} from line {self._lines} on ({error}); correct data.encoding, or "
                "save the file as UTF-8"
            ) from error
        self._lines += text.count("\n")
        return text


class LineFeeds(io.RawIOBase):
    """A stream whose lines end with carriage returns alone, as an old Mac's do, as one with line feeds."""

    def __init__(self, stream: io.BufferedReader):
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self._stream.read1(len(buffer))
        buffer[: len(data)] = data.replace(b"\r", b"\n")
        return len(data)
