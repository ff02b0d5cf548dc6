"""A tree of calls as a self-contained SVG: the run on top, what a function calls beneath it, width is time."""

from xml.sax.saxutils import escape

from harness.profiling.calls import Frame

WIDTH, ROW, CHARACTER, TOP, MARGIN = 1200.0, 22.0, 6.6, 64.0, 16.0
COLOURS = {
    "implementations": "#e8a33d",
    "plugin": "#d9c74a",
    "harness": "#b9b9b9",
    "numpy": "#6f9fd8",
    "scipy": "#7fc4c9",
    "numba": "#8cc084",
    "built in": "#c9a0c9",
}
"""By package; what is not named here is grey."""
OTHER = "#d5d5d5"


def svg(tree: Frame, title: str, note: str) -> str:
    """The picture. Each box has its function, seconds and share as a tooltip; `note` (the machine) stands beneath."""
    boxes: list[str] = []
    seen: dict[str, None] = {}
    depth = _draw(tree, MARGIN, 0, (WIDTH - 2 * MARGIN) / tree.seconds, tree.seconds, boxes, seen)
    height = TOP + depth * ROW + 40
    legend, x = [], MARGIN
    for package in seen:
        legend.append(f'<rect x="{x:.0f}" y="38" width="12" height="12" rx="2" fill="{COLOURS.get(package, OTHER)}"/>')
        legend.append(f'<text x="{x + 17:.0f}" y="48">{escape(package)}</text>')
        x += 34 + CHARACTER * len(package)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height:.0f}" '
            'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="11" fill="#222">',
            f'<rect width="100%" height="100%" fill="#ffffff"/><text x="{MARGIN}" y="24" font-size="15" '
            f'font-weight="bold">{escape(title)}</text>',
            *legend,
            *boxes,
            f'<text x="{MARGIN}" y="{height - 14:.0f}" font-size="10" fill="#777">{escape(note)}</text>',
            "</svg>\n",
        ]
    )


def _draw(
    call: Frame, x: float, level: int, scale: float, total: float, boxes: list[str], seen: dict[str, None]
) -> int:
    """Append the boxes of a branch that starts at `x`; returns how many levels it has."""
    width, y = call.seconds * scale, TOP + level * ROW
    seen[call.package] = None
    share = f"{call.seconds / total:.1%}"
    boxes.append(
        f'<g><title>{escape(call.label)}\n{call.seconds:.4g} s, {share}</title><rect x="{x:.2f}" y="{y:.1f}" '
        f'width="{max(width - 0.6, 0.3):.2f}" height="{ROW - 1.5}" rx="2" fill="{COLOURS.get(call.package, OTHER)}"/>'
        + _text(call.label, share, x, y, width)
        + "</g>"
    )
    depth, start = 1, x
    for callee in call.callees:
        depth = max(depth, 1 + _draw(callee, start, level + 1, scale, total, boxes, seen))
        start += callee.seconds * scale
    return depth


def _text(label: str, share: str, x: float, y: float, width: float) -> str:
    """As much of the label as fits into the box: with the share, without the file, or cut; nothing in narrow ones."""
    room = int((width - 8) / CHARACTER)
    name = label.split(" (")[0]
    fitting = [t for t in (f"{label}  {share}", f"{name}  {share}", name) if len(t) <= room]
    text = fitting[0] if fitting else (name[: room - 1] + "…" if room >= 5 else "")
    return f'<text x="{x + 4:.2f}" y="{y + 14.5:.1f}">{escape(text)}</text>' if text else ""
