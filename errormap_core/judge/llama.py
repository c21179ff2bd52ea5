"""llama.cpp as the engine's process uses it: loading, prompts to tokens, answers forced to a schema.

Only the engine's process imports this module.
"""

import ctypes
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jinja2
import llama_cpp
import numpy as np
from llama_cpp.llama_chat_format import Jinja2ChatFormatter
from llama_cpp.llama_grammar import json_schema_to_gbnf

from errormap_core.judge.base import Message
from errormap_core.judge.chat import Piece, prompt_pieces
from errormap_core.judge.writing import AnalysisWriter, Limits, Vocabulary, most_tokens

LEAST_ROOM = 256
"""Tokens that must be free for an answer; with less, a prompt is too long."""

# The binding's own rule lets line breaks and control characters into strings, and halves of
# surrogate pairs as escapes; a text that has to say something begins with a letter.
_CHARACTER = r'[^"\\\x00-\x1F\x7F] | "\\" ["\\/]'
_FIRST = r"[^\x00-\x40\x5B-\x60\x7B-\xBF]"

_PAIR = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}")

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class LoadFailed(Exception):
    """llama.cpp could not load the model; the text is what it said."""


class TooLong(Exception):
    """A prompt leaves no room for an answer."""

    def __init__(self, n_prompt: int, n_room: int) -> None:
        super().__init__(n_prompt)
        self.n_prompt = n_prompt
        self.n_room = n_room


class EngineFault(Exception):
    """llama.cpp gave up on one prompt."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model wrote; `is_whole` says whether the JSON was closed."""

    text: str
    is_whole: bool
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    template: str


@dataclass(frozen=True, slots=True)
class Analysed:
    """An analysis as JSON holds it. `prompt_tokens` were in the prompt, `reused_tokens` of them evaluated for an earlier one;
    `completion_tokens` were chosen by the model, `fed_tokens` demanded by the form."""

    value: dict[str, Any]
    text: str
    prompt_tokens: int
    reused_tokens: int
    completion_tokens: int
    fed_tokens: int
    seconds: float


