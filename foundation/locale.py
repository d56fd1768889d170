"""The languages that others name, read to one form. Platforms send many: BCP 47, Java's and POSIX's own."""

from __future__ import annotations

import re
from typing import Final

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_SCRIPT: Final = re.compile(r"[a-z]{4}")
_REGION: Final = re.compile(r"[a-z]{2}|[0-9]{3}")
_RENAMED: Final = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro"}
"""Codes that Java before 17 and old systems send, by today's (IANA language subtag registry)."""
_NO_LANGUAGE: Final = ("und", "mul", "zxx", "mis")
MAX_CHARS: Final = 100


def read_locale(value: object, default: str = "en") -> str:
    """``language[-Script][-REGION]`` of what a platform sent, always one that browsers accept; ``default`` when it names none.

    Understood are BCP 47 tags, Java's ``Locale.toString()`` (``zh_CN_#Hans``, ``iw_IL``, ``th_TH_TH_#u-nu-thai``) and POSIX names
    (``en_US.UTF-8``, ``de_DE@euro``); variants and extensions are left out. ``C``, ``POSIX``, ``root`` and ``*`` name no language.
    """
    if not isinstance(value, str) or len(value) > MAX_CHARS:
        return default
    # Of a list of languages, as browsers send it, the first; of a POSIX name neither charset nor modifier.
    parts = re.split(r"[-_]", re.split(r"[.@,;]", value.strip().lower())[0])
    language = _RENAMED.get(parts[0], parts[0])
    if not _LANGUAGE.fullmatch(language) or language in _NO_LANGUAGE:
        return default
    if parts[:3] == ["no", "no", "ny"]:
        language = "nn"  # Java's name of Nynorsk
    script = region = ""
    if language == "sh":
        language, script = "sr", "Latn"
    for subtag in parts[1:]:
        part = subtag.removeprefix("#")  # Java's mark of what it writes behind the variant
        if len(part) == 1:
            break  # an extension begins
        if _SCRIPT.fullmatch(part):
            script = script or part.capitalize()
        elif _REGION.fullmatch(part):
            region = region or part.upper()
    return "-".join(filter(None, (language, script, region)))
