"""Model cards as HTML: what cards use, and nothing that they bring."""

import pytest

from models_app.admin.markdown import html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# Fraud", "<h3>Fraud</h3>"),
        ("one\ntwo", "<p>one two</p>"),
        ("one\n\ntwo", "<p>one</p><p>two</p>"),
        ("- a\n- `b`", "<ul><li>a</li><li><code>b</code></li></ul>"),
        ("**not** known", "<p><strong>not</strong> known</p>"),
        ("```\na < b\n```", "<pre>a &lt; b</pre>"),
        ("```\nnever closed", "<pre>never closed</pre>"),
        ("", ""),
    ],
)
def test_the_markdown_of_cards_is_shown(text, shown):
    assert html(text) == shown


def test_a_table_has_its_head():
    shown = html("| a | b |\n|---|---|\n| 1 | `2` |")

    assert "<thead><tr><th>a</th><th>b</th></tr></thead>" in shown
    assert "<tbody><tr><td>1</td><td><code>2</code></td></tr></tbody>" in shown


@pytest.mark.parametrize(
    "text",
    [
        "<script>x</script>", "# <img src=x onerror=y>", "- <b>", "| <i> |", "`<u>`", "**<s>**",
        "```\n<p>\n```", "[a](javascript:alert(1))",
    ],
)  # fmt: skip
def test_nothing_that_a_card_brings_becomes_html(text):
    shown = html(text)

    for tag in ("<script", "<img", "<b>", "<i>", "<u>", "<s>", "<p>\n", "<a"):
        assert tag not in shown
