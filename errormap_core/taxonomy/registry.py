"""What an operation is, and the table of all kinds. Kinds are stored in files, so they never change."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar

from errormap_core.errors import KnownError
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.draft import Draft


class Operation(Protocol):
    """The only way anything that people decide changes: a frozen value that plans row edits.

    Its fields are the arguments that the log keeps, so each is something that JSON can hold.
    `plan` raises KnownError where the operation is not possible and returns what it did, in the past
    tense: 'Merged 3 categories, 212 failures moved'.

    A kind may have `ADDED`: for each version, the arguments that steps of before lack, and what stands for them.
    """

    kind: ClassVar[str]
    version: ClassVar[int]

    def plan(self, draft: Draft) -> Sentence: ...


OPERATIONS: dict[str, type[Any]] = {}

_T = TypeVar("_T", bound=type[Any])


def operation(cls: _T) -> _T:
    """Enter an operation's class into OPERATIONS by its kind."""
    if cls.kind in OPERATIONS:
        raise ValueError(f"two operations of the kind {cls.kind}")
    OPERATIONS[cls.kind] = cls
    return cls


def arguments_of(op: Operation) -> dict[str, Any]:
    """The operation's arguments as JSON can hold them."""
    arguments: dict[str, Any] = _plain(op)
    return arguments


@functools.cache
def _fields(cls: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


def _plain(value: Any) -> Any:
    """Dataclasses as dictionaries, at any depth: what dataclasses.asdict gives, without copying what cannot change."""
    cls = type(value)
    if dataclasses.is_dataclass(cls):
        return {name: _plain(getattr(value, name)) for name in _fields(cls)}
    if isinstance(value, list | tuple):
        return cls(_plain(each) for each in value)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def operation_from(kind: str, version: int, arguments: Mapping[str, Any]) -> Operation:
    """The operation of a log entry. Raises KnownError for a kind or version that this program lacks."""
    cls = OPERATIONS.get(kind)
    if cls is None or version > cls.version:
        raise KnownError(
            tr("This project holds a step of a kind that this version does not know ({kind}).", kind=kind),
            fix=tr("Open it with a newer version of ErrorMap Studio."),
        )
    for since, added in getattr(cls, "ADDED", {}).items():
        if version < since:
            arguments = {**added, **arguments}
    build = getattr(cls, "from_arguments", None)
    try:
        made: Operation = build(arguments) if build is not None else cls(**tuples(arguments))
    except (TypeError, KeyError) as error:
        raise KnownError(
            tr("A step of the kind {kind} has arguments that make no step ({reason}).", kind=kind, reason=error),
            fix=tr("The log is damaged. “errormap-studio restore PROJECT” lists the backups of a project."),
        ) from error
    return made


def tuples(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as operations hold them: JSON has lists where they have tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
