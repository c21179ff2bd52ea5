"""The tables of a project file, as sqlite-utils migrations.

Two kinds of rows (design: Foundation 1). What machines make is append-only: source, run, dataset,
model, record, analysis (by a run), judge_error, embedding, proposal, proposal_member, run_proposal.
What people decide changes only by operations: category, assignment, decision, record_mark,
record_note, chosen_threshold, choice, analysis (by an annotator). `failure`, `row_step` and
`assignment.counted` are derived from both (project/counting.py) and can be made again at any time.

A migration is never changed once it has been in a release; a new one is added below the last.
"""

from sqlite_utils import Database, Migrations

from errormap_core.ids import content_id

APPLICATION_ID = 0x45525241  # "ERRA", in the file's header: what `file` and the opener look at

OTHER_ID = content_id("category", "other")
HARD_ID = content_id("category", "hard_to_analyze")

migrations = Migrations("errormap_studio")


@migrations()
def v001_first(db: Database) -> None:
    for statement in _V001:
        db.execute(statement)
    add_reserved(db)


OWED = "derived_rows_owed"
"""Key of the table meta: a migration emptied what is derived, and it has not been made again yet (counting.pay_owed)."""


def owe_derived(db: Database) -> None:
    """Have what is derived made again behind the migrations, by the rules of then: those of now may be for other tables."""
    db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, '1')", [OWED])


def add_reserved(db: Database) -> None:
    """The two categories that every project has, as they are when it is made."""
    for position, (key, reserved, name, description) in enumerate(_RESERVED):
        row = {"id": key, "reserved": reserved, "name": name, "description": description}
        db.table("category").insert({**row, "position": 1e6 + position, "provenance": "{}"})


_RESERVED = (
    (OTHER_ID, "other", "Other", "Failures that fit into no category of this taxonomy."),
    (HARD_ID, "hard", "Hard to Analyze", "Failures of which neither judge nor person can tell what went wrong."),
)


@migrations()
def v002_notes_and_leases(db: Database) -> None:
    """Notes on records, and who holds the file or a run in it."""
    db.execute(
        """CREATE TABLE record_note (
        record_id TEXT PRIMARY KEY REFERENCES record(id), text TEXT NOT NULL) STRICT"""
    )
    db.execute(
        """CREATE TABLE lease (
        name TEXT PRIMARY KEY, holder TEXT NOT NULL, pid INTEGER NOT NULL, pid_started REAL NOT NULL,
        host TEXT NOT NULL, purpose TEXT NOT NULL, acquired_at TEXT NOT NULL,
        heartbeat_at TEXT NOT NULL) STRICT"""
    )


@migrations()
def v003_more_verdicts(db: Database) -> None:
    """Decisions may also be 'unsure' or a 'flag', and keep what they changed of the proposal (`details`)."""
    db.execute(
        """CREATE TABLE decision_new (
        proposal_id TEXT PRIMARY KEY REFERENCES proposal(id),
        verdict TEXT NOT NULL CHECK (verdict IN ('accept', 'edit', 'reject', 'skip', 'unsure', 'flag')),
        source_id TEXT NOT NULL REFERENCES source(id), category_id TEXT REFERENCES category(id),
        is_bulk INTEGER NOT NULL CHECK (is_bulk IN (0, 1)), decided_at TEXT NOT NULL,
        details TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(details))) STRICT"""
    )
    columns = "proposal_id, verdict, source_id, category_id, is_bulk, decided_at"
    db.execute(f"INSERT INTO decision_new ({columns}) SELECT {columns} FROM decision")
    db.execute("DROP TABLE decision")
    db.execute("ALTER TABLE decision_new RENAME TO decision")
    db.execute("CREATE INDEX decision_category ON decision(category_id)")


@migrations()
def v004_how_places_came(db: Database) -> None:
    """How a failure got its place and who diagnosed it, and 'placed' as a state of its own."""
    db.execute("DROP TABLE failure")
    db.execute(
        """CREATE TABLE failure (
        record_id TEXT PRIMARY KEY REFERENCES record(id), dataset TEXT NOT NULL, model TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('not_sampled', 'waiting', 'engine_failed', 'no_error',
            'placed', 'analysed', 'excluded', 'disputed')),
        analysis_id TEXT REFERENCES analysis(id) DEFERRABLE INITIALLY DEFERRED,
        placed_by TEXT CHECK (placed_by IN ('person', 'person_bulk', 'proposal', 'machine')),
        diagnosed_by TEXT CHECK (diagnosed_by IN ('judge', 'person', 'imported')),
        looked_at INTEGER NOT NULL DEFAULT 0 CHECK (looked_at IN (0, 1))) STRICT, WITHOUT ROWID"""
    )
    db.execute("CREATE INDEX failure_state ON failure(state, dataset, model)")
    db.execute("CREATE INDEX failure_how ON failure(state, placed_by, diagnosed_by, looked_at)")
    # Derived: which steps of the log decided a row of `of_table`, and how (project/row_steps.py).
    db.execute(
        """CREATE TABLE row_step (
        of_table TEXT NOT NULL, key ANY NOT NULL, seq INTEGER NOT NULL, how TEXT NOT NULL,
        PRIMARY KEY (of_table, key, seq)) STRICT, WITHOUT ROWID"""
    )
    db.execute("CREATE INDEX row_step_seq ON row_step(seq)")
    owe_derived(db)


