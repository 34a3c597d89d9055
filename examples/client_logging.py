"""Report what a program logs as an error: `python examples/client_logging.py http://127.0.0.1:8710 TOKEN`."""

import logging
import sys

from m10actors.client import RecoveryClient, RecoveryHandler


def main(url: str, token: str) -> None:
    client = RecoveryClient(url, token, source="shop")
    logging.basicConfig(level=logging.INFO)
    logging.getLogger().addHandler(RecoveryHandler(client, level=logging.ERROR))

    log = logging.getLogger("shop.payments")
    log.info("not reported")
    log.error("HTTP 503 from %s", "payments")
    try:
        (17).to_bytes(0, "big")
    except OverflowError:
        log.exception("order %d cannot be stored", 17)

    print("all stored:", client.flush())
    print(client.stats)


if __name__ == "__main__":
    main(*sys.argv[1:])
