"""Model cards as HTML: the part of Markdown that they use, and everything else as plain text.

Cards come with imported files too, so that nothing of a card is HTML unless it was made here.
"""

import re
from collections.abc import Callable, Iterator

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

_HEADING = re.compile(r"(#{1,4})\s+(.*)")
_ITEM = re.compile(r"\s*[-*]\s+(.*)")
_RULE = re.compile(r"\|(\s*:?-+:?\s*\|)+")
_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*")


def html(text: str) -> SafeString:
    """Headings, paragraphs, lists, tables, fenced text, code and bold; all text is escaped."""
    return format_html_join("", "{}", ((block,) for block in _blocks(text.splitlines())))


def _blocks(lines: list[str]) -> Iterator[SafeString]:
    place = 0
    while place < len(lines):
        line = lines[place]
        taken = 1
        if found := _HEADING.fullmatch(line):
            yield format_html("<h{0}>{1}</h{0}>", len(found[1]) + 2, _inline(found[2]))
        elif line.startswith("```"):
            taken = _count(lines, place + 1, lambda text: not text.startswith("```")) + 2
            yield format_html("<pre>{}</pre>", "\n".join(lines[place + 1 : place + taken - 1]))
        elif _ITEM.fullmatch(line):
            taken = _count(lines, place, lambda text: bool(_ITEM.fullmatch(text)))
            yield _list(lines[place : place + taken])
        elif line.startswith("|"):
            taken = _count(lines, place, lambda text: text.startswith("|"))
            yield _table(lines[place : place + taken])
        elif line.strip():
            taken = _count(lines, place, _is_text)
            yield format_html("<p>{}</p>", _inline(" ".join(lines[place : place + taken])))
        place += taken


def _count(lines: list[str], start: int, fits: Callable[[str], bool]) -> int:
    """How many lines from `start` on fit, at least those that are there."""
    stop = start
    while stop < len(lines) and fits(lines[stop]):
        stop += 1
    return stop - start


def _is_text(line: str) -> bool:
    return bool(line.strip()) and not (
        line.startswith(("|", "```")) or _HEADING.fullmatch(line) or _ITEM.fullmatch(line)
    )


def _list(lines: list[str]) -> SafeString:
    items = (match[1] for line in lines if (match := _ITEM.fullmatch(line)))
    return format_html(
        "<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((_inline(item),) for item in items))
    )


def _table(lines: list[str]) -> SafeString:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    has_head = len(lines) > 1 and _RULE.fullmatch(lines[1].strip())
    head, body = (rows[:1], rows[2:]) if has_head else ([], rows)
    return format_html(
        '<div class="ag-scroll"><table class="ag-table"><thead>{}</thead>'
        "<tbody>{}</tbody></table></div>",
        _rows(head, "th"),
        _rows(body, "td"),
    )


def _rows(rows: list[list[str]], tag: str) -> SafeString:
    cells = (
        (format_html_join("", "<{0}>{1}</{0}>", ((tag, _inline(cell)) for cell in row)),)
        for row in rows
    )
    return format_html_join("", "<tr>{}</tr>", cells)


def _inline(text: str) -> SafeString:
    parts, end = [], 0
    for found in _INLINE.finditer(text):
        parts.append(conditional_escape(text[end : found.start()]))
        tag, content = ("code", found[1]) if found[1] is not None else ("strong", found[2])
        parts.append(format_html("<{0}>{1}</{0}>", tag, content))
        end = found.end()
    parts.append(conditional_escape(text[end:]))
    return format_html_join("", "{}", ((part,) for part in parts))
