"""The rival of `tests/load/rival` as a function: what it opens is opened once, while it starts, and kept."""

import asyncio

from app import app
from mangum import Mangum

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
opened = app.router.lifespan_context(app)
loop.run_until_complete(opened.__aenter__())
handler = Mangum(app, lifespan="off")
