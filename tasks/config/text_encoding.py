"""Reads text files that people saved: UTF-8 is decoded, any other encoding is refused with a remedy."""

from __future__ import annotations

import codecs

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class EncodingError(ValueError):
    """Bytes that are not UTF-8 text. `found` says what they are, `remedy` how to turn them into UTF-8."""

    def __init__(self, found: str, remedy: str) -> None:
        self.found, self.remedy = found, remedy
        super().__init__(found)


def decoded(raw: bytes) -> str:
    """The text in UTF-8 bytes, with or without a byte order mark.

    Raises: EncodingError when the bytes are anything else.
    """
    if raw.startswith(UTF_16) or b"\0" in raw[:4]:
        raise EncodingError("UTF-16 text", "save it as UTF-8, such as with `iconv -f UTF-16 -t UTF-8`")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise EncodingError(
            f"text in another encoding than UTF-8, from line {line} on",
            "save it as UTF-8, such as with `iconv -f GBK -t UTF-8`, or `-f CP1252`",
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise EncodingError(f"no text: line {line} holds a NUL byte", "give the text file")
    return text
