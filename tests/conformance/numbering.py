"""A process that numbers news without pause, to be killed: `python -m … URL`."""

import asyncio
import sys

from alert_history.storage import open_store


async def number(url: str) -> None:
    """Until killed."""
    store = open_store(url)
    await store.lifecycle.open()
    print("ready", flush=True)
    while True:
        await store.feed.number()
        await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(number(sys.argv[1]))
