"""What people call a record: its dataset, example and model."""

from sqlite_utils import Database

from errormap_core.sentences import Sentence, tr


def label_of(db: Database, record_id: str) -> tuple[str, str, str]:
    """Dataset, example and model of a record, for sentences."""
    row = db.execute("SELECT dataset, example_id, model FROM record WHERE id = ?", [record_id]).fetchone()
    return str(row[0]), str(row[1]), str(row[2])


def record_name(db: Database, record_id: str) -> Sentence:
    """A record as people know it: 'gsm8k 1004 of davinci'."""
    dataset, example, model = label_of(db, record_id)
    return tr("{dataset} {example} of {model}", dataset=dataset, example=example, model=model)
