"""A command that runs: its arguments, the user's settings, how it tells of itself, and the project that it works on."""

import argparse
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.people import actor_in
from errormap_core.project import backups, files, health
from errormap_core.project.backup_folder import way_back
from errormap_core.project.copying import rescued
from errormap_core.project.store import Project, is_empty
from errormap_core.reporting import Reporter
from errormap_core.sentences import tr
from errormap_core.settings import UserSettings, setting


@dataclass(slots=True)
class Invocation:
    """A command with its arguments, the user's settings, and how to tell of it."""

    args: argparse.Namespace
    settings: UserSettings
    reporter: Reporter

    @contextmanager
    def project(self, *, create: bool = False, read_only: bool = False) -> Iterator[Project]:
        """The project that the command is about. Who writes is refused a damaged file, and leaves a backup once a day."""
        path = Path(self.args.project)
        made = create and not path.exists()
        with _damage_told(path):
            if not made and not read_only:
                files.check_file(path)
                health.refuse_damaged(path)
            opened = Project.create(path) if made else Project.open(path, read_only=read_only)
            if made:
                health.made_sound(path)
            if opened.backup is not None:
                self.reporter.warn(
                    tr("Brought up to date; the file as it was is kept as {backup}.", backup=opened.backup)
                )
            try:
                with opened as project, rescued(project) if self.args.command != "queue" else nullcontext():
                    yield project  # questions are chosen anew: no copy is kept for them
                if opened.left_in_two is not None:  # the job is done all the same
                    self.reporter.warn(opened.left_in_two)
            except (KnownError, OSError, UnicodeError):
                if made and opened.cut_off is None and is_empty(path):
                    path.unlink()
                raise
            finally:
                if not read_only and opened.cut_off is None:
                    health.vouch(path)
        if not read_only and opened.cut_off is None:
            self._back_up(path)

    def _back_up(self, path: Path) -> None:
        """The daily backup, after the work; of a job of the window the window makes it. What stops it is told, and stops
        nothing else."""
        keep, megabytes = self.settings["backups.keep"], self.settings["backups.megabytes"]
        if self.reporter.progress == "json" or keep < 1 or self.reporter.cancelled() or not backups.is_due(path):
            return
        try:
            backups.back_up(path, keep=keep, most_bytes=megabytes * 1_000_000, cancelled=self.reporter.cancelled)
        except health.LookStopped:
            pass  # the next command makes it
        except KnownError as error:
            self.reporter.warn(error)

    def actor(self, project: Project) -> str:
        return actor_in(
            project,
            self.settings,
            name=getattr(self.args, "as_name", None),
            annotator_id=getattr(self.args, "as_id", None),
        )

    def chosen(self, scope: str | None = "project") -> dict[str, Any]:
        """Settings of the project, or with None of any scope, that the arguments give."""
        values: dict[str, Any] = {}
        given = {
            "sampling.ratio": "ratio",
            "sampling.seed": "seed",
            "models.analysed": "models",
            "judge.context": "context",
            "classify.method": "method",
        }
        for key, argument in given.items():
            if getattr(self.args, argument, None) is not None:
                values[key] = getattr(self.args, argument)
        for text in getattr(self.args, "set", None) or ():
            key, sign, value = text.partition("=")
            if not sign:
                raise KnownError(
                    tr("“{text}” gives a setting no value.", text=text), where="--set", fix=tr("Write KEY=VALUE.")
                )
            known = setting(key.strip(), scope)
            if known.kind == "json":
                raise KnownError(
                    tr("{key} cannot be set by hand.", key=known.key), where="--set", fix=tr("Another command does.")
                )
            values[known.key] = known.check(value.strip())
        return values

    def tried(self) -> tuple[UserSettings, dict[str, Any]]:
        """The user's settings and those of the project that the arguments give, for this call alone."""
        values = self.chosen(None)
        yours = {key: value for key, value in values.items() if setting(key).scope == "user"}
        return self.settings.trying(yours), {key: value for key, value in values.items() if key not in yours}


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Tell what a damaged file makes of any command as a sentence; what has another reason goes its way."""
    try:
        with files.told(path):
            yield
    except (KnownError, OSError):  # the latter of another file: nothing is read here but by SQLite
        raise
    except Exception as error:
        wrong = health.what_is_wrong(path)
        if wrong is not None:
            raise wrong from error
        if isinstance(error, sqlite3.DatabaseError | zlib.error | json.JSONDecodeError):
            raise KnownError(
                tr("The project holds something that cannot be read ({reason}).", reason=error),
                where=str(path),
                fix=way_back(path),
            ) from error
        raise
