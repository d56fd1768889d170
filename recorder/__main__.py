"""``python -m recorder``: the recorder process, with settings from the environment."""

from __future__ import annotations

import logging
import os
import signal
from types import FrameType

from models.collector import calm_collector
from models.store.database import Database
from recorder.service import RecorderService
from recorder.settings import RecorderSettings, from_environment
from rooms.service import RoomsService


def run(settings: RecorderSettings) -> None:
    """Run the recorder until SIGTERM or SIGINT. Must be called on the main thread."""
    db = Database(settings.db_url)
    rooms = RoomsService(db)
    service = RecorderService(settings, rooms, db)

    def end(_signal: int, _frame: FrameType | None) -> None:
        service.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    rooms.start()
    calm_collector()
    try:
        service.run()
    finally:
        rooms.close()
        db.close()


if __name__ == "__main__":
    logging.basicConfig(
        level=os.environ.get("SIDEROOM_LOG_LEVEL", "INFO"),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    run(from_environment())
