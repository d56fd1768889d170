"""Text that others wrote: cleaned once where it comes in, compared by one key, cut and abbreviated by what people call a character.

Names, titles and messages come from learning platforms, Slack, browsers and API clients. ``clean`` makes of them what every
database, page, card and film can hold; ``fold`` is the key by which two spellings are the same. Characters are grapheme clusters
(Unicode Standard Annex 29): Python's own library knows none, ``regex`` keeps up with Unicode and is what it is used for here.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import regex

_GRAPHEME: Final = regex.compile(r"\X")
_SURROGATE: Final = regex.compile("[\ud800-\udfff]")
_LINE_END: Final = regex.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")
_SPACES: Final = regex.compile(r"\s+")
_CONTROLS: Final = regex.compile(r"\p{Cc}+")
_UNKEEPABLE: Final = regex.compile(r"(?![\n\t])\p{Cc}|\p{Noncharacter_Code_Point}")

_JOINED_SCRIPTS: Final = "".join(
    rf"\p{{scx={script}}}"
    for script in (
        "Arabic Syriac Mandaic Mongolian Nko Phags_Pa Adlam Hanifi_Rohingya Sogdian Manichaean Psalter_Pahlavi "
        "Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada Malayalam Sinhala Thai Lao Tibetan Myanmar Khmer "
        "Balinese Javanese Sundanese Tai_Tham Tifinagh"
    ).split()
)
"""Scripts in whose spelling a joiner or non-joiner means something (Unicode Standard, chapters 9 to 16 and 23.2)."""
_FORMAT: Final = regex.compile(
    # Kept: a joiner behind a letter of such a script or between the parts of an emoji, the letters of a regional flag behind
    # its black flag, and the marks that are written before a number and are drawn (ARABIC NUMBER SIGN and its like).
    rf"(?:(?<=[{_JOINED_SCRIPTS}&&[\p{{L}}\p{{M}}]])[\u200c\u200d]"
    r"|(?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f\u20e3\U000e007f])\u200d(?=\p{Extended_Pictographic})"
    "|(?<=\U0001f3f4)[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f"
    r"|\p{Prepended_Concatenation_Mark})(*SKIP)(*FAIL)"
    r"|\p{Cf}",
    regex.VERSION1,
)
_MARKS: Final = regex.compile(r"(\p{M}{10})\p{M}+")
"""More marks than any spelling has: they only paint over the lines around (“zalgo”)."""
_VISIBLE: Final = regex.compile(
    r"[^\p{Default_Ignorable_Code_Point}\s\p{C}\u2800]|\p{Co}|\p{Prepended_Concatenation_Mark}"
)
_IGNORED: Final = regex.compile(r"[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}--\s]+", regex.VERSION1)
_NAMED: Final = regex.compile(r"[\p{L}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}]")
_CAPITALS_UNUSED: Final = regex.compile(r"\p{Georgian}")
_SAME: Final = str.maketrans(
    dict.fromkeys("‘’‚‛′‵`´ʹʻʼʽˈ＇‹›", "'")
    | dict.fromkeys("“”„‟″«»＂", '"')
    | dict.fromkeys("‐‑‒–—―−﹘﹣－", "-")
    # Turkish and Azeri write a pair of each; whoever types on another keyboard has one.
    | {"İ": "i", "ı": "i"}
)


def clean(
    text: str, most: int | None = None, *, most_bytes: int | None = None, keep_lines: bool = False
) -> str:
    """What others wrote, as it can be kept and shown everywhere: valid UTF-8 in normal form C.

    Half a surrogate pair becomes U+FFFD; noncharacters and what cannot be seen (marks of direction,
    zero-width spaces, soft hyphens) go, but joiners stay where a script or an emoji needs them. White space and control characters are joined to single
    spaces and trimmed; with ``keep_lines`` line ends stay as ``\\n`` and spaces within lines as they are. No more than ``most``
    characters as people count them and ``most_bytes`` bytes of UTF-8 are kept, never part of one. The result may be empty.
    Cleaning twice changes nothing.
    """
    text = _SURROGATE.sub("\ufffd", _joined_pairs(text))
    if keep_lines:
        text = _LINE_END.sub("\n", text)
    else:
        text = _SPACES.sub(" ", _CONTROLS.sub(" ", text))
    text = _UNKEEPABLE.sub("", text)
    for _ in range(2):  # what goes may let its neighbours combine
        text = _MARKS.sub(r"\1", _FORMAT.sub("", unicodedata.normalize("NFC", text)))
    text = unicodedata.normalize("NFC", text)
    if keep_lines:
        text = "\n".join(line.rstrip() for line in text.split("\n")).strip("\n").strip()
    else:
        text = _SPACES.sub(" ", text).strip()
    return cut(text, most, most_bytes=most_bytes).rstrip()


def _joined_pairs(text: str) -> str:
    """Two halves that stand side by side, as some JSON writers send them, are one character."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def cut(text: str, most: int | None = None, *, most_bytes: int | None = None) -> str:
    """As much of the beginning as has at most ``most`` characters and ``most_bytes`` bytes of UTF-8, never part of a character."""
    if (most is None or len(text) <= most) and (most_bytes is None or 4 * len(text) <= most_bytes):
        return text
    end = size = 0
    for count, found in enumerate(_GRAPHEME.finditer(text), 1):
        size += len(found[0].encode("utf-8", "replace"))
        if (most is not None and count > most) or (most_bytes is not None and size > most_bytes):
            break
        end = found.end()
    return text[:end]


