"""What the documents tell people to type, open and set is there: commands, links, sections, files, settings, log lines."""

from __future__ import annotations

import argparse
import ast
import json
import re
import shlex
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from bot.grammar import BadUsage, parse
from server.cli import _parser
from server.settings import ELSEWHERE, Settings, env_name

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
PACKAGES = "foundation models rooms media signalling recorder library webhooks lti api bot server sandbox bench".split()
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
SPOKEN = [page for page in PAGES if page.name != "CHANGELOG.md"]
SOURCES = (".py", ".ts", ".tsx")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.M | re.S)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def inline(page: Path) -> list[str]:
    """What stands between single back-ticks, outside blocks."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", TEXTS[page]).replace("\\|", "|"))


def lines(page: Path) -> list[str]:
    """The lines of all blocks, continued ones joined, without comments."""
    found = []
    for _kind, block in FENCE.findall(TEXTS[page]):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            found.append(re.sub(r"(^|\s)#.*$", "", line).strip())
    return found


def code(page: Path) -> list[str]:
    return inline(page) + lines(page)


# -- the command line -------------------------------------------------------------------------------------------


PARSER = _parser()


def sideroom_lines() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for text in code(page):
            said = re.match(r"(?:\S*/)?sideroom((?: [^&|;>]*[^&|;> ])?)(?: > \S+)?$", text)
            if said and not text.startswith(("~", "/opt", "/var")):
                found.append((name(page), said[1].strip()))
    return found


def words_of(line: str) -> list[str]:
    """``key create NAME [--scope …]`` as somebody would type it: brackets gone, names in capitals filled in."""
    words = [word for word in shlex.split(line.replace("[", " ").replace("]", " ")) if word != "…"]
    return ["1" if re.fullmatch(r"[A-Z][A-Z_]*", word) else word for word in words]


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


@pytest.mark.parametrize(("page", "line"), sorted(set(sideroom_lines())))
def test_every_command_line_of_ours_is_understood(
    page: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, inner, rest = words_of(line), PARSER, words_of(line)
    while rest and rest[0] in subcommands(inner):
        inner = subcommands(inner)[rest.pop(0)]
    if not rest:
        return  # a command is named, without what it needs
    assert not subcommands(inner), f"{page}: there is no “sideroom {line}”"
    options = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert options <= set(inner._option_string_actions), f"{page}: sideroom {line}"  # whole, not shortened
    try:
        PARSER.parse_args(words)
    except SystemExit:
        pytest.fail(f"{page}: sideroom {line}: {capsys.readouterr().err.splitlines()[-1]}")


def test_command_lines_are_found() -> None:
    said = {line.split()[0] for _page, line in sideroom_lines() if words_of(line)}
    assert said == set(subcommands(PARSER)) - {"demo"}, "a command is named nowhere, or the search finds less"


def test_every_action_of_the_command_line_is_documented() -> None:
    texts = "\n".join(TEXTS[page] for page in SPOKEN)
    for command, parser in subcommands(PARSER).items():
        for action in subcommands(parser):
            assert f"sideroom {command} {action}" in texts


def test_every_slack_command_in_the_documents_is_understood() -> None:
    said = set()
    for page in SPOKEN:
        for text in code(page):
            typed = re.fullmatch(r"(/(?:room|breakout|broadcast|help-calls|record))((?: [^\[|]+)?)", text)
            if not typed or re.search(r"\b(CODE|TEXT|N)\b|, ", text):
                continue
            said.add(typed[1])
            try:
                parse(typed[1], typed[2])
            except BadUsage as error:  # a command may be named without what it needs
                assert error.verb and typed[2].split() == [error.verb], f"{name(page)}: {text}"
    assert len(said) == 5


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    for page in PAGES:
        for text in code(page):
            for target in re.findall(r"(?:^|&& |=practice )make ([a-z]+)", text):
                assert target in targets, f"{name(page)}: make {target}"


def test_modules_to_run_exist_and_every_bench_is_told() -> None:
    for page in PAGES:
        for module in re.findall(r"python -m ([\w.]+)", TEXTS[page]):
            if module == "pytest":
                continue
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), (
                f"{name(page)}: {module}"
            )
    benches = {f"bench.{path.stem}" for path in (ROOT / "bench").glob("[a-z]*.py")}
    told = {f"bench.{found}" for found in re.findall(r"bench\.(\w+)", TEXTS[ROOT / "docs/performance.md"])}
    assert {bench for bench in benches if is_bench(bench)} == told


def is_bench(module: str) -> bool:
    text = (ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
    return "__main__" in text


# -- links, files, sections -------------------------------------------------------------------------------------


def slug(heading: str) -> str:
    """The anchor that a heading gets on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(title) for title in re.findall(r"^#+ (.+)$", FENCE.sub("", TEXTS[page]), re.M)}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", TEXTS[page])):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name(page)}: {target}"
        assert not anchor or anchor in anchors(file), f"{name(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_page_and_section_that_is_named_exists(page: Path) -> None:
    text = TEXTS[page]
    named = re.findall(r"\b((?:docs/)?(?:adr/)?[\w-]+\.md)\b\)?(?: §([\d.]*\d))?", text)
    for file, section in named:
        places = [ROOT / file, ROOT / "docs" / file, page.parent / file]
        found = next((place for place in places if place.exists()), None)
        assert found is not None, f"{name(page)}: {file}"
        if section:
            assert re.search(rf"^#+ {re.escape(section)}\.? ", TEXTS[found.resolve()], re.M), (
                f"{name(page)}: {file} §{section}"
            )
    for section in re.findall(r"(?<!\.md )(?<!\.md\) )§([\d.]*\d)", text) if "§" in text else []:
        assert re.search(rf"^#+ {re.escape(section)}\.? ", text, re.M), f"{name(page)}: §{section} of itself"
    for number in re.findall(r"\bADR (\d+)", text):
        assert list((ROOT / "docs" / "adr").glob(f"{int(number):04d}-*.md")), f"{name(page)}: ADR {number}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_of_ours_that_is_named_exists(page: Path) -> None:
    top = "|".join((*PACKAGES, "tests", "manifests", "scripts", "docs", "web"))
    for text in inline(page):
        path = re.match(rf"((?:{top})/[\w./*-]+)$", text)
        if path and path[1] != "web/dist":  # built by make setup
            assert list(ROOT.glob(path[1].rstrip("/"))), f"{name(page)}: {text}"
    for test in re.findall(r"\b(test_\w+\.py)\b", TEXTS[page]):
        assert list((ROOT / "tests").rglob(test)), f"{name(page)}: {test}"