class Model:
    """A loaded model with its context. No answer depends on those before it."""

    def __init__(self, path: str, *, n_ctx: int, threads: int, gpu_layers: int, log: Callable[[], str]) -> None:
        try:
            self._llama: Any = llama_cpp.Llama(
                path,
                n_ctx=n_ctx,
                n_threads=threads,
                n_threads_batch=threads,
                n_gpu_layers=gpu_layers,
                verbose=False,
            )
        except (ValueError, RuntimeError, MemoryError, OSError, jinja2.TemplateError) as error:
            raise LoadFailed(log() or f"{type(error).__name__}: {error}") from error
        self._vocab = llama_cpp.llama_model_get_vocab(self._llama.model)
        self.gpu_layers_asked = int(self._llama.model_params.n_gpu_layers)
        # llama.cpp gives a larger context than the model was made for if asked to; answers suffer there.
        self.n_ctx = min(self._llama.n_ctx(), llama_cpp.llama_model_n_ctx_train(self._llama.model) or n_ctx)
        has_template = "tokenizer.chat_template" in self._llama.metadata
        self._formatter = self._chat_formatter() if has_template else None
        self._grammars: dict[str, bytes] = {}
        self._vocabulary: Vocabulary | None = None
        self._kept: list[list[int]] = []

    def template_name(self) -> str:
        """Which chat template a system's and a user's message go through."""
        messages: list[Message] = [{"role": role, "content": "x"} for role in ("system", "user")]
        return prompt_pieces(messages, self._render if self._formatter else None)[1]

    def answer(
        self,
        messages: Sequence[Message],
        *,
        schema: dict[str, Any],
        max_tokens: int,
        temperature: float,
        seed: int,
        is_cancelled: Callable[[], bool],
    ) -> Answer | None:
        """The model's answer in JSON of this schema, or None where it was cancelled.

        Raises TooLong and EngineFault.
        """
        began = time.perf_counter()
        pieces, template = prompt_pieces(messages, self._render if self._formatter else None)
        prompt = self._tokens(pieces)
        room = min(LEAST_ROOM, max_tokens)
        if len(prompt) + room > self.n_ctx:
            raise TooLong(len(prompt), room)
        most = min(max_tokens, self.n_ctx - len(prompt))
        self._forget()
        sampler = ForcedSampler(self._llama, self._grammar(schema), temperature=temperature, seed=seed)
        written = bytearray()
        n_tokens, is_whole = 0, False
        try:
            for fed in self._fed(prompt, sampler):
                if is_cancelled():
                    return None
                if fed is None:  # a part of the prompt
                    continue
                if llama_cpp.llama_vocab_is_eog(self._vocab, fed):
                    is_whole = _is_json(written)
                    break
                n_tokens += 1
                written += self._piece(fed)
                # A base model may not know how to stop: the closed JSON is the end.
                is_whole = written.rstrip().endswith(b"}") and _is_json(written)
                if is_whole or n_tokens >= most:
                    break
        finally:
            sampler.close()
        return Answer(
            text=written.decode("utf-8", "replace"),
            is_whole=is_whole,
            prompt_tokens=len(prompt),
            completion_tokens=n_tokens,
            seconds=time.perf_counter() - began,
            template=template,
        )

    def analyse(
        self,
        messages: Sequence[Message],
        *,
        own: int,
        source: str,
        limits: Limits,
        temperature: float,
        seed: int,
        is_cancelled: Callable[[], bool],
    ) -> Analysed | None:
        """The model's analysis of one failure, or None where it was cancelled.

        The last `own` characters of the last message are about this failure alone; what stands before them is shared
        with others of its example, and is not evaluated again for those. `source` is the answer that is quoted.

        Raises TooLong and EngineFault.
        """
        began = time.perf_counter()
        pieces, _ = prompt_pieces(messages, self._render if self._formatter else None)
        segments = [self._tokens(part, is_first=place == 0) for place, part in enumerate(_segments(pieces, own))]
        n_prompt = sum(map(len, segments))
        if self._vocabulary is None:
            self._vocabulary = self._read_vocabulary()
        while limits.max_criteria > 1 and n_prompt + most_tokens(limits) > self.n_ctx:
            limits = replace(limits, max_criteria=limits.max_criteria - 1)  # as many criteria as there is room for
        room = most_tokens(limits)
        if n_prompt + room > self.n_ctx:
            raise TooLong(n_prompt, room)
        writer = AnalysisWriter(
            self._vocabulary, source, limits=limits, instructions=segments[0], temperature=temperature, seed=seed
        )
        writing = writer.run()
        try:
            n_reused = self._recall(segments)
            if is_cancelled():
                return None
            tokens = next(writing)
            while True:
                if is_cancelled():
                    return None
                self._eval(tokens)
                logits = llama_cpp.llama_get_logits_ith(self._llama.ctx, -1)
                tokens = writing.send(np.ctypeslib.as_array(logits, shape=(self._llama.n_vocab(),)))
        except StopIteration as end:
            value = end.value
        except RuntimeError as error:
            self._kept = []
            raise EngineFault(str(error)) from error
        return Analysed(
            value=value,
            text=b"".join(writer.written.text).decode("utf-8", "replace"),
            prompt_tokens=n_prompt,
            reused_tokens=n_reused,
            completion_tokens=writer.written.n_sampled,
            fed_tokens=writer.written.n_fed,
            seconds=time.perf_counter() - began,
        )

    def _recall(self, segments: list[list[int]]) -> int:
        """Bring the context to the end of the prompt; segments that it begins with already are kept. Returns their tokens.

        A segment is evaluated from its own beginning in every case, so that what is kept is to the bit what would be
        made anew, and no answer depends on the one before.
        """
        same = 0
        while same < min(len(self._kept), len(segments) - 1) and self._kept[same] == segments[same]:
            same += 1
        n_kept = sum(map(len, segments[:same]))
        memory = llama_cpp.llama_get_memory(self._llama.ctx)
        if not same or not llama_cpp.llama_memory_seq_rm(memory, 0, n_kept, -1):
            self._forget()
            same = n_kept = 0
        self._llama.n_tokens = n_kept
        self._kept = segments[:same]
        for segment in segments[same:]:
            self._eval(segment)
            self._kept = [*self._kept, segment]
        return n_kept

    def _eval(self, tokens: Sequence[int]) -> None:
        for start in range(0, len(tokens), self._llama.n_batch):
            self._llama.eval(tokens[start : start + self._llama.n_batch])

    def _read_vocabulary(self) -> Vocabulary:
        n = int(self._llama.n_vocab())
        pieces = [
            b""
            if llama_cpp.llama_vocab_is_control(self._vocab, token) or llama_cpp.llama_vocab_is_eog(self._vocab, token)
            else self._piece(token)
            for token in range(n)
        ]
        return Vocabulary(pieces, lambda text: self._llama.tokenize(text.encode(), add_bos=False, special=False))

    def _fed(self, prompt: list[int], sampler: "ForcedSampler") -> Iterator[int | None]:
        """Feed the prompt (None after each batch), then each chosen token once it was asked for the next."""
        try:
            for start in range(0, len(prompt), self._llama.n_batch):
                self._llama.eval(prompt[start : start + self._llama.n_batch])
                yield None
            while True:
                token = sampler.next_token()
                yield token
                self._llama.eval([token])
        except RuntimeError as error:
            raise EngineFault(str(error)) from error

    def _forget(self) -> None:
        self._llama.reset()
        self._kept = []
        memory = llama_cpp.llama_get_memory(self._llama.ctx)
        if memory is not None:
            llama_cpp.llama_memory_clear(memory, False)

    def _tokens(self, pieces: Sequence[tuple[str, bool]], *, is_first: bool = True) -> list[int]:
        tokens: list[int] = []
        for text, is_template in pieces:
            tokens += self._llama.tokenize(text.encode("utf-8", "replace"), add_bos=False, special=is_template)
        bos = llama_cpp.llama_vocab_bos(self._vocab)
        if is_first and llama_cpp.llama_vocab_get_add_bos(self._vocab) and tokens[:1] != [bos]:
            tokens.insert(0, bos)
        return tokens

    def _piece(self, token: int) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            n = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if n >= 0:
                return buffer.raw[:n]
            size = -n

    def _grammar(self, schema: dict[str, Any]) -> bytes:
        text = json.dumps(schema)
        if text not in self._grammars:
            self._grammars[text] = grammar_for(text).encode()
        return self._grammars[text]

    def _chat_formatter(self) -> Any:
        return Jinja2ChatFormatter(
            template=self._llama.metadata["tokenizer.chat_template"],
            eos_token=self._token_text(llama_cpp.llama_vocab_eos(self._vocab)),
            bos_token=self._token_text(llama_cpp.llama_vocab_bos(self._vocab)),
        )

    def _token_text(self, token: int) -> str:
        return "" if token < 0 else str(llama_cpp.llama_vocab_get_text(self._vocab, token).decode("utf-8", "replace"))

    def _render(self, messages: Sequence[Message]) -> str:
        assert self._formatter is not None
        try:
            return str(self._formatter(messages=list(messages)).prompt)
        except (jinja2.TemplateError, TypeError) as error:
            raise ValueError(str(error)) from error


