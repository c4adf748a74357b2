"""What reads the archives of a database, put together."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from alert_history.domain.archived_days import ARCHIVES, ArchivedDays, archived_days
from alert_history.ports import ArchivedRecords, ArchivedSearch, StoredSettings
from alert_history.storage.archived.doubles import Doubles
from alert_history.storage.archived.duck import Duck
from alert_history.storage.archived.files import ArchiveFiles
from alert_history.storage.archived.records import DuckArchivedRecords
from alert_history.storage.archived.search import DuckArchivedSearch


class Archived(NamedTuple):
    """Both ports; they take turns at one reader."""

    search: ArchivedSearch
    records: ArchivedRecords


def archived(settings: StoredSettings) -> Archived:
    """What reads the archives that a database notes. Nothing is opened before the first question."""

    async def noted() -> Sequence[ArchivedDays]:
        return archived_days(await settings.read(ARCHIVES))

    files, duck = ArchiveFiles(noted, os.environ), Duck()
    return Archived(DuckArchivedSearch(files, duck, Doubles(files, duck)), DuckArchivedRecords(files, duck))
