"""llama.cpp as the engine's process uses it: loading a model, its vocabulary and template, prompts to tokens.

Only the engine's process imports this module.
"""

import contextlib
import ctypes
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import jinja2
import llama_cpp
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from errormap_core.judge.base import Message
from errormap_core.judge.chat import PLAIN, Piece, Template, template_of
from errormap_core.judge.decoding import Decoder
from errormap_core.judge.scheduling import Work
from errormap_core.judge.vocabulary import Vocabulary
from errormap_core.judge.writing import Limits, Writer, most_tokens

TEMPLATE_LIMIT_S = 5.0
"""A template that has not filled itself in by then loops."""

TEMPLATE_LIMIT_CHARACTERS = 1_000_000
"""A template that writes more around two short messages grows without end."""

_MARK = re.compile(r"[^\w\s▁]")
"""Runs of white space are such tokens too, and may stay what they are."""

THINKING_MARKS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<seed:think>", "</seed:think>"))
"""How models that think first mark it; which of them, their chat template tells."""


class LoadFailed(Exception):
    """llama.cpp could not load the model; the text is what it said."""


class TemplateFailed(Exception):
    """A chat template cannot be used; the text is why."""


class TooLong(Exception):
    """A prompt leaves no room for an answer."""

    def __init__(self, n_prompt: int, n_room: int) -> None:
        super().__init__(n_prompt)
        self.n_prompt = n_prompt
        self.n_room = n_room


@dataclass(frozen=True, slots=True)
class Placement:
    """How a model is run: see EngineSettings, which this is made of."""

    threads: int
    context: int
    sequences: int
    batch: int
    flash: int
    gpu_layers: int
    main_gpu: int | None
    template: str
    thinking: int