class ForcedSampler:
    """Chooses tokens that a grammar allows.

    A token is chosen without the grammar first and kept where the grammar takes it, which it mostly
    does; only otherwise is the whole vocabulary checked, which takes about as long as a small model
    takes for a token. At temperature 0 both ways choose the same token.
    """

    def __init__(self, llama: Any, grammar: bytes, *, temperature: float, seed: int) -> None:
        self._context = llama.ctx
        vocab = llama_cpp.llama_model_get_vocab(llama.model)
        self._grammar = llama_cpp.llama_sampler_init_grammar(vocab, grammar, b"root")
        if not self._grammar:
            raise EngineFault("llama.cpp does not take the grammar of the schema")
        self._chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        if temperature <= 0:
            parts = [llama_cpp.llama_sampler_init_greedy()]
        else:
            parts = [
                llama_cpp.llama_sampler_init_top_k(40),
                llama_cpp.llama_sampler_init_top_p(0.95, 1),
                llama_cpp.llama_sampler_init_temp(temperature),
                llama_cpp.llama_sampler_init_dist(seed & 0xFFFFFFFF),
            ]
        for part in parts:
            llama_cpp.llama_sampler_chain_add(self._chain, part)
        self._candidates = np.zeros(llama.n_vocab(), _CANDIDATE)
        self._one = np.zeros(1, _CANDIDATE)

    def next_token(self) -> int:
        """The next token, which the grammar has then taken. Raises EngineFault where it allows none."""
        logits = llama_cpp.llama_get_logits_ith(self._context, -1)
        self._fill(logits)
        token = self._choose()
        if not self._allows(token):
            self._fill(logits)
            array = _array(self._candidates)
            llama_cpp.llama_sampler_apply(self._grammar, ctypes.byref(array))
            if not np.isfinite(self._candidates["logit"]).any():
                raise EngineFault("the grammar of the schema allows no token of this model")
            token = self._choose()
        llama_cpp.llama_sampler_accept(self._grammar, token)
        return token

    def close(self) -> None:
        llama_cpp.llama_sampler_free(self._chain)
        llama_cpp.llama_sampler_free(self._grammar)

    def _fill(self, logits: Any) -> None:
        n = len(self._candidates)
        self._candidates["id"] = np.arange(n, dtype=np.int32)
        self._candidates["logit"] = np.ctypeslib.as_array(logits, shape=(n,))

    def _choose(self) -> int:
        array = _array(self._candidates)
        llama_cpp.llama_sampler_apply(self._chain, ctypes.byref(array))
        return int(array.data[array.selected].id)

    def _allows(self, token: int) -> bool:
        self._one["id"] = token
        self._one["logit"] = 1.0
        array = _array(self._one)
        llama_cpp.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return not math.isinf(float(self._one["logit"][0]))


