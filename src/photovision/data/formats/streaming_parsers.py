"""Reading JSON and XML of any length piece by piece, from strangers: memory stays flat, depth and size are limited.

JSON: the elements of the arrays at the top, one after the other. XML: the elements of one name, one after the other;
a document type or an entity ends the reading, so that nothing is expanded and nothing else is opened. XML may be in the
encodings of East Asia, too, which the parser itself does not know.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO
from xml.etree import ElementTree
from xml.parsers import expat

from photovision.core.errors import DataError

CHUNK = 1 << 18
MAX_ELEMENT = 1 << 26
"""Characters that one element may have."""
MAX_DEPTH = 50
MAX_LINE = 1 << 20
_BLANK = " \t\r\n"
_ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._\-]{1,40})["']""")
_ENCODINGS = {
    **dict.fromkeys(("gbk", "gb2312", "gb18030", "cp936", "gb_2312-80"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j", "cp932"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "cp949", "windows-949"), "cp949"),
    **dict.fromkeys(("big5", "cp950", "big5-hkscs"), "cp950"),
    "euc-jp": "euc_jp",
}
"""Encoding that a document declares, in lower case -> the codec that also reads what programs write under that name."""
_DECODER = json.JSONDecoder()
Element = ElementTree.Element


class Item(NamedTuple):
    """One element of a JSON file: the key of its array ("" where the file is one), its place there, its value.

    What is no array at the top has the place -1, and so has an array without elements, whose value is [].
    """

    key: str
    place: int
    value: Any


def json_items(path: Path, opened: Sequence[str] = ()) -> Iterator[Item]:
    """The elements of all arrays at the top of a JSON file; raises DataError with the place where it is none.

    Args:
        path: the file.
        opened: keys at the top whose objects are read like arrays, member by member, without the members' names.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _Reader(path, file, opened).items()
    except UnicodeDecodeError:
        raise DataError(f"{path}: not readable as JSON (it is not UTF-8 text): export it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror})") from None


class _Reader:
    """A window on the text of a JSON file."""

    def __init__(self, path: Path, file: TextIO, opened: Sequence[str]) -> None:
        self.path, self.file, self.opened = path, file, opened
        self.text, self.at, self.done, self.before = "", 0, False, 0

    def items(self) -> Iterator[Item]:
        first = self.peek()
        if first == "[":
            yield from self.array("")
        elif first == "{":
            yield from self.object()
        else:
            self.fail("expected an object or a list")
        if self.peek():
            self.fail("more text after its end")

    def object(self) -> Iterator[Item]:
        for key in self.members():
            if self.peek() == "[":
                yield from self.array(key)
            elif key in self.opened and self.peek() == "{":
                for place, _ in enumerate(self.members()):
                    yield Item(key, place, self.value())
            else:
                yield Item(key, -1, self.value())

    def members(self) -> Iterator[str]:
        """The names of an object's members; the reader stands before each one's value, which is read meanwhile."""
        self.at += 1
        while self.peek() != "}":
            key = self.value()
            if not isinstance(key, str) or self.peek() != ":":
                self.fail("expected a name and ':'")
            self.at += 1
            yield key
            self.separator("}")
        self.at += 1

    def array(self, key: str) -> Iterator[Item]:
        self.at += 1
        place = 0
        while self.peek() != "]":
            yield Item(key, place, self.value())
            place += 1
            self.separator("]")
        self.at += 1
        if not place:
            yield Item(key, -1, [])

    def separator(self, end: str) -> None:
        if self.peek() == ",":
            self.at += 1
            if self.peek() == end:
                self.fail("a comma before its end")
        elif self.peek() != end:
            self.fail(f"expected ',' or '{end}'")

    def peek(self) -> str:
        """The next character that is no blank; "" at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _BLANK:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more(CHUNK):
                return ""

    def more(self, size: int) -> bool:
        """Drop what was read and read on; False at the end of the file."""
        if self.done:
            return False
        new = self.file.read(size)
        self.done = len(new) < size
        self.before += self.at
        self.text, self.at = self.text[self.at :] + new, 0
        return bool(new)

    def value(self) -> Any:
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
                # A number may go on beyond the window.
                if end < len(self.text) or self.done or isinstance(value, list | dict | str):
                    self.at = end
                    return value
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos > len(self.text) - 32
                if not cut or self.done:
                    self.at = error.pos
                    self.fail(error.msg)
            except RecursionError:
                self.fail("nested too deeply")
            except ValueError:
                self.fail("a number of too many digits")
            length = len(self.text) - self.at
            if length > MAX_ELEMENT:
                self.fail(f"one element has more than {MAX_ELEMENT:,} characters")
            self.more(max(CHUNK, length))

    def fail(self, why: str) -> NoReturn:
        where = self.before + self.at
        raise DataError(f"{self.path}, character {where:,}: not readable as JSON ({why}): export it again") from None


def csv_rows(path: Path) -> Iterator[tuple[int, list[str] | None]]:
    """The rows of a CSV file that are not empty, each with its line; None for one that cannot be read.

    The separator (comma, semicolon or tabulator) is the commonest one of the first line. Raises DataError where the
    file is no UTF-8 text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline(MAX_LINE)
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=header.count))
            while True:
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error:  # a cell without end, or a NUL
                    yield reader.line_num, None
                    continue
                if any(cells):
                    yield reader.line_num, cells
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a table in UTF-8: save it again as UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror})") from None


def xml_elements(path: Path, name: str, most: int = MAX_ELEMENT) -> Iterator[Element]:
    """The elements called `name`, each whole, at whatever depth; raises DataError with the line where it is no XML."""
    try:
        with path.open("rb") as file:
            content = file.read(CHUNK)
            declared = _ENCODING.match(content)
            codec = _ENCODINGS.get(declared[1].decode().lower()) if declared else None
            decoder = codecs.getincrementaldecoder(codec)() if codec else None
            reader = _Elements(path, name, most, "utf-8" if codec else None)
            while content:
                yield from reader.feed(decoder.decode(content).encode() if decoder else content, False)
                content = file.read(CHUNK)
            yield from reader.feed(decoder.decode(b"", True).encode() if decoder else b"", True)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not readable as XML (it is not {error.encoding}, as it declares): export it again"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror})") from None


class _Elements:
    """Builds the elements of one name and forgets the rest."""

    def __init__(self, path: Path, name: str, most: int, encoding: str | None) -> None:
        self.path, self.name, self.most = path, name, most
        self.parser = expat.ParserCreate(encoding)
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.data
        self.parser.StartDoctypeDeclHandler = self.refuse
        self.builder: ElementTree.TreeBuilder | None = None
        self.depth = self.inside = self.size = 0
        self.ready: list[Element] = []

    def feed(self, content: bytes, last: bool) -> list[Element]:
        self.ready = []
        try:
            self.parser.Parse(content, last)
        except (expat.ExpatError, ValueError, LookupError) as error:
            reason = str(error).partition(":")[0]
            self.fail(f"not readable as XML ({reason}): export it again")
        return self.ready

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} elements deep")
        if self.builder is None and name == self.name:
            self.builder, self.inside, self.size = ElementTree.TreeBuilder(), self.depth, 0
        if self.builder is not None:
            self.grow(sum(len(key) + len(value) for key, value in attributes.items()) + len(name))
            self.builder.start(name, attributes)

    def end(self, name: str) -> None:
        if self.builder is not None:
            self.builder.end(name)
            if self.depth == self.inside:
                self.ready.append(self.builder.close())
                self.builder = None
        self.depth -= 1

    def data(self, text: str) -> None:
        if self.builder is not None:
            self.grow(len(text))
            self.builder.data(text)

    def grow(self, size: int) -> None:
        self.size += size
        if self.size > self.most:
            self.fail(f"one <{self.name}> has more than {self.most:,} characters")

    def refuse(self, *_: object) -> None:
        self.fail("it declares a document type, which is never read (entities could be hidden there): remove <!DOCTYPE")

    def fail(self, why: str) -> NoReturn:
        raise DataError(f"{self.path}, line {self.parser.CurrentLineNumber}: {why}") from None
