"""A process that adds numbers up, seals blocks and counts anew without pause, to be killed: `python -m … URL`."""

import asyncio
import sys

from alert_history.errors import Busy
from alert_history.storage import open_store


async def add_up(url: str) -> None:
    """Until killed."""
    store = open_store(url)
    await store.lifecycle.open()
    print("ready", flush=True)
    while True:
        for _ in range(5):
            await store.rollups.fold()
            await store.rollups.seal()
            await asyncio.sleep(0)
        try:
            await store.rollups.count_anew(progress=lambda _: None)
        except Busy:
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(add_up(sys.argv[1]))
