"""A project: one open file, the one way to change what people decide, and who is told of it.

One connection writes; a second, read-only one is for painting. Writes open with BEGIN IMMEDIATE and
commit all or nothing. A change is announced once, after its commit, to every listener; what another
process wrote is announced in the same way by `poll`.
"""

import contextlib
import ctypes
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlite_utils import Database

import errormap_core
from errormap_core import trouble
from errormap_core.errors import KnownError
from errormap_core.ids import new_id, now
from errormap_core.output_paths import rename_new
from errormap_core.project import checkpointing, counting, damage, files, log, looking, watching
from errormap_core.project.backup_folder import way_back
from errormap_core.project.facts import ProjectFacts
from errormap_core.project.previewing import preview_on
from errormap_core.project.rows import write_edits
from errormap_core.project.schema import APPLICATION_ID
from errormap_core.project.watching import CutOff
from errormap_core.sentences import Sentence, tr
from errormap_core.taxonomy.draft import Draft, Effect
from errormap_core.taxonomy.edits import AnyEdit, Change, Edit, MachineChange, inverse_of, pack, unpack
from errormap_core.taxonomy.operations import Operation, arguments_of
from errormap_core.taxonomy.soundness import refuse_unsound
from errormap_core.taxonomy.tree import Category, Tree

Listener = Callable[[Change | MachineChange], None]

UNDO = "undo"
"""Kind of the log entries that take back another; redo is an undo of an undo."""

_WATERMARKS = """SELECT
    (SELECT max(rowid) FROM record), (SELECT max(rowid) FROM analysis),
    (SELECT max(id) FROM judge_error), (SELECT max(rowid) FROM proposal),
    (SELECT group_concat(status || coalesce(finished_at, '')) FROM run)"""
_WATCHED = ("record", "analysis", "judge_error", "proposal", "run")


def is_empty(path: Path) -> bool:
    """Whether a project holds neither records nor steps."""
    with Project.open(path) as project:
        sql = "SELECT NOT EXISTS (SELECT 1 FROM record) AND NOT EXISTS (SELECT 1 FROM log)"
        return bool(project.db.execute(sql).fetchone()[0])


