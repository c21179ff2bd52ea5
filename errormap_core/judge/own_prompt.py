"""A prompt that belongs to a project, as a value: its texts, what is wrong with them, how it differs, its file.

Nothing here knows a project; errormap_core/judge/project_prompts.py keeps such prompts.
"""

import difflib
import hashlib
import json
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.judge.prompts import SHIPPED, Profile, Prompt, available_versions, load_prompt
from errormap_core.sentences import Sentence, tr

MOST_INSTRUCTIONS = 4000
MOST_SECTION = 600
"""Characters. Instructions are paid for again at each token that is written; docs/prompts.md says how much."""

SECTIONS = ("input_text", "correct_answer", "reference", "output_text", "empty_output")
"""In the order in which they stand in a prompt."""

FIELDS: Mapping[str, Sentence] = {
    "system": tr("Instructions"),
    "input_text": tr("The task"),
    "correct_answer": tr("The correct answer"),
    "reference": tr("A reference"),
    "output_text": tr("The wrong answer"),
    "empty_output": tr("An empty answer"),
    "after": tr("At the end"),
}
"""The texts of a prompt in the order in which a judge reads them."""

PROFILE_OF: Mapping[str, Profile] = {prompt_id: profile for profile, prompt_id in SHIPPED.items()}
_FILE_KEYS = {"based_on", "id", "version", "profile", "system", "after", "sections"}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class OwnPrompt:
    """A prompt of a project: what it was made from, and its texts."""

    name: str
    based_on: str
    version_of_base: int
    system: str
    after: str
    sections: Mapping[str, str]

    @property
    def texts(self) -> dict[str, str]:
        """Its texts by the keys of FIELDS."""
        return {"system": self.system, **self.sections, "after": self.after}

    def with_text(self, key: str, text: str) -> "OwnPrompt":
        """The same with another text for one of FIELDS."""
        if key == "system":
            return replace(self, system=text)
        if key == "after":
            return replace(self, after=text)
        return replace(self, sections={**self.sections, key: text})

    def to_json(self) -> dict[str, Any]:
        """As the setting holds it, below its name."""
        return {key: value for key, value in asdict(self).items() if key != "name"}

    @classmethod
    def from_json(cls, name: str, data: Any) -> "OwnPrompt":
        """Raises KnownError where something is missing, or of another kind."""
        try:
            made = cls(
                name=name,
                based_on=data["based_on"],
                version_of_base=data["version_of_base"],
                system=data["system"],
                after=data["after"],
                sections={key: data["sections"][key] for key in SECTIONS},
            )
        except (KeyError, TypeError) as error:
            raise KnownError(tr("This is no prompt: {reason} is missing.", reason=error), where=name) from error
        if not all(isinstance(text, str) for text in made.texts.values()):
            raise KnownError(tr("This is no prompt: not all of its texts are texts."), where=name)
        if made.based_on not in [*PROFILE_OF] or not isinstance(made.version_of_base, int):
            raise KnownError(tr("This is no prompt: it is made from none that is known."), where=name)
        return made

    def prompt(self) -> Prompt:
        """As a judge uses it. Its hash, and the number that stands for its version, are of what it says alone."""
        profile = PROFILE_OF[self.based_on]
        said = json.dumps([profile, self.system, self.sections, self.after], ensure_ascii=False, sort_keys=True)
        sha256 = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
        return Prompt(
            id=f"own:{self.name}",
            version=int(sha256[:8], 16) % 10_000,
            sha256=sha256,
            system=self.system,
            sections=self.sections,
            after=self.after,
            profile=profile,
            name=self.name,
        )


def begin_with(prompt: Prompt, name: str, *, based_on: str = "", version_of_base: int = 0) -> OwnPrompt:
    """An own prompt that says what `prompt` does; `based_on` tells the shipped one where that is an own one itself."""
    return OwnPrompt(
        name=name,
        based_on=based_on or prompt.id,
        version_of_base=version_of_base or prompt.version,
        system=prompt.system.strip("\n"),
        after=prompt.after.strip("\n"),
        sections={key: prompt.sections[key].strip("\n") for key in SECTIONS},
    )


def shipped_of(own: OwnPrompt) -> Prompt:
    """The shipped prompt that an own one was made from; where this program has not that version, the one it uses."""
    version = own.version_of_base if own.version_of_base in available_versions(own.based_on) else None
    return load_prompt(own.based_on, version)


# What is wrong with a prompt


def problems_of(own: OwnPrompt) -> dict[str, KnownError]:
    """What keeps a prompt from being used, by the keys of FIELDS; `where` of each is its place in a file."""
    found: dict[str, KnownError] = {}
    for key, text in own.texts.items():
        where = key if key in ("system", "after") else f"sections.{key}"
        said = next(_wrong_with(key, text), None)
        if said is not None:
            found[key] = KnownError(said[0], where=where, fix=said[1])
    return {key: found[key] for key in FIELDS if key in found}


def check_prompt(own: OwnPrompt) -> None:
    """Raises KnownError, which names the field, for the first thing that keeps a prompt from being used."""
    for problem in problems_of(own).values():
        raise problem


