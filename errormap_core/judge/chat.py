"""From messages to a prompt: what the model's own template says stays apart from what people wrote.

A record's text may hold words that a tokenizer takes for control tokens ('<|im_end|>'). So a template
is filled with placeholders, and the pieces around them are the only ones in which control tokens count.
"""

import re
from collections.abc import Callable, Sequence

from errormap_core.judge.base import Message

Render = Callable[[Sequence[Message]], str]
"""Fills the model's chat template, an opened answer included. Raises ValueError where the template refuses."""

Piece = tuple[str, bool]
"""A part of a prompt, and whether it is the template's own (control tokens count in it)."""

OWN_TEMPLATE = "of the model"
FOLDED_TEMPLATE = "of the model, instructions in the user's message"
PLAIN_TEMPLATE = "plain"

_PLACEHOLDER = re.compile(r"errormap content (\d+) of errormap")


def prompt_pieces(messages: Sequence[Message], render: Render | None) -> tuple[list[Piece], str]:
    """The prompt in pieces, and which of three templates it follows.

    The model's own template where it takes all messages; else the same with the system's message at
    the head of the user's (some templates refuse or drop a system's message); else, and for base
    models that have none, the messages one after another and 'Report in JSON:'.
    """
    if render is not None:
        for given, name in ((list(messages), OWN_TEMPLATE), (_folded(messages), FOLDED_TEMPLATE)):
            pieces = _through(given, render)
            if pieces is not None:
                return pieces, name
    plain: list[Piece] = []
    for message in messages:
        plain += [(message["content"], False), ("\n\n", True)]
    return [*plain, ("Report in JSON:\n", True)], PLAIN_TEMPLATE


def _folded(messages: Sequence[Message]) -> list[Message]:
    system = [message["content"] for message in messages if message["role"] == "system"]
    rest = [message for message in messages if message["role"] != "system"]
    if not rest:
        return [{"role": "user", "content": "\n\n".join(system)}]
    return [{"role": rest[0]["role"], "content": "\n\n".join([*system, rest[0]["content"]])}, *rest[1:]]


def _through(messages: Sequence[Message], render: Render) -> list[Piece] | None:
    """None where the template refuses, or does not show each message once."""
    marked: list[Message] = [
        {"role": message["role"], "content": f"errormap content {number} of errormap"}
        for number, message in enumerate(messages)
    ]
    try:
        parts = _PLACEHOLDER.split(render(marked))
    except ValueError:
        return None
    if [int(number) for number in parts[1::2]] != list(range(len(messages))):
        return None
    pieces: list[Piece] = []
    for place, part in enumerate(parts):
        pieces.append((part, True) if place % 2 == 0 else (messages[int(part)]["content"], False))
    return [piece for piece in pieces if piece[0]]
