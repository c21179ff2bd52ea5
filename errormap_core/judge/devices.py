"""What llama.cpp can do on this machine: `python -m errormap_core.judge.devices` prints it as JSON.

The library is loaded in that process alone, where a library that does not fit the processor ends nothing else.
"""

import ctypes
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.judge.memory import size_text
from errormap_core.sentences import Sentence, tr

COMMAND = (sys.executable, "-P", "-m", "errormap_core.judge.devices")
"""What prints the answer; start it where this package is found (`errormap_core` in the path)."""

ASK_S = 60
"""A first load of a library with GPU support may take long."""

_KINDS = {0: "cpu", 1: "gpu", 2: "igpu", 3: "accelerator"}
# The very library that the binding has loaded: the file without a number is a copy with a registry of its own.
_LIBRARIES = ("libggml.so.0", "libggml.0.dylib", "ggml.dll", "libggml.so", "libggml.dylib")
_BASE_LIBRARIES = (
    "libggml-base.so.0",
    "libggml-base.0.dylib",
    "ggml-base.dll",
    "libggml-base.so",
    "libggml-base.dylib",
)


@dataclass(frozen=True, slots=True)
class Device:
    """What llama.cpp can compute on; `kind` is 'cpu', 'gpu', 'igpu', 'accelerator' or ''; memory in bytes, 0 where unknown."""

    name: str
    description: str
    kind: str
    memory_free: int
    memory_total: int

    @property
    def is_gpu(self) -> bool:
        return self.kind in ("gpu", "igpu")

    def sentence(self) -> Sentence:
        """'CUDA0: NVIDIA H100, 79.1 GB free of 85.0 GB'."""
        what = self.description if self.description and self.description != self.name else ""
        label = f"{self.name}: {what}" if what else self.name
        if not self.memory_total:
            return tr("{device}", device=label)
        return tr(
            "{device}, {free} free of {total}",
            device=label,
            free=size_text(self.memory_free),
            total=size_text(self.memory_total),
        )


@dataclass(frozen=True, slots=True)
class Abilities:
    """What llama.cpp can do here. `library` is name and version of the binding, `system_info` what it says of itself,
    `templates` are the chat templates that it knows by name."""

    library: str
    can_offload: bool
    devices: tuple[Device, ...]
    system_info: str
    templates: tuple[str, ...] = ()

    @property
    def gpus(self) -> tuple[Device, ...]:
        """The devices that layers can be put on, in llama.cpp's order; none where it cannot offload."""
        return tuple(device for device in self.devices if device.is_gpu) if self.can_offload else ()

    def sentence(self) -> Sentence:
        """Whether layers can be put on a GPU, and on which."""
        if not self.can_offload:
            return tr("{library} was built without GPU support: models run on the processor.", library=self.library)
        if not self.gpus:
            return tr("{library} can use a GPU, and finds none here.", library=self.library)
        named = "; ".join(str(device.sentence()) for device in self.gpus)
        return tr("{library} can put layers on a GPU: {devices}.", library=self.library, devices=named)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Abilities":
        """Raises KeyError, TypeError or ValueError for what is no such object."""
        devices = tuple(Device(**device) for device in data["devices"])
        templates = tuple(str(name) for name in data.get("templates", ()))
        return cls(str(data["library"]), bool(data["can_offload"]), devices, str(data["system_info"]), templates)


def ask_devices(*, timeout_s: float = ASK_S) -> Abilities:
    """Ask in a process of its own and wait for it. Raises KnownError."""
    if not is_installed():
        raise not_installed()
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=timeout_s, encoding="utf-8")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise not_answered(str(error)) from error
    return answer_of(done.stdout, done.stderr)


def answer_of(printed: str, said: str = "") -> Abilities:
    """What the process printed, read. Raises KnownError where that is no answer; `said` is its standard error."""
    try:
        return Abilities.from_json(json.loads(printed))
    except (ValueError, KeyError, TypeError) as error:
        raise not_answered(said) from error


def is_installed() -> bool:
    return find_spec("llama_cpp") is not None


def not_installed() -> KnownError:
    return KnownError(
        tr("llama-cpp-python is not installed: no model can run here."),
        fix=tr("Install it with `pip install 'errormap-studio[judge]'`; it compiles for some minutes."),
    )


def not_answered(said: str) -> KnownError:
    """The process ended without an answer; `said` is what it wrote meanwhile."""
    last = " ".join(said.split())[-200:]
    return KnownError(
        tr("llama.cpp could not be asked what it can do here. {said}", said=last),
        fix=tr("The judge may not start; install llama-cpp-python again on this very machine."),
    )


def abilities() -> Abilities:
    """What the library says; it is loaded into this process."""
    import llama_cpp

    # Backends that stand in files of their own are registered when the library starts.
    llama_cpp.llama_backend_init()
    info = llama_cpp.llama_print_system_info().decode("utf-8", "replace").strip(" |\n")
    return Abilities(
        library=f"llama-cpp-python {version('llama-cpp-python')}",
        can_offload=bool(llama_cpp.llama_supports_gpu_offload()),
        devices=tuple(_devices(Path(llama_cpp.__file__).parent / "lib")),
        system_info=info,
        templates=_templates(llama_cpp),
    )


def _templates(llama_cpp: Any) -> tuple[str, ...]:
    n = llama_cpp.llama_chat_builtin_templates(None, 0)
    names = (ctypes.c_char_p * n)()
    llama_cpp.llama_chat_builtin_templates(names, n)
    return tuple(sorted(name.decode("utf-8", "replace") for name in names if name))


def _devices(folder: Path) -> Sequence[Device]:
    """GGML's devices; none where its library has other names than are known here."""
    libraries = [_loaded(folder, names) for names in (_LIBRARIES, _BASE_LIBRARIES)]

    def function(name: str, result: Any, *arguments: Any) -> Any:
        for library in libraries:
            found = getattr(library, name, None)
            if found is not None:
                found.restype, found.argtypes = result, list(arguments)
                return found
        raise AttributeError(name)

    try:
        count = function("ggml_backend_dev_count", ctypes.c_size_t)
        get = function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
        name = function("ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)
        description = function("ggml_backend_dev_description", ctypes.c_char_p, ctypes.c_void_p)
        kind = function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
        size = ctypes.POINTER(ctypes.c_size_t)
        memory = function("ggml_backend_dev_memory", None, ctypes.c_void_p, size, size)
    except AttributeError:
        return []
    found = []
    for place in range(count()):
        device = get(place)
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        memory(device, ctypes.byref(free), ctypes.byref(total))
        texts = [(text or b"").decode("utf-8", "replace").strip() for text in (name(device), description(device))]
        found.append(Device(texts[0], texts[1], _KINDS.get(kind(device), ""), free.value, total.value))
    return found


def _loaded(folder: Path, names: Sequence[str]) -> ctypes.CDLL | None:
    for name in names:
        if (folder / name).exists():
            return ctypes.CDLL(str(folder / name))
    return None


if __name__ == "__main__":
    print(json.dumps(abilities().to_json()))