def _wrong_with(key: str, text: str) -> Iterator[tuple[Sentence, Sentence]]:
    """What is wrong with one text, and what to do about it."""
    most = MOST_INSTRUCTIONS if key == "system" else MOST_SECTION
    allowed = {"system": {"max_criteria"}, "after": set[str](), "empty_output": {"fence"}}.get(key, {"text", "fence"})
    if not text.strip():
        yield tr("This text is empty."), tr("Say something here, or copy it from the shipped prompt.")
    if len(text) > most:
        yield (
            tr("This text has {n:,} characters.", n=len(text)),
            tr("Keep it to {most:,}; short instructions are fast ones.", most=most),
        )
    if is_unprintable(text):
        yield tr("This text holds characters that cannot be shown."), tr("Delete them; they may be invisible.")
    for name in dict.fromkeys(_PLACEHOLDER.findall(text)):
        if name not in allowed:
            may = ", ".join(f"{{{other}}}" for other in sorted(allowed)) or str(tr("no placeholder"))
            yield tr("Nothing is known to put for {{{name}}}.", name=name), tr("Here may stand: {may}.", may=may)
    if "text" in allowed:
        yield from _wrong_with_frame(text)


def _wrong_with_frame(text: str) -> Iterator[tuple[Sentence, Sentence]]:
    """A text of a record stands once, between marks that it cannot hold itself."""
    if text.count("{text}") != 1:
        yield tr("{text} must stand here once."), tr("It is the place of the record's own text.")
        return
    before, after = text.split("{text}")
    if "{fence}" not in before or "{fence}" not in after:
        yield (
            tr("{fence} must stand before {text} and after it."),
            tr("It keeps a record's text from ending its own frame: <task{fence}>."),
        )


def is_unprintable(text: str) -> bool:
    """Whether a text holds control characters other than line breaks and tabs, or halves of surrogate pairs."""
    return any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in text)


# Showing


def lines_of(prompt: Prompt) -> list[str]:
    """A prompt as lines: each text under the name that FIELDS gives it."""
    lines: list[str] = []
    texts = {"system": prompt.system, **prompt.sections, "after": prompt.after}
    for key, title in FIELDS.items():
        lines += [f"[{title}]", *texts[key].strip("\n").split("\n"), ""]
    return lines[:-1]


def difference(prompt: Prompt, shipped: Prompt) -> list[str]:
    """The lines of both: those of `prompt` alone begin with '+ ', those of the shipped one alone with '- ', others with '  '.

    Empty where they say the same.
    """
    old, new = lines_of(shipped), lines_of(prompt)
    if old == new:
        return []
    return [line for line in difflib.ndiff(old, new) if not line.startswith("?")]


# Files


def as_toml(prompt: Prompt) -> str:
    """A prompt as a file that `prompt_from_file` reads."""
    lines = [f'based_on = "{SHIPPED[prompt.profile]}"', f"system = {_quoted(prompt.system)}",
             f"after = {_quoted(prompt.after)}", "", "[sections]"]  # fmt: skip
    lines += [f"{key} = {_quoted(prompt.sections[key])}" for key in SECTIONS]
    return "\n".join(lines) + "\n"


def from_toml(path: Path, name: str, before: OwnPrompt | None) -> OwnPrompt:
    """An own prompt from a TOML file with the keys system, after, sections and based_on.

    What the file lacks is taken from `before`, the prompt of this name, else from the shipped one. Raises KnownError,
    OSError.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KnownError(tr("This is no TOML file ({reason}).", reason=error), where=str(path)) from error
    based_on = data.get("based_on", data.get("id", before.based_on if before is not None else "analyse"))
    if based_on not in [*PROFILE_OF]:
        raise KnownError(
            tr("“{based_on}” is no prompt to begin with.", based_on=based_on),
            where="based_on",
            fix=tr("Write one of these: {known}.", known=", ".join(PROFILE_OF)),
        )
    sections = data.get("sections", {})
    if not isinstance(sections, dict):
        raise KnownError(tr("It must be a table: [sections]."), where="sections")
    unknown = [key for key in data if key not in _FILE_KEYS]
    unknown += [f"sections.{key}" for key in sections if key not in SECTIONS]
    if unknown:
        raise KnownError(
            tr("Nothing is known of {keys}.", keys=", ".join(unknown)),
            where=str(path),
            fix=tr("A prompt has system, after, and these sections: {known}.", known=", ".join(SECTIONS)),
        )
    start = before if before is not None and before.based_on == based_on else begin_with(load_prompt(based_on), name)
    made = replace(start, name=name)
    for key, text in {**data, **sections}.items():
        if key not in FIELDS:
            continue
        if not isinstance(text, str):
            raise KnownError(tr("It must be a text."), where=key)
        made = made.with_text(key, text.strip("\n"))
    return made


def _quoted(text: str) -> str:
    """A text on lines of its own, as TOML writes it."""
    plain = text.strip("\n").replace("\\", "\\\\").replace('"""', '""\\"')
    return f'"""\n{plain}\n"""'