class Model:
    """A loaded model.

    Raises LoadFailed, and TemplateFailed for a chosen or an own template that fails or loops.
    """

    def __init__(self, path: str, placement: Placement, *, log: Callable[[], str]) -> None:
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = placement.gpu_layers if placement.gpu_layers >= 0 else 2**31 - 1
        if placement.main_gpu is not None:
            params.split_mode = llama_cpp.LLAMA_SPLIT_MODE_NONE
            params.main_gpu = placement.main_gpu
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        if not self._model:
            raise LoadFailed(log() or "it gave no reason")
        self.placement = placement
        self.gpu_layers_asked = int(params.n_gpu_layers)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        # llama.cpp gives a larger context than the model was made for if asked to; answers suffer there.
        self.n_ctx = min(placement.context, llama_cpp.llama_model_n_ctx_train(self._model) or placement.context)
        self.vocabulary = self._read_vocabulary()
        self._marks = self._read_marks()
        own = llama_cpp.llama_model_chat_template(self._model, None)
        self._own_template = own.decode("utf-8", "replace") if own else ""
        self.template = self._template(placement.template)
        self.thinking = self._thinking()

    def decoder(self) -> Decoder:
        """A context as it was asked for. Raises LoadFailed where there is not enough memory for it."""
        placement = self.placement
        try:
            return Decoder(
                self._model,
                sequences=placement.sequences,
                context=self.n_ctx,
                batch=placement.batch,
                threads=placement.threads,
                flash=placement.flash,
            )
        except MemoryError as error:
            raise LoadFailed(f"MemoryError: {error}") from error

    def shared_decoder(self, sequences: int) -> Decoder:
        """A context whose sequences share cells, for many continuations of one prompt."""
        placement = self.placement
        return Decoder(
            self._model,
            sequences=sequences,
            context=self.n_ctx,
            batch=placement.batch,
            threads=placement.threads,
            flash=placement.flash,
            unified=True,
        )

    def work(
        self,
        key: int,
        messages: Sequence[Message],
        *,
        own: int = 0,
        source: str = "",
        form: str = "full",
        limits: Limits | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        is_urgent: bool = False,
    ) -> tuple[Work, Writer]:
        """What a scheduler takes, and the writer that tells what it took.

        The last `own` characters of the last message are about this record alone; what stands before them is shared
        with others of its example, and is not evaluated again for those. `source` is the answer that is quoted.

        Raises TooLong.
        """
        segments = self.segments(messages, own=own)
        n_prompt = sum(map(len, segments))
        limits = limits or Limits()
        room = self.placement.thinking if self.thinking else 0
        while limits.max_criteria > 1 and n_prompt + room + most_tokens(form, limits) > self.n_ctx:
            limits = replace(limits, max_criteria=limits.max_criteria - 1)  # as many criteria as there is room for
        room += most_tokens(form, limits)
        if n_prompt + room > self.n_ctx:
            raise TooLong(n_prompt, room)
        writer = Writer(
            self.vocabulary,
            source,
            form=form,
            limits=limits,
            instructions=self.tokens([(messages[0]["content"], False)]),
            temperature=temperature,
            seed=seed,
        )
        if self.thinking is None:
            writing = writer.run()
        else:
            opening, closing = self.thinking
            opened = self.template.end.rstrip().endswith(opening)
            writing = writer.think(closing, opened=opened, opening=opening, most=self.placement.thinking)
        return Work(key, segments, writing, is_urgent), writer

    def segments(self, messages: Sequence[Message], *, own: int) -> list[list[int]]:
        """The tokens of a prompt: instructions, what the failures of an example share, what is this failure's alone."""
        pieces = self.template.pieces(messages)
        head = len(messages[0]["content"]) + len("\n\n") if self.template.is_folded else 0
        parts = [self.tokens(part, is_first=place == 0) for place, part in enumerate(_segments(pieces, own, head))]
        return [part for part in parts if part]

    def tokens(self, pieces: Sequence[Piece], *, is_first: bool = False) -> list[int]:
        """Tokens of pieces; control tokens count in those of the template only. With `is_first`, a beginning of text
        is put before them where the model wants one."""
        tokens: list[int] = []
        for text, is_template in pieces:
            for part in [text] if is_template else self._marks.cut(text):
                tokens += self._tokenize(part, parse_special=is_template)
        bos = llama_cpp.llama_vocab_bos(self._vocab)
        if is_first and llama_cpp.llama_vocab_get_add_bos(self._vocab) and tokens[:1] != [bos]:
            tokens.insert(0, bos)
        return tokens

    def close(self) -> None:
        llama_cpp.llama_model_free(self._model)

    # Vocabulary

    def _read_marks(self) -> "_Marks":
        """The tokens that are neither words nor control tokens ('<|user|>' of some models).

        llama.cpp finds those in any text, whether special tokens count in it or not.
        """
        marks = []
        for token in range(int(llama_cpp.llama_vocab_n_tokens(self._vocab))):
            if llama_cpp.llama_vocab_get_attr(self._vocab, token) & llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED:
                text = self._token_text(token)
                if len(text) > 1 and _MARK.search(text):
                    marks.append(text)
        return _Marks(marks)

    def _tokenize(self, text: str, *, parse_special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        size = len(data) + 8
        while True:
            buffer = (ctypes.c_int32 * size)()
            n = llama_cpp.llama_tokenize(self._vocab, data, len(data), buffer, size, False, parse_special)
            if n >= 0:
                return list(buffer[:n])
            size = -n

    def _read_vocabulary(self) -> Vocabulary:
        pieces: list[bytes] = []
        marks: dict[str, int] = {}
        ends: list[int] = []
        for token in range(int(llama_cpp.llama_vocab_n_tokens(self._vocab))):
            is_end = llama_cpp.llama_vocab_is_eog(self._vocab, token)
            is_mark = is_end or llama_cpp.llama_vocab_is_control(self._vocab, token)
            pieces.append(b"" if is_mark else self._piece(token))
            if is_mark:
                marks[self._token_text(token)] = token
            if is_end:
                ends.append(token)
        return Vocabulary(
            pieces,
            lambda text: self._tokenize(text, parse_special=False),
            tokenize_marks=lambda text: self._tokenize(text, parse_special=True),
            marks=marks,
            ends=ends,
        )

    def _piece(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            n = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if n >= 0:
                return buffer.raw[:n]
            size = -n

    def _token_text(self, token: int) -> str:
        return "" if token < 0 else str(llama_cpp.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace"))

    # Templates

    def _template(self, wanted: str) -> Template:
        """The template that was asked for: '' is the model's own if it has one, 'none' is none, else a file with a
        template of Jinja's, or one that llama.cpp knows by name."""
        if wanted == "none" or (not wanted and not self._own_template):
            return PLAIN
        try:
            if not wanted:
                return template_of(self._jinja(self._own_template), "of the model")
            if Path(wanted).suffix in (".jinja", ".jinja2", ".j2", ".txt"):
                text = Path(wanted).read_text(encoding="utf-8")
                digest = hashlib.sha256(text.encode()).hexdigest()[
                    :8
                ]  # answers depend on what it says, not on its name
                return template_of(self._jinja(text), f"file {Path(wanted).name} {digest}")
            return template_of(lambda messages: _built_in(wanted, messages), f"{wanted} of llama.cpp")
        except (ValueError, OSError) as error:
            raise TemplateFailed(str(error)) from error

    def _jinja(self, text: str) -> Callable[[Sequence[Message]], str]:
        def render(messages: Sequence[Message]) -> str:
            try:
                formatter = Jinja2ChatFormatter(
                    template=text,
                    eos_token=self._token_text(llama_cpp.llama_vocab_eos(self._vocab)),
                    bos_token=self._token_text(llama_cpp.llama_vocab_bos(self._vocab)),
                )
                # What it writes is counted as it comes: its own loops would fill the memory within the time.
                formatter._environment = cast(Any, _Bounded(formatter._environment))
                with _limited(TEMPLATE_LIMIT_S):
                    return str(formatter(messages=cast(Any, list(messages))).prompt)
            except _TooSlow as error:
                raise ValueError(f"it did not end within {TEMPLATE_LIMIT_S:.0f} seconds") from error
            except MemoryError as error:
                raise ValueError("it takes too much memory") from error
            except (
                jinja2.TemplateError,
                TypeError,
                KeyError,
                IndexError,
                AttributeError,
                ArithmeticError,
                RecursionError,
            ) as error:
                raise ValueError(f"{type(error).__name__}: {error}") from error

        return render

    def _thinking(self) -> tuple[str, str] | None:
        """The marks of this model's thinking, None where it does not think."""
        for opening, closing in THINKING_MARKS:
            if closing in self._own_template or opening in self.template.end:
                return opening, closing
        return None


class _Marks:
    """Finds texts of tokens in a text, whichever begins first; there may be thousands of them."""

    def __init__(self, marks: Sequence[str]) -> None:
        self._marks = frozenset(marks)
        self._lengths = sorted({len(mark) for mark in marks})
        firsts = "".join(sorted({mark[0] for mark in marks}))
        self._first = re.compile(f"[{re.escape(firsts)}]") if firsts else None

    def cut(self, text: str) -> list[str]:
        """The text in parts that hold none of them: each is cut behind its first letter."""
        if self._first is None:
            return [text]
        ends = [
            found.start() + 1
            for found in self._first.finditer(text)
            if any(text[found.start() : found.start() + length] in self._marks for length in self._lengths)
        ]
        return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


class _TooSlow(Exception):
    """Raised in a thread that takes too long."""


class _Bounded:
    """A template that is filled up to a length."""

    def __init__(self, template: Any) -> None:
        self._template = template

    def render(self, **values: Any) -> str:
        pieces: list[str] = []
        n = 0
        for piece in self._template.generate(**values):
            n += len(piece)
            if n > TEMPLATE_LIMIT_CHARACTERS:
                raise ValueError(f"it writes more than {TEMPLATE_LIMIT_CHARACTERS:,} characters")
            pieces.append(piece)
        return "".join(pieces)


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Ends a block of Python code that runs for too long, by raising _TooSlow in it; works where signals may not be used."""
    lock = threading.Lock()
    is_over = False
    thread = threading.get_ident()

    def interrupt() -> None:
        with lock:
            if not is_over:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_TooSlow))
                time.sleep(0.05)  # it is raised before the block can end

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            is_over = True
        timer.cancel()


def _segments(pieces: Sequence[Piece], own: int, head: int = 0) -> list[list[Piece]]:
    """The prompt in three: what all share, what the failures of one example share, what is this failure's alone.

    `head` characters of the last content are instructions, `own` characters at its end are about this failure.
    """
    last = max(place for place, (_, is_template) in enumerate(pieces) if not is_template)
    content = pieces[last][0]
    cut = max(head, len(content) - own)
    parts = [
        [*pieces[:last], (content[:head], False)],
        [(content[head:cut], False)],
        [(content[cut:], False), *pieces[last + 1 :]],
    ]
    return [part for part in parts if any(text for text, _ in part)]


def _built_in(name: str, messages: Sequence[Message]) -> str:
    """A template that llama.cpp knows by name. Raises ValueError where it knows none of that name."""
    if name not in built_in_templates():
        raise ValueError(f"llama.cpp has no template “{name}”; it has {', '.join(built_in_templates())}")
    chat = (llama_cpp.llama_chat_message * len(messages))(
        *(llama_cpp.llama_chat_message(m["role"].encode(), m["content"].encode()) for m in messages)
    )
    size = 1 << 16
    buffer = ctypes.create_string_buffer(size)
    n = llama_cpp.llama_chat_apply_template(name.encode(), chat, len(messages), True, buffer, size)
    if not 0 <= n <= size:
        raise ValueError(f"llama.cpp could not fill its template “{name}”")
    return buffer.raw[:n].decode("utf-8", "replace")


def built_in_templates() -> list[str]:
    """Names of the chat templates that llama.cpp has."""
    n = llama_cpp.llama_chat_builtin_templates(None, 0)
    names = (ctypes.c_char_p * n)()
    llama_cpp.llama_chat_builtin_templates(names, n)
    return sorted(name.decode() for name in names if name)


def supports_gpu() -> bool:
    """Whether this build of llama.cpp can put layers on a GPU."""
    return bool(llama_cpp.llama_supports_gpu_offload())


def system_info() -> str:
    """What llama.cpp says of the processor and of how it was built."""
    return str(llama_cpp.llama_print_system_info().decode("utf-8", "replace")).strip(" |")