_V001 = (
    # About this file: copy_id, created_at, made_by.
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    # Who or what says things: annotators, runs, importers and other machines.
    """CREATE TABLE source (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('annotator', 'run', 'consensus', 'machine')),
        name TEXT NOT NULL, initials TEXT NOT NULL DEFAULT '', created_at TEXT NOT NULL) STRICT""",
    """CREATE TABLE run (
        id TEXT PRIMARY KEY REFERENCES source(id),
        kind TEXT NOT NULL CHECK (kind IN ('import', 'judge', 'propose')),
        parameters TEXT NOT NULL CHECK (json_valid(parameters)),
        status TEXT NOT NULL CHECK (status IN ('running', 'stopped', 'finished', 'failed')),
        started_at TEXT NOT NULL, finished_at TEXT,
        result TEXT CHECK (result IS NULL OR json_valid(result))) STRICT""",
    """CREATE TABLE dataset (
        name TEXT PRIMARY KEY, metric TEXT NOT NULL DEFAULT 'score',
        direction TEXT NOT NULL DEFAULT 'higher' CHECK (direction IN ('higher', 'lower')),
        default_threshold REAL NOT NULL) STRICT""",
    "CREATE TABLE model (name TEXT PRIMARY KEY) STRICT",
    # id: UUIDv5 of (dataset, model, example_id, attempt); content_hash tells another content.
    """CREATE TABLE record (
        id TEXT PRIMARY KEY,
        dataset TEXT NOT NULL REFERENCES dataset(name), model TEXT NOT NULL REFERENCES model(name),
        example_id TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 1, score REAL NOT NULL,
        content_hash TEXT NOT NULL, import_run TEXT NOT NULL REFERENCES run(id),
        source_file TEXT NOT NULL, source_line INTEGER NOT NULL,
        input_text TEXT NOT NULL, output_text TEXT NOT NULL,
        messages TEXT CHECK (messages IS NULL OR json_valid(messages)), correct_answer TEXT,
        metrics TEXT NOT NULL CHECK (json_valid(metrics)),
        extra TEXT NOT NULL CHECK (json_valid(extra))) STRICT""",
    "CREATE UNIQUE INDEX record_key ON record(dataset, example_id, model, attempt)",
    # One analysis of one content of a record by one source.
    """CREATE TABLE analysis (
        id TEXT PRIMARY KEY, record_id TEXT NOT NULL REFERENCES record(id),
        source_id TEXT NOT NULL REFERENCES source(id), record_hash TEXT NOT NULL,
        verdict TEXT NOT NULL CHECK (verdict IN ('error', 'no_error', 'unclear')),
        required_criteria TEXT NOT NULL CHECK (json_valid(required_criteria)),
        error_title TEXT NOT NULL, error_summary TEXT NOT NULL,
        details TEXT NOT NULL CHECK (json_valid(details)), created_at TEXT NOT NULL,
        UNIQUE (record_id, source_id, record_hash)) STRICT""",
    """CREATE TABLE judge_error (
        id INTEGER PRIMARY KEY, record_id TEXT NOT NULL REFERENCES record(id),
        run_id TEXT NOT NULL REFERENCES run(id), record_hash TEXT NOT NULL,
        code TEXT NOT NULL, reason TEXT NOT NULL, created_at TEXT NOT NULL) STRICT""",
    "CREATE INDEX judge_error_record ON judge_error(record_id)",
    """CREATE TABLE embedding (
        text_hash TEXT NOT NULL, model TEXT NOT NULL, vector BLOB NOT NULL,
        PRIMARY KEY (text_hash, model)) STRICT, WITHOUT ROWID""",
    # id: UUIDv5 of kind, categories and member set, so that a rejected one is known again.
    """CREATE TABLE proposal (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL,
        arguments TEXT NOT NULL CHECK (json_valid(arguments)),
        evidence TEXT NOT NULL CHECK (json_valid(evidence)),
        score REAL NOT NULL, created_at TEXT NOT NULL) STRICT""",
    """CREATE TABLE proposal_member (
        proposal_id TEXT NOT NULL REFERENCES proposal(id), position INTEGER NOT NULL,
        record_id TEXT NOT NULL REFERENCES record(id), confidence REAL,
        PRIMARY KEY (proposal_id, position)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX proposal_member_record ON proposal_member(record_id)",
    # Which run proposed it, below which other proposal, in which order.
    """CREATE TABLE run_proposal (
        run_id TEXT NOT NULL REFERENCES run(id), proposal_id TEXT NOT NULL REFERENCES proposal(id),
        parent_id TEXT REFERENCES proposal(id), position INTEGER NOT NULL,
        PRIMARY KEY (run_id, proposal_id)) STRICT, WITHOUT ROWID""",
    # A category that was merged or deleted stays as a redirect: retired, and where it went.
    """CREATE TABLE category (
        id TEXT PRIMARY KEY, parent_id TEXT REFERENCES category(id),
        position REAL NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL DEFAULT '',
        notes TEXT NOT NULL DEFAULT '', reserved TEXT CHECK (reserved IN ('other', 'hard')),
        aliases TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(aliases)),
        retired TEXT CHECK (retired IN ('merged', 'deleted')),
        redirect_to TEXT REFERENCES category(id),
        provenance TEXT NOT NULL CHECK (json_valid(provenance)),
        imported TEXT CHECK (imported IS NULL OR json_valid(imported)),
        CHECK ((retired IS NULL) = (redirect_to IS NULL))) STRICT""",
    "CREATE INDEX category_parent ON category(parent_id)",
    "CREATE INDEX category_redirect ON category(redirect_to)",
    """CREATE TABLE assignment (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        record_id TEXT NOT NULL REFERENCES record(id), source_id TEXT NOT NULL REFERENCES source(id),
        category_id TEXT NOT NULL REFERENCES category(id),
        is_primary INTEGER NOT NULL CHECK (is_primary IN (0, 1)), confidence REAL,
        counted INTEGER NOT NULL DEFAULT 0 CHECK (counted IN (0, 1))) STRICT""",
    "CREATE INDEX assignment_record ON assignment(record_id, source_id)",
    "CREATE UNIQUE INDEX assignment_primary ON assignment(record_id, source_id) WHERE is_primary = 1",
    "CREATE INDEX assignment_category ON assignment(category_id, counted)",
    """CREATE TABLE decision (
        proposal_id TEXT PRIMARY KEY REFERENCES proposal(id),
        verdict TEXT NOT NULL CHECK (verdict IN ('accept', 'edit', 'reject', 'skip')),
        source_id TEXT NOT NULL REFERENCES source(id), category_id TEXT REFERENCES category(id),
        is_bulk INTEGER NOT NULL CHECK (is_bulk IN (0, 1)), decided_at TEXT NOT NULL) STRICT""",
    "CREATE INDEX decision_category ON decision(category_id)",
    """CREATE TABLE record_mark (
        record_id TEXT PRIMARY KEY REFERENCES record(id),
        mark TEXT NOT NULL CHECK (mark IN ('excluded', 'disputed')),
        reason TEXT NOT NULL DEFAULT '') STRICT""",
    "CREATE TABLE chosen_threshold (dataset TEXT PRIMARY KEY REFERENCES dataset(name), threshold REAL NOT NULL) STRICT",
    "CREATE TABLE choice (key TEXT PRIMARY KEY, value TEXT NOT NULL CHECK (json_valid(value))) STRICT",
    # Derived: one row a failure (a record under its dataset's threshold).
    """CREATE TABLE failure (
        record_id TEXT PRIMARY KEY REFERENCES record(id), dataset TEXT NOT NULL, model TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('not_sampled', 'waiting', 'engine_failed', 'no_error',
            'analysed', 'excluded', 'disputed')),
        analysis_id TEXT REFERENCES analysis(id) DEFERRABLE INITIALLY DEFERRED) STRICT, WITHOUT ROWID""",
    "CREATE INDEX failure_state ON failure(state, dataset, model)",
    # Every step that people took. edits: zlib-compressed JSON (taxonomy/edits.py).
    """CREATE TABLE log (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL, version INTEGER NOT NULL,
        arguments TEXT NOT NULL CHECK (json_valid(arguments)), edits BLOB NOT NULL,
        summary TEXT NOT NULL CHECK (json_valid(summary)),
        actor TEXT NOT NULL REFERENCES source(id), copy_id TEXT NOT NULL, counter INTEGER NOT NULL,
        follows TEXT NOT NULL CHECK (json_valid(follows)), at TEXT NOT NULL,
        undo_of TEXT REFERENCES log(id), group_id TEXT, proposal_id TEXT REFERENCES proposal(id),
        reason TEXT NOT NULL DEFAULT '') STRICT""",
    "CREATE INDEX log_undo_of ON log(undo_of)",
)