class Project:
    """An open project file. Not to be shared between threads that write."""

    def __init__(self, path: Path, *, read_only: bool, busy_ms: int = files.BUSY_MS) -> None:
        self.path = path
        self.read_only = read_only
        self.left_in_two: KnownError | None = None
        self._is_closed = False
        try:
            watching.refuse_abandoned(path)
            self.watch = watching.FileWatch(path)
        except OSError as error:  # it went since it was looked at
            raise trouble.known(error, where=str(path)) from error
        self.checkpoints = checkpointing.Checkpointer(self.watch)
        self.db: Database = files.connect(path, read_only=read_only, busy_ms=busy_ms)
        try:
            self.backup = files.migrate(self.db, path, read_only=read_only)
            self.reader: Database = files.connect(path, read_only=True, busy_ms=busy_ms)
            try:
                with files.told(path):
                    self.copy_id = str(self._meta("copy_id"))
                    self._remember_content()
                    self._load()
                self._refuse_cut_off()
            except BaseException:
                self.reader.close()
                raise
        except BaseException:
            self.db.close()
            raise
        self._listeners: list[Listener] = []

    @classmethod
    def create(cls, path: Path, *, title: str = "") -> "Project":
        """Make a new project. Raises KnownError where there is something at `path` already."""
        path = Path(path)
        files.check_new(path)
        new = path.with_name(path.name + f".new-{new_id()[:8]}")
        try:
            db = files.connect(new, read_only=False, makes=True)
            try:
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")
                files.migrate(db, new, read_only=False)
                with files.told(path):
                    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    for key, value in {
                        "copy_id": new_id(),
                        "created_at": now(),
                        "made_by": f"ErrorMap Studio {errormap_core.__version__}",
                    }.items():
                        db.table("meta").insert({"key": key, "value": value})
                    for key, value in {"atlas.id": new_id(), "atlas.title": title or path.stem}.items():
                        db.table("choice").insert({"key": key, "value": json.dumps(value, ensure_ascii=False)})
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                db.close()
            rename_new(new, path)
        finally:
            for rest in (new, Path(f"{new}-wal"), Path(f"{new}-shm")):
                rest.unlink(missing_ok=True)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, busy_ms: int = files.BUSY_MS) -> "Project":
        """Open a project; an older one is brought up to date after a backup copy (`backup` names it).

        Raises KnownError for what is no project, a newer one, and what cannot be read or written; Locked where another
        program holds its lock, then and in every step, for longer than `busy_ms`.
        """
        path = Path(path)
        files.check_file(path, busy_ms=min(busy_ms, looking.BUSY_MS))
        return cls(path, read_only=read_only, busy_ms=busy_ms)

    @property
    def is_damaged(self) -> bool:
        """Whether damage was found in the file: nothing is written to it then."""
        return damage.known(self.path) is not None

    def close(self) -> None:
        """Close the file; `left_in_two` says afterwards where its log could not be brought into it."""
        if self._is_closed:
            return
        self._is_closed = True
        self._listeners.clear()
        self.checkpoints.close()
        lost = self.watch.peek()
        if lost is not None and self.watch.is_in_place():
            # SQLite would write what it holds over a file that others have written since. It goes with the process.
            self.watch.abandon()
            for connection in (self.reader.conn, self.db.conn):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
            return
        self.reader.close()
        if lost is None and not self.read_only:  # SQLite does the same on closing, but keeps to itself what went wrong
            self.left_in_two = checkpointing.bring_in_all(self.db.conn, self.path)
        self.db.close()

    def __enter__(self) -> "Project":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Writing

    @contextlib.contextmanager
    def writing(self) -> Iterator[Database]:
        """A transaction: all of it or nothing. Raises KnownError where the file cannot be written.

        Raises CutOff, after the commit too, where the file was moved, deleted or replaced.
        """
        with self._transaction() as db:
            yield db
        if (lost := self.watch.peek()) is not None:
            raise lost.after_commit()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Database]:
        if self.read_only:
            raise KnownError(
                tr("The project is open for reading only."),
                where=str(self.path),
                fix=tr("Close the window that edits it, or work on a copy."),
            )
        self._refuse_cut_off()
        damage.refuse(self.path)
        with files.told(self.path):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                self.db.execute("COMMIT")
                self.checkpoints.notice()
            finally:
                if self.db.conn.in_transaction:
                    self.db.execute("ROLLBACK")

    @contextlib.contextmanager
    def reading(self) -> Iterator[Database]:
        """Reads that belong together: all see the file as it was at the first, whoever writes meanwhile."""
        with files.told(self.path):
            if self.db.conn.in_transaction:
                yield self.db
                return
            self.db.execute("BEGIN")
            try:
                self._announce(self._catch_up())
                yield self.db
            finally:
                self.db.execute("ROLLBACK")

    def setting(self, key: str) -> Any:
        """Value of a setting of the project."""
        return counting.chosen(self.db, key)

    def annotator(self, name: str, *, initials: str = "", annotator_id: str | None = None) -> str:
        """Source id of a person: the one with this id, else the one with this name, else a new one."""
        where, value = ("id", annotator_id) if annotator_id else ("name", name)
        sql = f"SELECT id, name, initials FROM source WHERE kind = 'annotator' AND {where} = ? ORDER BY rowid"
        row = self.db.execute(sql, [value]).fetchone()
        if row is not None and (not annotator_id or (row[1], row[2]) == (name, initials) or self.read_only):
            return str(row[0])
        key = annotator_id or new_id()
        initials = initials or "".join(word[0] for word in name.split()).upper()
        with self.writing() as db:
            db.execute(
                """INSERT INTO source (id, kind, name, initials, created_at) VALUES (?, 'annotator', ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET name = excluded.name, initials = excluded.initials""",
                [key, name, initials, now()],
            )
        return key

    def machine(self, name: str) -> str:
        """Source id of a machine that acts, such as an importer."""
        sql = "SELECT id FROM source WHERE kind = 'machine' AND name = ?"
        row = self.db.execute(sql, [name]).fetchone()
        if row is not None:
            return str(row[0])
        key = new_id()
        with self.writing() as db:
            db.table("source").insert({"id": key, "kind": "machine", "name": name, "created_at": now()})
        return key

    # Operations

    def apply(
        self, op: Operation, *, actor: str, reason: str = "", group: str | None = None, at: str | None = None
    ) -> Change:
        """Take a step: plan it, write its edits and its log entry in one transaction, announce it.

        `at` is the time that the log shows; a replay gives that of the original step. Raises KnownError
        where the operation is not possible; nothing is changed then.
        """
        with self._stepping() as others:
            at = at or now()
            facts = ProjectFacts(self.db)
            resolved = getattr(op, "resolved", None)
            op = op if resolved is None else resolved(facts, self.tree)
            draft = Draft(facts, self.tree, actor=actor, at=at)
            summary = op.plan(draft)
            change = self._write(
                kind=op.kind,
                version=op.version,
                arguments=arguments_of(op),
                edits=tuple(draft.edits),
                summary=summary,
                actor=actor,
                at=at,
                reason=reason,
                group_id=group,
                proposal_id=getattr(op, "answered", None),
            )
        self._finish([*others, change])
        return change

    def preview(self, op: Operation, *, actor: str) -> Effect:
        """What the operation would touch; nothing is written. Raises KnownError where it is not possible."""
        with files.told(self.path):
            return preview_on(self.db, self.tree, op, actor=actor)

    def undo(self, *, actor: str) -> Change | None:
        """Take back the last step, with all of its group; None where there is none."""
        return self._step_back(self._stacks.undoable, tr("Undid"), actor=actor)

    def redo(self, *, actor: str) -> Change | None:
        """Take again what was last undone; None where there is nothing."""
        return self._step_back(self._stacks.redoable, tr("Redid"), actor=actor)

    def undo_entry(self, entry_id: str, *, actor: str, at: str | None = None) -> Change:
        """Take back one step of the log, whichever; of an undo, that is a redo.

        Raises KnownError where later steps built on it.
        """
        if not self.can_be_taken_back(entry_id):
            raise KnownError(
                tr("This step was undone already, or is how the project was handed over."),
                fix=tr("Choose another in the history."),
            )
        did = tr("Redid") if entry_id in self._stacks.redoable else tr("Undid")
        with self._stepping() as others:
            change = self._invert(entry_id, did, actor=actor, group_id=None, at=at)
        self._finish([*others, change])
        return change

    def hand_over(self) -> None:
        """Let what was done so far be what the project begins with: undo does not reach behind it."""
        with self._stepping() as others:
            seq = log.last_seq(self.db)
            self.db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", [log.FLOOR, str(seq)])
        self._stacks = log.stacks(self.db)
        self._finish(others)

    def can_be_taken_back(self, entry_id: str) -> bool:
        """Whether a step of the log, or the undoing of one, can be taken back: it still stands, and not behind the floor."""
        return entry_id in self._stacks.undoable or entry_id in self._stacks.redoable

    def undoable(self) -> Sentence | None:
        """What undo would take back."""
        return self._summary(self._stacks.undoable)

    def redoable(self) -> Sentence | None:
        """What redo would take again."""
        return self._summary(self._stacks.redoable)

    # Being told

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every change from now on; what is returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def poll(self) -> None:
        """Announce what other connections wrote since; costs almost nothing where that is nothing."""
        if self.db.conn.in_transaction:
            return
        self._refuse_cut_off()
        with files.told(self.path):
            before = self._data_version
            self._announce(self._catch_up())
            if self._data_version != before and not self.read_only:
                self.checkpoints.notice()  # whoever wrote it may have died

    # Inside

    @property
    def cut_off(self) -> CutOff | None:
        """What became of the file, where it was moved, deleted or replaced; found by every write and poll."""
        return self.watch.lost

    def _refuse_cut_off(self) -> None:
        if (lost := self.watch.look()) is not None:
            raise lost

    def _finish(self, changes: list[Any]) -> None:
        """Announce what was committed, then raise where the file was lost meanwhile: only this connection holds it."""
        self._announce(changes)
        if (lost := self.watch.peek()) is not None:
            raise lost.after_commit()

    def _meta(self, key: str) -> Any:
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()
        if row is None:
            raise KnownError(
                tr("The project says nothing of itself ({key}).", key=key),
                where=str(self.path),
                fix=way_back(self.path),
            )
        return row[0]

    def _remember_content(self) -> None:
        """Tell the watch where the file has the project's id."""
        found = self.db.execute("SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = 'meta'").fetchone()
        (page_size,) = self.db.execute("PRAGMA page_size").fetchone()
        if found is not None:
            self.watch.remember(copy_id=self.copy_id, page=found[0], page_size=page_size)

    def _load(self) -> None:
        self._data_version = self._version()
        self.tree = Tree(Category.from_row(row) for row in self.db.query("SELECT * FROM category"))
        self._stacks = log.stacks(self.db)
        self._seq: int = log.last_seq(self.db)
        self._marks = self.db.execute(_WATERMARKS).fetchone()

    def _version(self) -> int:
        return int(self.db.execute("PRAGMA data_version").fetchone()[0])

    def _catch_up(self) -> list[Change | MachineChange]:
        """Follow what other connections committed; called before planning, inside the transaction too."""
        version = self._version()
        if version == self._data_version:
            return []
        self._data_version = version
        found: list[Change | MachineChange] = list(log.changes_after(self.db, self._seq))
        for change in found:
            if isinstance(change, Change):
                self._follow(change)
        marks = self.db.execute(_WATERMARKS).fetchone()
        moved = frozenset(t for t, old, new in zip(_WATCHED, self._marks, marks, strict=True) if old != new)
        self._marks = marks
        if moved:
            found.append(MachineChange(moved))
        return found

    def _follow(self, change: Change) -> None:
        self._seq = change.seq
        self._stacks.follow(change.entry_id, change.undo_of)
        for edit in change.edits:
            if isinstance(edit, Edit) and edit.table == "category":
                if edit.after is None:
                    self.tree.drop(edit.key)
                else:
                    self.tree.put(Category.from_row(edit.after))

    @contextlib.contextmanager
    def _stepping(self) -> Iterator[list[Change | MachineChange]]:
        """A transaction in which steps are taken; what goes wrong leaves the tree as the file has it."""
        others: list[Change | MachineChange] = []
        before = self._seq
        try:
            with self._transaction():
                others.extend(self._catch_up())
                before = self._seq
                yield others
        except BaseException:
            if others or self._seq != before:
                self._load()
            self._announce(others)  # they stand, whatever came of ours
            raise

    def _write(self, *, edits: tuple[AnyEdit, ...], summary: Sentence, **entry: Any) -> Change:
        head = self.db.execute("SELECT id FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        row = {
            "id": new_id(),
            **entry,
            "arguments": json.dumps(entry["arguments"], ensure_ascii=False),
            "edits": pack(edits),
            "summary": json.dumps(summary.to_json(), ensure_ascii=False),
            "copy_id": self.copy_id,
            "counter": log.next_counter(self.db),
            "follows": json.dumps([] if head is None else [head[0]]),
        }
        names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
        cursor = self.db.execute(f"INSERT INTO log ({names}) VALUES ({places})", row)
        assert cursor.lastrowid is not None
        write_edits(self.db, edits, entry={"undo_of": None, **row, "seq": cursor.lastrowid})
        change = Change(
            seq=cursor.lastrowid,
            entry_id=row["id"],
            kind=entry["kind"],
            edits=edits,
            summary=summary,
            actor=entry["actor"],
            at=entry["at"],
            undo_of=entry.get("undo_of"),
            group_id=entry.get("group_id"),
        )
        self._follow(change)
        return change

    def _step_back(self, stack: list[str], did: Sentence, *, actor: str) -> Change | None:
        with self._stepping() as others:
            changes: list[Change] = []
            group = log.group_of(self.db, stack[-1]) if stack else None
            new_group = None if group is None else new_id()
            while stack and (not changes or (group is not None and log.group_of(self.db, stack[-1]) == group)):
                changes.append(self._invert(stack[-1], did, actor=actor, group_id=new_group))
        self._finish([*others, *changes])
        return changes[-1] if changes else None

    def _invert(
        self, entry_id: str, did: Sentence, *, actor: str, group_id: str | None, at: str | None = None
    ) -> Change:
        entry = log.entry(self.db, entry_id)
        assert entry is not None
        said = Sentence.from_json(
            json.loads(log.first_taken(self.db, entry_id))
        )  # the step that was first taken says it
        edits = inverse_of(unpack(entry["edits"]))
        refuse_unsound(self.tree, edits, assignment_ids=ProjectFacts(self.db).assignment_ids)
        return self._write(
            kind=UNDO,
            version=1,
            arguments={"entry_id": entry_id},
            edits=edits,
            summary=tr("{did}: {said}", did=did, said=said),
            actor=actor,
            at=at or now(),
            undo_of=entry_id,
            group_id=group_id,
        )

    def _summary(self, stack: list[str]) -> Sentence | None:
        return Sentence.from_json(json.loads(log.first_taken(self.db, stack[-1]))) if stack else None

    def _announce(self, changes: list[Any]) -> None:
        for change in changes:
            for listener in tuple(self._listeners):
                listener(change)
