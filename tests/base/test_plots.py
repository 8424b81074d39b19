"""Lines become a picture whose every word and number is told without color."""

import pytest

from aegisml.base.admin.plots import HEIGHT, STYLES, WIDTH, Axis, Line, Request, plot


def drawn(*lines, **changes):
    request = {"key": "k", "title": "T", "across": Axis("x"), "up": Axis("y"), "lines": lines}
    return plot(Request(**{**request, **changes}))


def test_the_ends_of_the_axes_are_the_ends_of_the_box():
    picture = drawn(Line("a", [(0, 0), (1, 1)]))

    assert picture.lines[0].path == (
        f"{picture.left},{picture.bottom} {picture.right:g},{picture.top:g}"
    )


def test_what_lies_outside_is_drawn_at_the_edge():
    picture = drawn(Line("a", [(-1, -5), (2, 9)]))

    assert picture.lines[0].path == (
        f"{picture.left},{picture.bottom} {picture.right:g},{picture.top:g}"
    )


def test_free_axes_take_their_ends_from_the_points():
    picture = drawn(Line("a", [(10, 3), (50, 7)]), across=Axis("x", None, None))

    assert [tick.text for tick in picture.x_ticks] == ["10", "20", "30", "40", "50"]


@pytest.mark.parametrize("value", [0.0, 0.5, 1e-9, 123456.0])
def test_a_flat_line_is_drawn_in_the_middle(value):
    picture = drawn(Line("a", [(0, value), (1, value)]), up=Axis("y", None, None))

    y = float(picture.lines[0].path.split()[0].split(",")[1])
    assert y == pytest.approx((picture.top + picture.bottom) / 2, abs=1)
    assert picture.y_ticks


def test_too_few_points_make_no_picture():
    assert drawn(Line("a", [])) is None
    assert drawn(Line("a", [(0, 0)])) is None


def test_each_line_has_a_style_of_its_own():
    picture = drawn(*(Line(str(i), [(0, 0), (1, i / 9)]) for i in range(STYLES)))

    assert [line.style for line in picture.lines] == list(range(STYLES))


def test_words_tell_what_the_picture_shows():
    assert drawn(Line("a", [(0, 0.25), (1, 0.5)])).description == (
        "y by x. a: from 0.25 at 0 to 0.5 at 1."
    )


def test_everything_lies_within_the_picture():
    picture = drawn(Line("a", [(0, 0), (1, 1)], dots=True), guide=((0, 0), (1, 1)))

    places = [*picture.lines[0].circles, *picture.guide]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
