"""Lineage as boxes in columns, with lines between them, for an SVG."""

from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse

from features.services.lineage import COLUMNS, Lineage, Node

BOX_WIDTH, BOX_HEIGHT = 178, 44
GAP_ACROSS, GAP_DOWN = 40, 14
TOP = 34  # the columns' titles
LETTERS = 23


@dataclass(frozen=True)
class Box:
    """A node at its place; `url` is empty when its page can't be opened."""

    node: Node
    x: int
    y: int
    url: str

    @property
    def text(self) -> str:
        name = self.node.name
        return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"

    @property
    def text_x(self) -> int:
        return self.x + 12

    @property
    def name_y(self) -> int:
        return self.y + (19 if self.node.state else 27)

    @property
    def state_y(self) -> int:
        return self.y + 35


@dataclass(frozen=True)
class Drawing:
    """`titles` are (x, text) pairs, `lines` SVG paths."""

    width: int
    height: int
    titles: list[tuple[int, str]]
    boxes: list[Box]
    lines: list[str]
    cut: int
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


def drawn(lineage: Lineage) -> Drawing:
    boxes = {
        node.id: _box(node, column, row)
        for column, nodes in enumerate(lineage.columns)
        for row, node in enumerate(nodes)
    }
    rows = max(len(nodes) for nodes in lineage.columns)
    return Drawing(
        width=len(COLUMNS) * (BOX_WIDTH + GAP_ACROSS) - GAP_ACROSS + 2,
        height=TOP + rows * (BOX_HEIGHT + GAP_DOWN),
        titles=[(_x(column), title) for column, title in enumerate(COLUMNS)],
        boxes=list(boxes.values()),
        lines=[
            _line(boxes[start], boxes[end])
            for start, end in lineage.edges
            if start in boxes and end in boxes
        ],
        cut=lineage.cut,
    )


def _x(column: int) -> int:
    return 1 + column * (BOX_WIDTH + GAP_ACROSS)


def _box(node: Node, column: int, row: int) -> Box:
    try:
        url = reverse(f"admin:{node.page}", args=[node.pk])
    except NoReverseMatch:
        url = ""
    return Box(node, _x(column), TOP + row * (BOX_HEIGHT + GAP_DOWN), url)


def _line(start: Box, end: Box) -> str:
    x1, y1 = start.x + BOX_WIDTH, start.y + BOX_HEIGHT // 2
    x2, y2 = end.x, end.y + BOX_HEIGHT // 2
    bend = (x2 - x1) // 2
    return f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
