"""From messages to a prompt: what the model's own template says stays apart from what people wrote.

A record's text may hold words that a tokenizer takes for control tokens ('<|im_end|>'). So a template
is filled with placeholders, and the pieces around them are the only ones in which control tokens count.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from errormap_core.judge.base import Message

Render = Callable[[Sequence[Message]], str]
"""Fills a chat template, an opened answer included. Raises ValueError where the template refuses."""

Piece = tuple[str, bool]
"""A part of a prompt, and whether it is the template's own (control tokens count in it)."""

FOLDED = "instructions in the user's message"
PLAIN_TEMPLATE = "plain, version 2"
"""Part of a run's identity: its number goes up with what the template writes."""

_PLACEHOLDER = re.compile(r"errormap content (\d+) of errormap")


@dataclass(frozen=True, slots=True)
class Template:
    """A chat template that was filled once: what it writes before, between and after a system's and a user's message.

    `name` says which it is. `is_folded`: it takes no system's message, whose text heads the user's then.
    """

    name: str
    parts: tuple[str, ...]
    is_folded: bool = False

    def pieces(self, messages: Sequence[Message]) -> list[Piece]:
        """The prompt in pieces. Raises ValueError for messages that are not one of the system's and one of the user's."""
        if [message["role"] for message in messages] != ["system", "user"]:
            raise ValueError("a prompt has a system's and a user's message")
        contents = [message["content"] for message in messages]
        if self.is_folded:
            contents = ["\n\n".join(contents)]
        found: list[Piece] = [(self.parts[0], True)]
        for content, after in zip(contents, self.parts[1:], strict=True):
            found += [(content, False), (after, True)]
        return [piece for piece in found if piece[0]]

    @property
    def end(self) -> str:
        """What the template writes after the user's message: the beginning of the answer."""
        return self.parts[-1]


PLAIN = Template(PLAIN_TEMPLATE, ("", "\n\n", "\n\nReport:\n"))
"""For base models, which have no template, and for whoever wants none: the messages, and 'Report:'."""


def template_of(render: Render, name: str) -> Template:
    """A template from what renders messages: with a system's message if it takes one, else folded into the user's.

    Some templates refuse a system's message or drop it. Raises ValueError where it does not show each message once,
    with the reason that it gave.
    """
    reasons: list[str] = []
    for roles, is_folded in ((("system", "user"), False), (("user",), True)):
        try:
            return Template(f"{name}, {FOLDED}" if is_folded else name, _parts(roles, render), is_folded)
        except ValueError as error:
            reasons.append(str(error))
    raise ValueError("; ".join(dict.fromkeys(reasons)))


def _parts(roles: Sequence[str], render: Render) -> tuple[str, ...]:
    marked: list[Message] = [
        {"role": role, "content": f"errormap content {number} of errormap"} for number, role in enumerate(roles)
    ]
    parts = _PLACEHOLDER.split(render(marked))
    if [int(number) for number in parts[1::2]] != list(range(len(roles))):
        raise ValueError("it does not show each message once")
    return tuple(parts[::2])
