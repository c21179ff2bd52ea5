"""A command that runs: its arguments, the user's settings, how it tells of itself, and the project that it works on."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errormap_core.errors import KnownError
from errormap_core.people import actor_in
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
        path = Path(self.args.project)
        made = create and not path.exists()
        opened = Project.create(path) if made else Project.open(path, read_only=read_only)
        if opened.backup is not None:
            self.reporter.warn(tr("Brought up to date; the file as it was is kept as {backup}.", backup=opened.backup))
        try:
            with opened as project:
                yield project
        except (KnownError, OSError, UnicodeError):
            if made and is_empty(path):
                path.unlink()
            raise

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
