"""Turn matplotlib's SVG into a small part of a page: colours that follow its theme, no scripts."""

import base64
import colorsys
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from PIL import Image

_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_KEPT = {"svg", "g", "defs", "clipPath", "path", "use", "rect", "image", "text", "tspan"}
_KEPT_ATTRIBUTES = {
    "viewBox", "transform", "style", "d", "x", "y", "width", "height", "clip-path", "opacity", "id",
}  # fmt: skip
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_FONT_FAMILY = re.compile(r"\s*font-family:[^;]*;?|\s*font:\s*")
_REFERENCE = re.compile(r"#([\w-]+)")
_SCALE = re.compile(r"matrix\((-?[\d.]+)")
# The points (1/72 inch) that a pixel of a picture must be wide to be drawn with sharp edges: of
# smaller ones a screen would leave out some, and thin lines with them.
SHARP = 1.0
_INK = "#000000"
# White cells of a table, and what stands on a picture, look the same on every page.
_FIXED = {"#ffffff", "#111111"}


@dataclass(frozen=True)
class Drawing:
    """What stands in an <svg> element, without its images: {id: <image>}, which a page keeps once.

    `colours` are the theme's: each is drawn as the CSS variable --c and its digits. Width and
    height are in points (1/72 inch).
    """

    body: str
    images: dict[str, str]
    colours: frozenset[str]
    width: float
    height: float


def embed(svg: bytes, prefix: str) -> Drawing:
    """Return matplotlib's SVG as a part of a page; `prefix` makes its ids unique there."""
    root = ElementTree.fromstring(svg)
    images: dict[str, str] = {}
    used = set(_references(root))
    colours: set[str] = set()
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.removeprefix(_SVG) not in _KEPT:
                parent.remove(child)
    for element in root.iter():
        if element.tag == f"{_SVG}image":
            _hoist(element, images)
        _tidy(element, prefix, used, colours)
    width, height = (float(number) for number in root.attrib["viewBox"].split()[2:])
    parts = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    # Inside HTML the namespace is the parser's own business.
    text = re.sub(r' xmlns:ns\d="[^"]*"', "", parts)
    text = re.sub(r"<(/?)ns\d:", r"<\1", text)
    body = re.sub(r">\s+<", "><", text).strip()
    return Drawing(body, images, frozenset(colours), width, height)


def _references(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        for name in (_LINK, "clip-path"):
            yield from _REFERENCE.findall(element.get(name, ""))


def _hoist(image: ElementTree.Element, images: dict[str, str]) -> None:
    """Replace a picture by a reference; the same picture in two drawings is kept once."""
    content = base64.b64decode(image.attrib.pop(_LINK).partition(",")[2])
    name = "picture-" + hashlib.sha256(content).hexdigest()[:12]
    size = {key: image.attrib.pop(key) for key in ("width", "height")}
    data = base64.b64encode(_smaller(content)).decode()
    images[name] = (
        f'<image id="{name}" width="{size["width"]}" height="{size["height"]}" '
        f'preserveAspectRatio="none" '
        f'href="data:image/png;base64,{data}"/>'
    )
    image.tag = f"{_SVG}use"
    image.attrib.pop("id", None)
    scale = _SCALE.match(image.get("transform", ""))
    sharp = scale is not None and abs(float(scale[1])) >= SHARP
    image.set("style", f"image-rendering:{'pixelated' if sharp else 'auto'}")
    image.set(_LINK, f"#{name}")


def _smaller(png: bytes) -> bytes:
    """Return the same picture with as few channels as it needs."""
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    red, green, blue, alpha = picture.split()
    opaque = alpha.getextrema() == (255, 255)
    grey = red.tobytes() == green.tobytes() == blue.tobytes()
    best = picture if not opaque else red if grey else picture.convert("RGB")
    if opaque and not grey and (found := best.getcolors(256)):
        # As few colours as a palette holds: exact, and a third of the size.
        best = best.quantize(len(found), dither=Image.Dither.NONE)
        if best.convert("RGB").tobytes() != picture.convert("RGB").tobytes():
            best = picture.convert("RGB")
    buffer = io.BytesIO()
    best.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _tidy(element: ElementTree.Element, prefix: str, used: set[str], colours: set[str]) -> None:
    found = element.attrib
    link, name = found.get(_LINK, ""), found.get("id", "")
    for key in [key for key in found if key not in _KEPT_ATTRIBUTES]:
        del found[key]
    if link.startswith("#"):
        found["href"] = link if link.startswith("#picture-") else f"#{prefix}-{link[1:]}"
    found.pop("id", None)
    if name in used:
        found["id"] = f"{prefix}-{name}"
    if "clip-path" in found:
        found["clip-path"] = found["clip-path"].replace("#", f"#{prefix}-")
    if "style" in found:
        found["style"] = _style(found["style"], colours)
    for key in ("d", "x", "y", "transform"):
        if key in found:
            digits = 5 if key == "transform" else 2
            found[key] = _NUMBER.sub(lambda hit, n=digits: _short(hit[0], n), found[key])  # type: ignore[misc]
            found[key] = " ".join(found[key].split())
    if not found.get("style", "-"):
        del found["style"]


def _short(number: str, digits: int) -> str:
    return f"{float(number):.{digits}f}".rstrip("0").rstrip(".") or "0"


def _style(style: str, colours: set[str]) -> str:
    def themed(found: re.Match[str]) -> str:
        colour = found[0]
        if colour in _FIXED:
            return colour
        if colour == _INK:
            return "currentColor"
        colours.add(colour)
        return f"var(--c{colour[1:]})"

    short = _COLOUR.sub(themed, _FONT_FAMILY.sub("", style))
    return re.sub(r"\s*([:;])\s*", r"\1", short).strip("; ")


def on_dark(colour: str) -> str:
    """Return a colour light enough for a dark page, its hue kept."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    lifted = max(lightness, 0.5 + 0.25 * lightness)
    shown = colorsys.hls_to_rgb(hue, lifted, saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in shown)