def grammar_for(schema_text: str) -> str:
    """llama.cpp's grammar for a JSON Schema whose texts are bounded and of one line.

    Texts with a minLength begin with a letter (of any script), so that a model cannot fill them with
    blanks, marks or figures alone.
    """
    grammar = str(json_schema_to_gbnf(schema_text))
    grammar, n_replaced = re.subn(r"(?m)^char ::= .*$", lambda _: f"char ::= {_CHARACTER}", grammar)
    if n_replaced:
        grammar = grammar.replace('"\\"" char ', '"\\"" first ') + f"\nfirst ::= {_FIRST}\n"
    # Constants come with characters beyond the first plane as two halves, which llama.cpp takes for two characters.
    return _PAIR.sub(lambda pair: rf"\U{ord(json.loads(chr(34) + pair[0] + chr(34))):08x}", grammar)


def _segments(pieces: Sequence[Piece], own: int) -> list[list[Piece]]:
    """The prompt in three: what all share, what the failures of one example share, what is this failure's alone."""
    last = max(place for place, (_, is_template) in enumerate(pieces) if not is_template)
    content = pieces[last][0]
    cut = max(0, len(content) - own)
    parts = [list(pieces[:last]), [(content[:cut], False)], [(content[cut:], False), *pieces[last + 1 :]]]
    return [part for part in parts if any(text for text, _ in part)]


def _array(candidates: "np.ndarray[Any, np.dtype[Any]]") -> Any:
    data = candidates.ctypes.data_as(llama_cpp.llama_token_data_p)
    return llama_cpp.llama_token_data_array(data=data, size=len(candidates), selected=-1, sorted=False)


def _is_json(written: bytes | bytearray) -> bool:
    try:
        json.loads(written)
    except ValueError:
        return False
    return True


def supports_gpu() -> bool:
    """Whether this build of llama.cpp can put layers on a GPU."""
    return bool(llama_cpp.llama_supports_gpu_offload())


def system_info() -> str:
    """What llama.cpp says of the processor and of how it was built."""
    return str(llama_cpp.llama_print_system_info().decode("utf-8", "replace")).strip(" |")