def graphemes(text: str) -> list[str]:
    """The characters as people count them: letters with their marks, whole emoji."""
    found: list[str] = _GRAPHEME.findall(text)
    return found


MOST_BYTES_A_CHARACTER: Final = 40
"""More than the longest emoji of Unicode has (two people, two skin tones, a heart: 35 bytes of UTF-8)."""


def fits(text: str, most: int) -> bool:
    """Whether it has at most ``most`` characters as people count them, without being larger than such a text can be."""
    if len(text) <= most:
        return True
    return (
        len(text.encode("utf-8", "replace")) <= MOST_BYTES_A_CHARACTER * most and len(graphemes(text)) <= most
    )


def is_visible(text: str) -> bool:
    """Whether anything of it can be seen: not only spaces, fillers and what has no picture."""
    return _VISIBLE.search(text) is not None


def is_keepable(text: str) -> bool:
    """Whether an identifier can be kept as it is: valid UTF-8 without control characters. Identifiers are never cleaned."""
    return not _SURROGATE.search(text) and not any(unicodedata.category(letter) == "Cc" for letter in text)


def fold(text: str) -> str:
    """The key of comparisons and searches: two texts that people call the same name have the same.

    Compatibility forms (full-width, ligatures), case, kinds of apostrophe, quotation mark, hyphen and space, decomposed or composed
    accents and what cannot be seen make no difference; accents do. Folding twice changes nothing.
    """
    # Before: compatibility forms take some apart (´ is a space with an accent). After: case folding makes new ones.
    text = clean(text).translate(_SAME)
    for _ in range(2):
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_SAME)
        text = _IGNORED.sub("", text).replace("i\u0307", "i")
    key: str = _SPACES.sub(" ", text).strip()
    return key


def initials(name: str) -> str:
    """First characters of the first and the last word, upper case where that is still one character; “?” for no name."""
    words = [word for word in name.split() if is_visible(word)]
    if not words:
        return "?"
    return "".join(_first(word) for word in (words[:1] + words[1:][-1:]))


def _first(word: str) -> str:
    """A word's first letter, figure or emoji, else what it begins with."""
    found = graphemes(word)
    letter = next((each for each in found if _NAMED.search(each)), found[0])
    upper = letter.upper()
    return letter if _CAPITALS_UNUSED.match(letter) or len(graphemes(upper)) > 1 else upper
