"""A receiver of recovery events: `uvicorn receiver_fastapi:app --port 9000`.

It takes deliveries of the destination whose `url` is http://this-host:9000/recovery and whose `secrets` hold the secret
in RECOVERY_SECRET.
"""

import os

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from m10actors.receiver import Delivery, Receiver, SqliteStore

app = FastAPI()
receiver = Receiver(
    [os.environ["RECOVERY_SECRET"]], SqliteStore(os.environ.get("RECOVERY_STORE", "recovery-events.db"))
)


def carry_out(delivery: Delivery) -> None:
    """Called once for each event; whatever it raises makes m10 send it again later."""
    event = delivery.json()
    print(f"{event['action']} for {event['failure']['code']}", flush=True)


@app.post("/recovery")
async def recovery(request: Request) -> Response:
    answer = await run_in_threadpool(receiver.take, request.headers, await request.body(), carry_out)
    return Response(answer.body, answer.status)
