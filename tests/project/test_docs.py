"""What README and docs tell a reader to type exists: commands, options, targets, keys, links."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from lem.cli.main import cli


def pages(root: Path) -> dict[str, str]:
    found = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md"))]
    return {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8") for p in found}


def shell_lines(text: str) -> Iterator[str]:
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            yield line.partition(" #")[0].strip()


def commands(text: str) -> Iterator[list[str]]:
    """Every `lem …` in a shell block or in backticks, split into words. After an option it is a
    name: `pg_dump -U lem`."""
    inline = re.findall(r"`(lem [a-z][^`\n]*)`", text)
    for line in [*shell_lines(text), *inline]:
        words = shlex.split(line.split(" > ")[0].split(" | ")[0].replace("…", ""))
        for i, word in enumerate(words):
            named = i > 0 and words[i - 1].startswith("-")
            if not named and (word == "lem" or word.endswith("/bin/lem")):
                yield words[i + 1 :]
                break


def problem(words: list[str]) -> str | None:
    """What ``lem --help`` does not know in this command; None if nothing."""
    command: click.Command = cli
    context = click.Context(cli, info_name="lem")
    while isinstance(command, click.Group):
        if not words or words[0].startswith("-"):
            break
        name, *words = words
        found = command.get_command(context, name)
        if found is None:
            return f"no command {name!r}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    options = {o for p in command.get_params(context) for o in (*p.opts, *p.secondary_opts)}
    for word in words:
        if word == "--":
            break
        if word.startswith("-") and word != "-" and word.partition("=")[0] not in options:
            return f"{context.command_path} has no option {word}"
    return None


def test_every_command_in_the_docs_exists(root: Path) -> None:
    wrong = []
    count = 0
    for page, text in pages(root).items():
        for words in commands(text):
            count += 1
            if (what := problem(words)) is not None:
                wrong.append(f"{page}: lem {' '.join(words)}: {what}")
    assert wrong == []
    assert count > 20


@pytest.mark.parametrize(
    "words", [["campaing", "run"], ["campaign", "runn"], ["campaign", "run", "--quickly"]]
)
def test_a_wrong_command_would_be_noticed(words: list[str]) -> None:
    assert problem(words) is not None


def test_every_command_is_in_the_docs(root: Path) -> None:
    text = "\n".join(pages(root).values())
    context = click.Context(cli)
    missing = []
    for name in cli.list_commands(context):
        group = cli.get_command(context, name)
        members = group.list_commands(context) if isinstance(group, click.Group) else [""]
        missing += [
            full
            for member in members
            if (full := f"lem {name} {member}".strip()) not in text
            and not re.search(rf"`lem {name} [^`]*`[^\n]*\n?[^\n]*`{member}`", text)
        ]
    assert missing == []


def test_every_make_target_in_the_docs_exists(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page, text in pages(root).items():
        inline = re.findall(r"`(make [^`\n]+)`", text)
        for line in [*shell_lines(text), *inline]:
            words = shlex.split(line)
            if "make" in words:
                rest = words[words.index("make") + 1 :]
                wanted = {w for w in rest if re.fullmatch(r"[a-z-]+", w)}
                assert wanted <= targets, f"{page}: {line}"


def test_help_lists_every_target(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    described = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))
    assert set(phony[1].split()) == described
    assert len(described) <= 14


def test_readme_has_the_two_commands_on_its_first_screen(root: Path) -> None:
    first = "\n".join((root / "README.md").read_text(encoding="utf-8").splitlines()[:25])
    assert "make quickstart" in first and "make test" in first
    assert "<!-- quickstart-output -->" in first


def test_readme_shows_real_output(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- quickstart-output -->\n```text\n(.*?)```", text, re.DOTALL)
    assert shown is not None
    assert "Ratio (95 % interval)" in shown[1] and "transformers with batch size" in shown[1]
    assert re.search(r"\d % (?:less|more)", shown[1]), "a sentence in plain words"


def test_files_that_the_docs_name_exist(root: Path) -> None:
    """Paths in backticks that begin with a folder of the clone."""
    known = r"(?:lem|docs|scripts|configs|images|requirements|tests|gpu_check|bench|\.github|\.ci)"
    said = re.compile(rf"`({known}/[A-Za-z0-9_./-]+)`")
    for page, text in pages(root).items():
        for name in said.findall(text):
            assert (root / name).exists(), f"{page} names {name}"


def test_every_page_is_in_the_sites_navigation(root: Path) -> None:
    site = yaml.safe_load((root / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = {
        page
        for entry in site["nav"]
        for value in entry.values()
        for page in ([value] if isinstance(value, str) else [p for e in value for p in e.values()])
    }
    assert listed == {p.name for p in (root / "docs").glob("*.md")}


def test_links_between_the_clones_pages_lead_somewhere(root: Path) -> None:
    """mkdocs checks those within docs/; these are the pages outside of it."""
    for page in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
        text = (root / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (root / target).exists(), f"{page} links to {target}"
