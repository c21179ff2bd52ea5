"""The prompts in resources/prompts: versioned templates that are filled in once, with text that nobody vetted."""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast, get_args

from errormap_core.errors import KnownError
from errormap_core.judge.base import JudgeRequest, Message
from errormap_core.resources import resource_path
from errormap_core.sentences import tr

Profile = Literal["full", "quick"]

PROFILES: tuple[Profile, ...] = get_args(Profile)

SHIPPED: Mapping[Profile, str] = {"full": "analyse", "quick": "quick"}
"""The prompt of each profile: criteria and then a diagnosis, or only evidence, title and summary."""

DEFAULT_VERSIONS: Mapping[str, int] = {"analyse": 2, "quick": 1, "name_category": 1}
"""The version of each prompt that is used where none is named."""

CHARACTERS_A_TOKEN = 4
"""So many letters of a script with an alphabet make a token, roughly; tokenizers differ by a fifth."""

_FIELD = re.compile(r"\{(\w+)\}")
_FILE = re.compile(r"(?P<id>\w+)\.v(?P<version>\d+)\.toml")
_MARK = re.compile(r"[^\s{}]*\{fence\}[^\s{}]*")
_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt; `sha256` is that of its file, or of its content where it belongs to a project.

    `profile` is the form in which it is answered, `name` what people call it.
    """

    id: str
    version: int
    sha256: str
    system: str
    sections: Mapping[str, str]
    after: str
    profile: Profile = "full"
    name: str = ""

    def messages(self, request: JudgeRequest, *, max_criteria: int) -> list[Message]:
        """The system's and the user's message about a record.

        The record's texts are put in as they are: braces in them mean nothing, and the marks around
        them are made such that no text can close its own.
        """
        fence = self._fence(request)
        parts = [self._section("input_text", request.input_text, fence=fence)]
        if (request.correct_answer or "").strip():
            parts.append(self._section("correct_answer", request.correct_answer or "", fence=fence))
        parts += [self._section("reference", reference, fence=fence) for reference in request.references]
        answered = "output_text" if request.output_text.strip() else "empty_output"
        parts.append(self._section(answered, request.output_text, fence=fence))
        parts.append(self.after)
        return [
            {"role": "system", "content": _filled(self.system, {"max_criteria": str(max_criteria)}).strip()},
            {"role": "user", "content": "\n".join(part.strip("\n") for part in parts)},
        ]

    def own_length(self, request: JudgeRequest) -> int:
        """How many characters at the end of the user's message are about this answer alone.

        What stands before them, question and references, is the same for every answer to an example, unless one
        of them makes another fence necessary.
        """
        answered = "output_text" if request.output_text.strip() else "empty_output"
        section = self._section(answered, request.output_text, fence=self._fence(request))
        return len("\n".join(part.strip("\n") for part in (section, self.after)))

    def _section(self, name: str, text: str, *, fence: str) -> str:
        return _filled(self.sections[name], {"text": text.strip(), "fence": fence})

    def _fence(self, request: JudgeRequest) -> str:
        """What is put into the marks so that none of the record's texts holds one of them."""
        texts = [request.input_text, request.output_text, request.correct_answer or "", *request.references]
        return fence_for(texts, marks_in(self.sections.values()))


def available_versions(prompt_id: str = "analyse") -> list[int]:
    """The versions of a prompt that this program has, oldest first."""
    found = (_FILE.fullmatch(path.name) for path in resource_path("prompts").iterdir())
    return sorted(int(name["version"]) for name in found if name is not None and name["id"] == prompt_id)


def load_prompt(prompt_id: str = "analyse", version: int | None = None) -> Prompt:
    """A prompt from resources/prompts. Raises KnownError where there is no such version."""
    known = available_versions(prompt_id)
    wanted = DEFAULT_VERSIONS.get(prompt_id, known[-1] if known else 0) if version is None else version
    if wanted not in known:
        raise KnownError(
            tr("There is no version {version} of the prompt “{id}”.", version=wanted, id=prompt_id),
            fix=tr("Name one of these versions: {known}.", known=", ".join(map(str, known))) if known else "",
        )
    return _loaded(prompt_id, wanted)


@cache
def _loaded(prompt_id: str, version: int) -> Prompt:
    data = resource_path("prompts", f"{prompt_id}.v{version}.toml").read_bytes()
    loaded = tomllib.loads(data.decode("utf-8"))
    profile = loaded.get("profile", "full")
    return Prompt(
        id=loaded["id"],
        version=loaded["version"],
        sha256=hashlib.sha256(data).hexdigest(),
        system=loaded["system"],
        sections=loaded["sections"],
        after=loaded["after"],
        profile=cast(Profile, profile),
        name=profile if SHIPPED.get(profile) == loaded["id"] else loaded["id"],
    )


def marks_in(templates: Iterable[str]) -> list[str]:
    """The words of these templates that {fence} is part of: '<task{fence}>', '</task{fence}>'."""
    return list(dict.fromkeys(mark for template in templates for mark in _MARK.findall(template)))


def fence_for(texts: Iterable[str], marks: Iterable[str]) -> str:
    """What is put for {fence} in these marks, case apart, so that none of the texts holds one of them."""
    together = "\n".join(texts).casefold()
    marks = list(marks)
    number, fence = 1, ""
    while any(mark.replace("{fence}", fence).casefold() in together for mark in marks):
        number += 1
        fence = f"-{number}"
    return fence


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has: one for four characters, one for each of a script without an alphabet."""
    n_dense = len(_DENSE.findall(text))
    return n_dense + -(-(len(text) - n_dense) // CHARACTERS_A_TOKEN)


def _filled(template: str, values: Mapping[str, str]) -> str:
    """One pass over the template; what is put in is not looked at again."""
    return _FIELD.sub(lambda field: values[field[1]], template)