def test_every_page_can_be_found_from_the_start() -> None:
    found, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in found or page.suffix != ".md":
            continue
        found.add(page)
        for target in re.findall(r"\]\(([^)#\s]+)", TEXTS[page]):
            if "://" not in target:
                path = (page.parent / target).resolve()
                waiting += sorted(path.glob("*.md")) if path.is_dir() else [path]
    assert found == set(PAGES)


# -- settings and log lines ----------------------------------------------------------------------------------------


def test_every_setting_that_is_named_exists() -> None:
    secrets = {env_name(spec.name) + "_FILE" for spec in fields(Settings) if spec.metadata["secret"]}
    known = {env_name(spec.name) for spec in fields(Settings)} | ELSEWHERE | secrets
    sources = [*PAGES, ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("manifests/*")]
    sources += [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    sources += [*(ROOT / "web" / "src").rglob("*.ts*"), *ROOT.glob("scripts/*")]
    for source in sources:
        if source.is_file():
            for setting in re.findall(r"\bSIDEROOM(?:_[A-Z]+)+\b", source.read_text(encoding="utf-8")):
                assert setting in known, f"{name(source)}: {setting}"


def test_log_lines_that_are_named_are_written() -> None:
    code = "".join(path.read_text(encoding="utf-8") for p in PACKAGES for path in (ROOT / p).rglob("*.py"))
    written = set(re.findall(r"log\.\w+\(\s*\"([a-z_]+\.[a-z_]+)", code))
    written |= set(re.findall(r"\"([a-z_]+\.[a-z_]+) [a-z_]+=", code))
    topics = {event.split(".")[0] for event in written}
    others = {
        "py",
        "md",
        "db",
        "json",
        "log",
        "vtt",
        "webm",
        "conf",
        "service",
        "com",
        "started",
        "ended",
        "test",
    }
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for topic, event in re.findall(r"`([a-z_]+)\.([a-z_]+)(?= |`)", TEXTS[page]):
            module = (ROOT / topic / f"{event}.py").exists()
            if topic in topics and event not in others and not module:
                assert f"{topic}.{event}" in written or f'"{topic}.{event}"' in code, (
                    f"{name(page)}: {topic}.{event}"
                )


def test_what_our_pages_are_said_to_say_they_say() -> None:
    folders = [*PACKAGES, "web/src"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in SOURCES]
    texts = re.sub(r'"\s*\n\s*f?"', "", "".join(path.read_text(encoding="utf-8") for path in files))
    for page in sorted((ROOT / "docs").glob("*.md")):
        for said in re.findall(r"“([^”]{6,})”", TEXTS[page]):
            told = " ".join(said.split())
            assert told in texts or told.removeprefix("Room ") in texts, f"{name(page)}: {told}"


# -- form ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_examples_can_be_read_by_machines(page: Path) -> None:
    for kind, block in FENCE.findall(TEXTS[page]):
        if kind == "python":
            ast.parse(block)
        if kind == "json":
            text = block.replace("{…}", "{}").replace("[…]", "[]")
            whole = re.sub(r"\}\s*\n\s*\{\"(op|type)\"", '}\x00{"\\1"', text)
            for part in whole.split("\x00"):
                json.loads(part)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_prose_is_at_most_100_columns_wide(page: Path) -> None:
    """Outside blocks and tables; one word that cannot be broken may stand alone on a longer line."""
    for line in FENCE.sub("", TEXTS[page]).splitlines():
        alone = re.fullmatch(r"\s*(?:[-*] |\d+\. )?(?:`[^`]+`|!?\[[^\]]*\]\([^)]*\)|\S+)\S*", line)
        assert len(line) <= 100 or line.lstrip().startswith("|") or alone, f"{name(page)}: {line}"


def test_the_changelog_keeps_its_form() -> None:
    text = TEXTS[ROOT / "CHANGELOG.md"]
    assert re.findall(r"^## .+$", text, re.M)[0] == "## [Unreleased]"
    for release in re.findall(r"^## (.+)$", text, re.M)[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", release)
    package = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    web = json.loads((ROOT / "web" / "package.json").read_text(encoding="utf-8"))["version"]
    assert re.findall(r"^## \[(\d.+?)\]", text, re.M)[0] == package == web
    kinds = re.findall(r"^### (.+)$", text, re.M)
    assert set(kinds) <= {*"Added Changed Deprecated Removed Fixed Security".split(), "Known limits"}


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(page.name[:4]) for page in decisions())
    assert numbers == list(range(1, len(numbers) + 1))


def decisions() -> list[Path]:
    return [page for page in (ROOT / "docs" / "adr").glob("*.md") if page.name != "template.md"]


def test_every_decision_has_the_shape_of_the_template() -> None:
    template = (ROOT / "docs" / "adr" / "template.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## .+$", template, re.M)
    assert headings == ["## Context", "## Decision", "## Consequences"]
    for page in decisions():
        text = TEXTS[page]
        assert re.findall(r"^## .+$", text, re.M) == headings, name(page)
        assert re.match(rf"# {int(page.name[:4])}\. .+\n\n\*\*Status:\*\* (accepted|superseded)", text), name(
            page
        )


def test_the_index_names_every_page() -> None:
    index = TEXTS[ROOT / "docs" / "README.md"]
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, name(page)
