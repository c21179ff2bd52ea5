"""Characters that nobody sees are shown; those that write a language or a picture stay."""

import sys
import unicodedata

import pytest

from errormap_core.visible_text import visible

WRITTEN = [
    "plain words, 1 < 2 & 3",
    "naïve – “quoted” … 漢字 かな 한글",
    "العربية: خطأ في الوحدة",
    "שגיאה ביחידה",
    "می‌خواهم",  # Persian needs a joiner without width
    "👩‍🔬 👨‍👩‍👧‍👦 ❤️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿",  # so do emoji, and flags their tags
    "e\u0301 क्‍ष",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_what_is_written_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b]0;title\x07", "␛[31mred␛]0;title␇"),
        ("a\x00b\x7fc\x9b2J", "a␀b␡c\\x9b2J"),
        ("safe\u202egnp.exe\u202c", "safe\\u202egnp.exe\\u202c"),
        ("\u2067a\u2069\u200e\u200f", "\\u2067a\\u2069\\u200e\\u200f"),
        ("zero\u200bwidth\ufeff so\u00adft pass\u200dword", "zero\\u200bwidth\\ufeff so\\u00adft pass\\u200dword"),
        ("a\u2028b\u2029c\nd\te\r", "a\\u2028b\\u2029c␊d␉e␍"),
        ("half \ud83d pair \ufdd0", "half \\ud83d pair \\ufdd0"),
        ("👩\u200d", "👩\\u200d"),
    ],
)
def test_what_is_not_seen_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_lines_and_tabs_stay_where_lines_are_shown() -> None:
    assert visible("a\n\tb\x1bc\r\n", lines=True) == "a\n\tb␛c\n"


def test_every_control_and_mark_without_width_is_known() -> None:
    """But for signs of writing systems that Unicode calls formats and that are printed."""
    printed = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13460)}
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and point not in printed:
            assert visible(character) != character, hex(point)
