"""HTML as a tree of elements, so that a name from a file can be nothing but text."""

from xml.etree.ElementTree import Element, tostring

from onnxbound.errors import visible
from onnxbound.report.topics import TOPICS

Child = Element | str | None


def tag(name: str, /, *children: Child, **attributes: str) -> Element:
    """An element; `class_` and the like lose their underscore, `aria_label` becomes aria-label."""
    made = Element(name, {key.rstrip("_").replace("_", "-"): visible(value) for key, value in attributes.items()})
    last: Element | None = None
    for child in children:
        if isinstance(child, str):
            if last is None:
                made.text = (made.text or "") + visible(child)
            else:
                last.tail = (last.tail or "") + visible(child)
        elif child is not None:
            made.append(child)
            last = child
    return made


def linked(words: str, topic: str) -> Element:
    """A number that leads to its definition."""
    assert topic in TOPICS, topic
    return tag("a", words, href=f"#def-{topic}", class_="n")


def table(caption: str, head: tuple[Child, ...], rows: list[tuple[Child, ...]], kinds: str) -> Element:
    """A table that scrolls by itself where it is wider than the page.

    Args:
        caption: What it shows.
        head: Headings of the columns.
        rows: Cells; the first of each row is its heading.
        kinds: A letter per column, "w" for words and "r" for numbers; the last stands for all that follow.
    """

    def kind(place: int) -> str:
        return kinds[min(place, len(kinds) - 1)]

    columns = [tag("th", cell, scope="col", class_=kind(place)) for place, cell in enumerate(head)]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row", class_="w"),
            *(tag("td", cell, class_=kind(place)) for place, cell in enumerate(row[1:], start=1)),
        )
        for row in rows
    ]
    made = tag("table", tag("caption", caption), tag("thead", tag("tr", *columns)), tag("tbody", *body))
    return tag("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)


def to_html(page: Element) -> str:
    """A whole page."""
    return "<!DOCTYPE html>\n" + tostring(page, encoding="unicode", method="html") + "\n"
