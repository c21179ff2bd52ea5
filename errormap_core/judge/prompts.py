"""The prompts in resources/prompts: versioned templates that are filled in once, with text that nobody vetted."""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from errormap_core.errors import KnownError
from errormap_core.judge.base import JudgeRequest, Message
from errormap_core.resources import resource_path
from errormap_core.sentences import tr

ANALYSE_VERSION = 1
"""The version of 'analyse' that is used where none is named."""

_FIELD = re.compile(r"\{(\w+)\}")
_FILE = re.compile(r"(?P<id>\w+)\.v(?P<version>\d+)\.toml")
_TAGS = ("task", "correct", "right", "wrong")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt; `sha256` is that of its file."""

    id: str
    version: int
    sha256: str
    system: str
    sections: Mapping[str, str]
    after: str

    def messages(self, request: JudgeRequest, *, max_criteria: int) -> list[Message]:
        """The system's and the user's message about a record.

        The record's texts are put in as they are: braces in them mean nothing, and the marks around
        them are made such that no text can close its own.
        """
        texts = [request.input_text, request.output_text, request.correct_answer or "", *request.references]
        fence = _fence(texts)
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
        texts = [request.input_text, request.output_text, request.correct_answer or "", *request.references]
        answered = "output_text" if request.output_text.strip() else "empty_output"
        section = self._section(answered, request.output_text, fence=_fence(texts))
        return len("\n".join(part.strip("\n") for part in (section, self.after)))

    def _section(self, name: str, text: str, *, fence: str) -> str:
        return _filled(self.sections[name], {"text": text.strip(), "fence": fence})


def available_versions(prompt_id: str = "analyse") -> list[int]:
    """The versions of a prompt that this program has, oldest first."""
    found = (_FILE.fullmatch(path.name) for path in resource_path("prompts").iterdir())
    return sorted(int(name["version"]) for name in found if name is not None and name["id"] == prompt_id)


def load_prompt(prompt_id: str = "analyse", version: int | None = None) -> Prompt:
    """A prompt from resources/prompts. Raises KnownError where there is no such version."""
    wanted = ANALYSE_VERSION if version is None else version
    if wanted not in available_versions(prompt_id):
        known = ", ".join(str(number) for number in available_versions(prompt_id))
        raise KnownError(
            tr("There is no version {version} of the prompt “{id}”.", version=wanted, id=prompt_id),
            fix=tr("Name one of these versions: {known}.", known=known) if known else "",
        )
    data = resource_path("prompts", f"{prompt_id}.v{wanted}.toml").read_bytes()
    loaded = tomllib.loads(data.decode("utf-8"))
    return Prompt(
        id=loaded["id"],
        version=loaded["version"],
        sha256=hashlib.sha256(data).hexdigest(),
        system=loaded["system"],
        sections=loaded["sections"],
        after=loaded["after"],
    )


def _filled(template: str, values: Mapping[str, str]) -> str:
    """One pass over the template; what is put in is not looked at again."""
    return _FIELD.sub(lambda field: values[field[1]], template)


def _fence(texts: Iterable[str]) -> str:
    """What is appended to the names of the marks so that none of the texts holds one of them."""
    together = "\n".join(texts).casefold()
    number, fence = 1, ""
    while any(f"<{slash}{tag}{fence}>" in together for tag in _TAGS for slash in ("", "/")):
        number += 1
        fence = f"-{number}"
    return fence
