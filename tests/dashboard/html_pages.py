"""A strict reader of HTML pages on the standard library: what a browser would silently mend fails here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "img", "br", "hr"}
FORBIDDEN = {"script", "style", "iframe", "object", "embed", "base"}
REFERENCES = ("aria-labelledby", "aria-describedby", "list", "for")
CHILDREN = {
    "ul": {"li"},
    "dl": {"div"},
    "table": {"caption", "thead", "tbody", "tfoot"},
    "thead": {"tr"},
    "tbody": {"tr"},
    "tfoot": {"tr"},
    "tr": {"th", "td"},
    "select": {"option"},
    "datalist": {"option"},
}
BLOCKS = {"div", "p", "section", "table", "ul", "dl", "form", "nav", "h1", "h2", "h3", "pre", "details"}


@dataclass
class Element:
    """One element: its attributes, its children, and the text right inside it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    parent: Element | None = None
    pieces: list[str | Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text inside, with white space collapsed; SVG titles are not text on the page."""
        return " ".join(self._raw().split())

    def _raw(self) -> str:
        return "".join(
            piece if isinstance(piece, str) else piece._raw()
            for piece in self.pieces
            if isinstance(piece, str) or piece.tag not in ("title", "desc")
        )

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Elements inside of that tag and these attributes; ``class_`` is one of its classes."""
        wanted_class = attributes.pop("class_", None)
        return [
            element
            for element in self.walk()
            if element.tag == tag
            and all(element.attributes.get(name) == value for name, value in attributes.items())
            and (wanted_class is None or wanted_class in element.attributes.get("class", "").split())
        ]

    def one(self, tag: str, **attributes: str) -> Element:
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} of <{tag}> with {attributes}"
        return found[0]

    def by_id(self, name: str) -> Element:
        found = [element for element in self.walk() if element.attributes.get("id") == name]
        assert len(found) == 1, f"{len(found)} elements with the id {name}"
        return found[0]

    def table(self, name: str) -> Element:
        """The table whose caption has that id."""
        caption = self.by_id(name)
        assert caption.parent is not None
        assert caption.parent.tag == "table"
        return caption.parent

    def rows(self) -> list[list[str]]:
        """The texts of a table's cells, header row first."""
        return [[cell.text for cell in row.children] for row in self.all("tr")]

    @property
    def inside(self) -> list[str]:
        """The tags around this element, nearest first."""
        found, at = [], self.parent
        while at is not None:
            found.append(at.tag)
            at = at.parent
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("#document")
        self.at = self.root
        self.doctype = ""
        self.faults: list[str] = []

    def handle_decl(self, decl: str) -> None:
        self.doctype = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        element = Element(tag, {name: value or "" for name, value in attrs}, parent=self.at)
        self.at.children.append(element)
        self.at.pieces.append(element)
        if tag not in VOID:
            self.at = element

    def handle_endtag(self, tag: str) -> None:
        if tag != self.at.tag:
            self.faults.append(f"</{tag}> closes <{self.at.tag}>")
        self.at = self.at.parent or self.root

    def handle_data(self, data: str) -> None:
        if self.at.tag in CHILDREN and data.strip():
            self.faults.append(f"text right inside <{self.at.tag}>: {data.strip()!r}")
        self.at.pieces.append(data)


def read(html: str) -> Element:
    """The document of a page. Fails on anything that is not well-formed, safe and accessible."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    if reader.at is not reader.root:
        reader.faults.append(f"<{reader.at.tag}> is never closed")
    if reader.doctype.lower() != "doctype html":
        reader.faults.append(f"the doctype is {reader.doctype!r}")
    reader.faults += _faults(reader.root)
    if reader.faults:
        raise AssertionError("; ".join(reader.faults[:20]))
    return reader.root


def _faults(root: Element) -> Iterator[str]:
    ids = [element.attributes["id"] for element in root.walk() if "id" in element.attributes]
    yield from (f"the id {name} is there twice" for name in {name for name in ids if ids.count(name) > 1})
    if len(root.all("h1")) != 1:
        yield f"{len(root.all('h1'))} h1"
    if not root.one("html").attributes.get("lang"):
        yield "no language"
    for element in root.walk():
        yield from _element_faults(element, set(ids))


def _element_faults(element: Element, ids: set[str]) -> Iterator[str]:
    yield from _attribute_faults(element, ids)
    yield from _nesting_faults(element)
    yield from _naming_faults(element)


def _attribute_faults(element: Element, ids: set[str]) -> Iterator[str]:
    for name, value in element.attributes.items():
        if name == "style" or name.startswith("on") or value.lower().startswith("javascript:"):
            yield f"<{element.tag} {name}={value!r}>"
        if name in ("class", "id", "href") and not value:
            yield f"<{element.tag}> has an empty {name}"
        if name in REFERENCES:
            yield from (f"{name} points at {target}" for target in value.split() if target not in ids)
        if name == "href" and value.startswith("#") and value[1:] not in ids:
            yield f"a link leads to {value}, which is not on the page"


def _nesting_faults(element: Element) -> Iterator[str]:
    tag = element.tag
    if tag in FORBIDDEN:
        yield f"<{tag}> is there"
    if tag in CHILDREN:
        strangers = [child.tag for child in element.children if child.tag not in CHILDREN[tag]]
        yield from (f"<{stranger}> right inside <{tag}>" for stranger in strangers)
    if tag == "p" and (blocks := [child.tag for child in element.walk() if child.tag in BLOCKS - {"p"}]):
        yield f"<p> holds {blocks}"
    if tag == "a" and "a" in element.inside:
        yield "a link inside a link"


def _naming_faults(element: Element) -> Iterator[str]:
    tag, attributes = element.tag, element.attributes
    is_field = tag in ("input", "select") and attributes.get("type") != "hidden"
    if is_field and "label" not in element.inside:
        yield f"a field without a label: {attributes}"
    if tag == "img" and "alt" not in attributes:
        yield "an image without alt"
    if tag == "th" and "scope" not in attributes:
        yield "a header cell without scope"
    drawn = [drawing for drawing in element.all("svg", role="img") if drawing.attributes.get("aria-label")]
    if tag in ("td", "th") and not element.text and not drawn and "tfoot" not in element.inside:
        yield "an empty cell"
