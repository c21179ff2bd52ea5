"""The commands that look for damage and lead back: check and its repair, backup, restore."""

from pathlib import Path

from errormap_core.errors import KnownError
from errormap_core.invocation import Invocation
from errormap_core.project import backup_folder, backups, files, health
from errormap_core.project.backup_folder import shown_size, shown_time
from errormap_core.project.check import check
from errormap_core.project.salvage import Salvage, repair
from errormap_core.project.store import Project
from errormap_core.sentences import Sentence, tr, trn

EXIT_DONE, EXIT_LOSSES = 0, 1


def check_job(call: Invocation) -> int:
    """Look a project over; a damaged one is known as such from then on."""
    if call.args.repair:
        return _repair(call)
    if call.args.copy is not None:
        raise KnownError(tr("--output is for --repair alone."), where="check", fix=tr("Leave it out, or add --repair."))
    path = Path(call.args.project)
    with call.project(read_only=True) as project:
        problems = check(project, replay=call.args.replay)
    damage = next((problem.damage for problem in problems if problem.damage), None)
    for problem in problems:
        call.reporter.say(problem.sentence)
    if damage is not None:
        health.note_damage(path, damage)
        call.reporter.warn(tr("Nothing is written to it any more. {fix}", fix=backup_folder.way_back(path)))
    if not problems:
        if health.known_damage(path) is not None:  # of an earlier look, which read the disk wrongly
            health.made_sound(path)
        call.reporter.say(tr("The project is sound."))
    call.reporter.result({"problems": [str(problem.sentence) for problem in problems]})
    return EXIT_LOSSES if problems else EXIT_DONE


def _repair(call: Invocation) -> int:
    """Make a repaired copy, and look that over."""
    path = Path(call.args.project)
    _refuse_missing(path)
    target = repaired_name(path) if call.args.copy is None else Path(call.args.copy)
    salvage = repair(path, target)
    with Project.open(target, read_only=True) as project:
        problems = [problem.sentence for problem in check(project, replay=salvage.is_whole)]
    health.made_sound(target)
    for sentence in (*told(salvage, target), *problems):
        call.reporter.say(sentence)
    call.reporter.result(
        {**salvage.to_json(), "path": str(target), "told": [str(s) for s in told(salvage, target)],
         "problems": [str(s) for s in problems]}
    )  # fmt: skip
    return EXIT_DONE if salvage.is_whole and not problems else EXIT_LOSSES


def told(salvage: Salvage, target: Path) -> list[Sentence]:
    """What came of a repair, as sentences."""
    lost = list(salvage.sentences())
    head = tr("The repaired copy is {path}. The damaged file is as it was.", path=target)
    return [head, *(lost or [tr("Nothing was lost.")])]


def repaired_name(path: Path) -> Path:
    """A name beside the project that nothing has."""
    target, n = path.with_name(f"{path.stem}.repaired.errormap"), 1
    while target.exists():
        n += 1
        target = path.with_name(f"{path.stem}.repaired-{n}.errormap")
    return target


def backup_job(call: Invocation) -> int:
    """Make a backup now, unless there is one of this very content."""
    path = Path(call.args.project)
    keep, megabytes = call.settings["backups.keep"], call.settings["backups.megabytes"]
    files.check_file(path)
    if keep < 1:
        raise KnownError(
            tr("Backups are switched off."), where="backups.keep", fix=tr("Set how many are kept, in the settings.")
        )
    made = backups.back_up(path, keep=keep, most_bytes=megabytes * 1_000_000, cancelled=call.reporter.cancelled)
    found = backup_folder.backups_of(path)
    if made is None:
        call.reporter.say(tr("The latest backup holds all of this: {path}", path=found[0].path))
    else:
        call.reporter.say(tr("Backed up to {path} ({size}).", path=made.path, size=shown_size(made.size)))
    _say_total(call)
    call.reporter.result({"made": None if made is None else made.to_json(), "total": backup_folder.total_size()})
    return EXIT_DONE


def restore_job(call: Invocation) -> int:
    """List the backups, or put one back."""
    path = Path(call.args.project)
    try:
        found = backups.found_for(path)
    except OSError as error:
        raise KnownError(
            tr("The folder of backups cannot be read ({reason}).", reason=error.strerror),
            where=str(backup_folder.backups_folder()),
            fix=tr("Check who may read it."),
        ) from error
    if call.args.wanted is not None:
        backup = backups.chosen(call.args.wanted, found)
        target = path if call.args.copy is None else Path(call.args.copy)
        kept = backups.restore(backup.path, target, replace=call.args.copy is None)
        call.reporter.say(tr("Restored the backup of {when} to {path}.", when=shown_time(backup.made_at), path=target))
        if kept is not None:
            call.reporter.say(tr("What was there is kept as {path}.", path=kept))
        call.reporter.result(
            {"restored": backup.to_json(), "path": str(target), "kept": None if kept is None else str(kept)}
        )
        return EXIT_DONE
    if call.args.copy is not None:
        raise KnownError(tr("Say which backup is restored."), where="restore", fix=tr("Add --backup latest."))
    for n, backup in enumerate(found, 1):
        call.reporter.say(f"{n:>3}  {shown_time(backup.made_at)}  {shown_size(backup.size):>10}  {backup.path}")
    if not found:
        call.reporter.say(tr("There is no backup of {path}.", path=path))
    _say_total(call)
    call.reporter.result(
        {"backups": [backup.to_json() for backup in found], "folder": str(backup_folder.backups_folder()),
         "total": backup_folder.total_size()}
    )  # fmt: skip
    return EXIT_DONE


def _say_total(call: Invocation) -> None:
    everything = backup_folder.all_backups()
    call.reporter.say(
        trn("{n:,} backup in all, {size}, in {folder}", "{n:,} backups in all, {size}, in {folder}", len(everything),
            size=shown_size(sum(backup.size for backup in everything)), folder=backup_folder.backups_folder())
    )  # fmt: skip


def _refuse_missing(path: Path) -> None:
    if not path.is_file():
        raise KnownError(tr("There is no such project."), where=str(path), fix=tr("Check the name."))
