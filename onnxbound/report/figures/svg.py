"""SVG as a tree of elements: what comes from a file is text or an attribute's value, escaped when it is written."""

from xml.etree.ElementTree import Element, SubElement, tostring

from onnxbound.errors import visible

INK = "#1a1a1a"
MUTED = "#595959"
GRID = "#d9d9d9"
WARNING = "#a3001e"
SERIES = ("#0b5fa5", "#b84a00", "#1b7a3d", "#7a3e9d", "#6b5b00", "#8a1c4a")
"""Colours of series, each at least 4.5 to 1 against white."""

FONT_SIZE = 12
_WIDTH_PER_CHARACTER = 0.65 * FONT_SIZE


def canvas(width: float, height: float, title: str) -> Element:
    """An empty drawing that says to a screen reader what it shows."""
    size = f"0 0 {place(width)} {place(height)}"
    root = Element("svg", {"viewBox": size, "role": "img", "aria-label": visible(title)})
    root.set("font-family", "DejaVu Sans, Verdana, sans-serif")
    root.set("font-size", str(FONT_SIZE))
    root.set("fill", INK)
    return root


def place(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def rectangle(
    parent: Element, x: float, y: float, width: float, height: float, fill: str, opacity: float = 1
) -> Element:
    """A filled rectangle."""
    attributes = {"x": place(x), "y": place(y), "width": place(width), "height": place(height), "fill": fill}
    if opacity < 1:
        attributes["fill-opacity"] = f"{opacity:g}"
    return SubElement(parent, "rect", attributes)


def line(
    parent: Element, x1: float, y1: float, x2: float, y2: float, stroke: str, width: float = 1, dash: str = ""
) -> Element:
    """A straight line."""
    ends = {"x1": place(x1), "y1": place(y1), "x2": place(x2), "y2": place(y2)}
    drawn = SubElement(parent, "line", {**ends, "stroke": stroke, "stroke-width": f"{width:g}"})
    if dash:
        drawn.set("stroke-dasharray", dash)
    return drawn


def path(parent: Element, points: list[tuple[float, float]], stroke: str, fill: str = "none") -> Element:
    """A polyline; filled if a colour is given."""
    steps = " ".join(f"{place(x)},{place(y)}" for x, y in points)
    drawn = SubElement(parent, "polyline", {"points": steps, "fill": fill, "stroke": stroke, "stroke-width": "1.5"})
    if fill != "none":
        drawn.set("fill-opacity", "0.2")
    return drawn


def circle(parent: Element, x: float, y: float, radius: float, fill: str) -> Element:
    """A filled circle."""
    return SubElement(parent, "circle", {"cx": place(x), "cy": place(y), "r": place(radius), "fill": fill})


def text(parent: Element, x: float, y: float, words: str, anchor: str = "start", fill: str = INK) -> Element:
    """One line of text; `anchor` is start, middle or end."""
    written = SubElement(parent, "text", {"x": place(x), "y": place(y)})
    if anchor != "start":
        written.set("text-anchor", anchor)
    if fill != INK:
        written.set("fill", fill)
    written.text = visible(words)
    return written


def hover(parent: Element, words: str) -> None:
    """What a pointer that rests on an element is told."""
    SubElement(parent, "title").text = visible(words)


def text_width(words: str) -> float:
    """About how wide a text is; rather too wide than too narrow."""
    return len(words) * _WIDTH_PER_CHARACTER


def to_svg(root: Element) -> str:
    """A file of its own."""
    root.set("xmlns", "http://www.w3.org/2000/svg")
    width, height = root.get("viewBox", "").split()[2:]
    root.set("width", width)
    root.set("height", height)
    return tostring(root, encoding="unicode") + "\n"
