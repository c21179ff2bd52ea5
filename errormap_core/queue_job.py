"""The job that keeps the queue's next questions: once, or for as long as a window is open."""

import time
from typing import Any

from errormap_core.jobs import Outcome
from errormap_core.project.lease import project_lease
from errormap_core.project.store import Project
from errormap_core.proposals.certainty import certainty_explained, certainty_sentence
from errormap_core.reporting import Reporter
from errormap_core.sentences import tr
from errormap_core.settings import UserSettings
from errormap_core.taxonomy.edits import Change

LOOK_EVERY_S = 0.2
REST_S = 10.0
"""While machines write, as a judge does all the time, questions are chosen anew at most so often; after a step at once."""

BEAT_EVERY_S = 60.0


def queue_job(
    project: Project, reporter: Reporter, *, settings: UserSettings, limit: int | None = None, watch: bool = False
) -> Outcome:
    """Keep the next `limit` questions; with `watch` again whenever the project changes, until told to stop.

    Raises KnownError where the encoder cannot work, or another process keeps them.
    """
    from errormap_core.embedding.encoder import SentenceEncoder
    from errormap_core.proposals.queueing import Queue
    from errormap_core.proposals.worklist import AHEAD

    n = AHEAD if limit is None else limit
    encoder = SentenceEncoder(settings["embedding.model"] or None)
    with project_lease(project, "queue", purpose=tr("Choosing questions")) as lease:
        queue = Queue(project, encoder, cancelled=reporter.cancelled)
        result: dict[str, Any] = reporter.drive(queue.refresh(n=n))
        changes: list[object] = []
        project.subscribe(changes.append)
        beaten = refreshed = time.monotonic()
        while watch and not reporter.cancelled():
            time.sleep(LOOK_EVERY_S)
            if time.monotonic() - beaten > BEAT_EVERY_S:
                lease.beat()
                beaten = refreshed = time.monotonic()
            project.poll()
            asked = any(isinstance(change, Change) for change in changes)
            if asked or (changes and time.monotonic() - refreshed > REST_S):
                changes.clear()
                result = reporter.drive(queue.refresh(n=n))
                changes.clear()  # its own
                refreshed = time.monotonic()
    for question in result["questions"]:
        reporter.say(f"{question['id']}  {question['why']}")
    if (sure := result["certainty"]) is not None:
        reporter.say(tr("{said}.", said=certainty_sentence(sure)))
        reporter.say(certainty_explained(sure))
    return Outcome(result, stopped=False)
