"""Every setting once: key, default, kind, title, help, limits, scope.

The settings page, `--set KEY=VALUE`, the documentation and the check on loading are made from this
table. Scope 'project': it changes a result, is kept in the project file and changed by an operation.
Scope 'user': how things look and what this machine has; kept in a JSON file of the user's.
"""

import copy
import difflib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs

from errormap_core import trouble
from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr

Kind = Literal["int", "float", "text", "choice", "path", "names", "flag", "json"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `minimum` and `maximum` are inclusive; 'names' is a list of texts or None for all."""

    key: str
    default: Any
    kind: Kind
    title: str
    help: str
    scope: Literal["project", "user"]
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    hidden: bool = False
    is_required: bool = False
    renamed_to: str | None = None

    def check(self, value: Any) -> Any:
        """`value` in this setting's type. Raises KnownError where it cannot be one."""
        try:
            return self._converted(value)
        except (TypeError, ValueError) as error:
            raise KnownError(
                tr("“{value}” is no value for {title}.", value=value, title=self.title),
                where=self.key,
                fix=self.expected(),
            ) from error

    def expected(self) -> Sentence:
        """What values it takes, as a sentence."""
        if self.kind == "choice":
            return tr("Choose one of {choices}.", choices=", ".join(self.choices))
        if self.kind in ("int", "float"):
            number = tr("a whole number") if self.kind == "int" else tr("a number")
            if self.minimum is not None and self.maximum is not None:
                return tr(
                    "Give {number} from {low:,} to {high:,}.",
                    number=number,
                    low=_plain(self.minimum),
                    high=_plain(self.maximum),
                )
            if self.minimum is not None:
                return tr("Give {number}, at least {low:,}.", number=number, low=_plain(self.minimum))
            return tr("Give {number}.", number=number)
        if self.kind == "flag":
            return tr("Give true or false.")
        return tr("Give a text.")

    def _converted(self, value: Any) -> Any:
        match self.kind:
            case "int":
                if isinstance(value, float) and not value.is_integer():
                    raise ValueError(value)
                number: float = int(value)
            case "float":
                number = float(value)
                if number != number or number in (float("inf"), float("-inf")):
                    raise ValueError(value)
            case "choice":
                if value not in self.choices:
                    raise ValueError(value)
                return value
            case "flag":
                if isinstance(value, str):
                    if value.lower() not in ("true", "false"):
                        raise ValueError(value)
                    return value.lower() == "true"
                return bool(value)
            case "names":
                if value is None or value == "":
                    return None
                names = value.split(",") if isinstance(value, str) else list(value)
                return [name for name in (str(name).strip() for name in names) if name]
            case "json":
                return value
            case _:
                text = "" if value is None else str(value)
                if self.is_required and not text.strip():
                    raise ValueError(value)
                return text
        if (self.minimum is not None and number < self.minimum) or (self.maximum is not None and number > self.maximum):
            raise ValueError(value)
        return number


def _plain(number: float) -> float:
    """A bound as people write it: 1, not 1.0."""
    return int(number) if number == int(number) else number


MOST_SEED = 2**31 - 1
"""The largest seed, which every library takes."""

SETTINGS: tuple[Setting, ...] = (
    # What is analysed
    Setting("sampling.ratio", 1.0, "float", "Sampling ratio", "Share of the failed examples that is analysed.", "project", 0.0, 1.0),
    Setting("sampling.seed", 0, "int", "Sampling seed", "Another seed chooses other examples.", "project", 0, MOST_SEED),
    Setting("models.analysed", None, "names", "Models to analyse", "Names of models; empty for all.", "project"),
    # The judge
    Setting("judge.current_run", "", "text", "Judge run that counts", "Id of the run whose analyses count; empty for the latest.", "project", hidden=True),
    Setting("judge.max_criteria", 3, "int", "Criteria per analysis", "The most criteria that an analysis may list.", "project", 1, 12),
    Setting("judge.max_references", 3, "int", "Correct answers as references", "How many answers that passed the same example the judge is shown.", "project", 0, 3),
    Setting("judge.prompt", "full", "text", "Judge prompt", "full, quick, or the name of one of the project's own.", "project", hidden=True, is_required=True),
    Setting("judge.own_prompts", None, "json", "the project's own prompts", "Texts of the project's own prompts by name.", "project", hidden=True),
    Setting("judge.context", 4096, "int", "Context size", "Tokens of prompt and answer together.", "project", 512, 131072),
    Setting("judge.temperature", 0.0, "float", "Temperature", "0 always takes the likeliest word.", "project", 0.0, 2.0),
    Setting("judge.seed", 0, "int", "Judge seed", "Used where the temperature is above 0.", "project", 0, MOST_SEED),
    Setting("judge.model", "", "path", "Judge model", "A GGUF file; empty for the embedded SmolLM2-135M.", "user"),
    Setting("judge.template", "", "text", "Chat template", "Empty for the model's own; none; one that llama.cpp knows by name (chatml, llama3, gemma …); or a file with a Jinja template.", "project"),
    Setting("judge.thinking", 256, "int", "Thinking, tokens", "The most that a model which thinks first may think before it answers.", "project", 0, 8192),
    Setting("judge.threads", 0, "int", "Threads", "0 for as many as were found best on this machine.", "user", 0, 256),
    Setting("judge.sequences", 0, "int", "Records at once", "0 for as many as were found best on this machine.", "user", 0, 256),
    Setting("judge.batch", 0, "int", "Batch, tokens", "The most that are decoded in one go; 0 for what was found best.", "user", 0, 4096),
    Setting("judge.flash_attention", "measured", "choice", "Flash attention", "As it was found best, or always or never.", "user", choices=("measured", "on", "off")),
    Setting("judge.copies", "auto", "choice", "Copy of the weights", "auto keeps a copy as Q8_0 in the cache where that is faster and says the same; q4_0 is smaller, faster and less exact; never keeps none.", "user", choices=("auto", "q8_0", "q4_0", "never")),
    Setting("judge.copies_megabytes", 10_000, "int", "Copies of weights, MB in all", "Above this size the copy that was used longest ago is deleted; none that a judge runs on.", "user", 0, 10_000_000),
    Setting("judge.tuning", True, "flag", "Measure speed", "The first time that a model is used here, find out in about half a minute how it runs best.", "user"),
    Setting("judge.engines", 1, "int", "Engines", "Processes that work one queue: one a GPU, or one a part of a large machine's memory.", "user", 1, 16),
    Setting("judge.gpu_layers", 0, "int", "Layers on the GPU", "0 for none, -1 for all.", "user", -1, 10000),
    Setting("models.folders", (), "names", "Folders with models", "Folders whose GGUF files are offered as judges, those below them included.", "user"),
    # Proposals
    Setting("embedding.model", "", "path", "Encoder", "A folder with a sentence-transformers model; empty for the embedded all-MiniLM-L6-v2.", "user"),
    Setting("taxonomy.locked", False, "flag", "Lock the taxonomy", "Only propose places in the categories that are there. What would change the tree is not proposed, and cannot be accepted.", "project"),
    Setting("proposals.depth", 2, "int", "Levels", "The most levels of categories that are proposed.", "project", 1, 4),
    Setting("proposals.max_categories", 25, "int", "Categories a level", "The most categories that are proposed below one parent.", "project", 2, 200),
    Setting("proposals.n_categories", 0, "int", "Number of categories", "So many groups are looked for where the tree has no category yet; those under the smallest size go to Other. 0 for as many as the failures speak for.", "project", 0, 10000),
    Setting("proposals.min_size", 3, "int", "Smallest category", "Groups with fewer failures go to Other.", "project", 1, 1000),
    Setting("proposals.seed", 0, "int", "Proposal seed", "The same seed gives the same proposals.", "project", 0, MOST_SEED),
    Setting("proposals.names_by", "members", "choice", "Names from", "Most typical members, or the judge.", "project", choices=("members", "judge")),
    # Placing failures in the categories that are there
    Setting("classify.method", "embedding", "choice", "Failures are placed by", "Nearest words (embedding), the judge, or both.", "project", choices=("embedding", "judge", "both")),
    Setting("classify.shortlist", 10, "int", "Categories on the short-list", "How many of the nearest categories the judge scores; 0 for all.", "project", 0, 1000),
    # The atlas
    Setting("atlas.id", "", "text", "Atlas id", "Set when the project is made.", "project", hidden=True, is_required=True),
    Setting("atlas.title", "", "text", "Title", "Title of the exported atlas.", "project"),
    Setting("atlas.version", "0.1.0", "text", "Version", "Version of the exported atlas.", "project"),
    Setting("atlas.authors", (), "names", "Authors", "Names of the atlas's authors.", "project"),
    Setting("atlas.licence", "", "text", "Licence", "Licence of the exported atlas.", "project"),
    Setting("atlas.language", "en", "text", "Language", "Language of the names and descriptions, as a BCP 47 tag.", "project"),
    Setting("atlas.imported", None, "json", "Imported atlas", "What an imported atlas said that is not a category.", "project", hidden=True),
    Setting("queue.questions", True, "flag", "Choose questions", "While Review is open, work out which failures teach most when a person places them.", "user"),
    # Backups
    Setting("backups.keep", 5, "int", "Backups of a project", "The most backups that are kept of a project; 0 makes none.", "user", 0, 100),
    Setting("backups.megabytes", 5000, "int", "Backups, MB in all", "Above this size the oldest backups are deleted; the only one of a project never is.", "user", 1, 10_000_000),
    # The user
    Setting("user.id", "", "text", "Annotator id", "Made at first start.", "user", hidden=True),
    Setting("user.name", "", "text", "Your name", "Signs every step that you take.", "user"),
    Setting("user.initials", "", "text", "Your initials", "Shown beside your decisions.", "user"),
    Setting("look.scheme", "system", "choice", "Colours", "Light, dark, or as the system says.", "user", choices=("system", "light", "dark")),
    Setting("look.text_size", 100, "int", "Text size", "Per cent of the system's size.", "user", 75, 250),
    Setting("look.recent", (), "json", "Recent projects", "Newest first.", "user", hidden=True),
    Setting("keys", None, "json", "Keys", "Keys that you gave to commands, by the command's name.", "user", hidden=True),
    Setting("look.drafts", None, "json", "Drafts", "What was written in dialogs and not saved, by project.", "user", hidden=True),
    Setting("look.window", "", "text", "Window layout", "Where panes are.", "user", hidden=True),
)  # fmt: skip

BY_KEY: Mapping[str, Setting] = {setting.key: setting for setting in SETTINGS}


def setting(key: str, scope: str | None = None) -> Setting:
    """The setting called `key`. Raises KnownError with the nearest name where there is none."""
    found = BY_KEY.get(key)
    if found is not None and found.renamed_to:
        found = BY_KEY[found.renamed_to]
    if found is None or (scope is not None and found.scope != scope):
        keys = [s.key for s in SETTINGS if scope in (None, s.scope)]
        nearest = difflib.get_close_matches(key, keys, 1, 0)
        raise KnownError(
            tr("There is no setting “{key}”.", key=key),
            fix=tr("Did you mean “{nearest}”?", nearest=nearest[0]),
        )
    return found


def user_settings_path() -> Path:
    """The user's settings file; the environment's ERRORMAP_STUDIO_CONFIG names another folder."""
    folder = os.environ.get("ERRORMAP_STUDIO_CONFIG") or platformdirs.user_config_dir("errormap-studio")
    return Path(folder) / "settings.json"


class UserSettings:
    """The user's settings, kept in a JSON file. A bad value stays in the file, is named in
    `problems`, and the default is used."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or user_settings_path()
        self.problems: list[KnownError] = []
        self._values: dict[str, Any] = {}
        try:
            loaded = json.loads(self.path.read_text(encoding="utf-8"))
            if not isinstance(loaded, dict):
                raise ValueError("not an object")
            self._values = loaded
        except FileNotFoundError:
            pass  # a first start
        except (OSError, ValueError) as error:
            self.problems.append(
                KnownError(
                    tr("Your settings could not be read ({reason}).", reason=error),
                    where=str(self.path),
                    fix=tr("Defaults are used; mend or delete the file."),
                )
            )
        for key in self._values:
            try:
                setting(key, "user").check(self._values[key])
            except KnownError as error:
                error.where = f"{self.path}, {key}"
                self.problems.append(error)

    def __getitem__(self, key: str) -> Any:
        known = setting(key, "user")
        if known.key not in self._values:
            return known.default
        try:
            return known.check(self._values[known.key])
        except KnownError:  # named in `problems` when the file was read
            return known.default

    def trying(self, values: Mapping[str, Any]) -> "UserSettings":
        """These settings with some values in their place, which are kept nowhere as long as nothing else is set."""
        other = copy.copy(self)
        other._values = self._values | {
            setting(key, "user").key: setting(key, "user").check(value) for key, value in values.items()
        }
        return other

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def update(self, values: Mapping[str, Any]) -> None:
        """Set several and save once. Raises KnownError where they cannot be saved; they hold for this process then."""
        checked = {setting(key, "user").key: setting(key, "user").check(value) for key, value in values.items()}
        self._values.update(checked)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            target = Path(os.path.realpath(self.path))  # a link to a file kept elsewhere stays
            new = target.with_suffix(".new")
            new.write_text(json.dumps(self._values, indent=1, ensure_ascii=False), encoding="utf-8")
            if target.exists():
                shutil.copymode(target, new)
            new.replace(target)
        except OSError as error:
            raise KnownError(
                tr("Your settings could not be saved ({reason}).", reason=error.strerror),
                where=str(self.path),
                fix=tr("{fix} ERRORMAP_STUDIO_CONFIG can name another folder.", fix=trouble.known(error).fix),
            ) from error
