"""Report failures from an event loop: `python examples/client_async.py http://127.0.0.1:8710 TOKEN`."""

import asyncio
import sys

from m10actors.client import AsyncRecoveryClient, ClientError


async def main(url: str, token: str) -> None:
    async with AsyncRecoveryClient(url, token, source="shop") as client:
        first, second = await asyncio.gather(
            client.ingest(error_type="TIMEOUT", raw="payments did not answer within 30 s"),
            client.ingest(error_type="DNS_EAI_NONAME", raw="payments.internal has no address"),
        )
        print(f"{first.status}: candidate {first.candidate_id}")
        print(f"{second.status}: candidate {second.candidate_id}")

        @client.captures
        async def charge(order: int) -> None:
            raise ConnectionRefusedError(f"no payment for order {order}")

        results = await asyncio.gather(charge(1), charge(2), return_exceptions=True)
        print(f"raised {len(results)}, all stored: {await client.flush()}")


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except ClientError as error:
        sys.exit(str(error))
