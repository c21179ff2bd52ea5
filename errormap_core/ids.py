"""Ids: random for what people make, derived from the content for what machines make (design: Foundation 5)."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

NAMESPACE = uuid.UUID("6f1d2c1e-52c8-5e0b-9d1c-7a3f0e6b9a10")


def new_id() -> str:
    """A random UUID, for what people make."""
    return str(uuid.uuid4())


def content_id(kind: str, *content: Any) -> str:
    """UUIDv5 of `content` (anything JSON can hold): the same content has the same id everywhere."""
    text = json.dumps([kind, *content], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return str(uuid.uuid5(NAMESPACE, text))


def now() -> str:
    """The time as UTC ISO 8601 with milliseconds, as every table holds it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
