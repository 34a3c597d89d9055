"""Capture exceptions, in an `except` block and by a decorator: `python examples/client_capture.py URL TOKEN`."""

import sys

from m10actors.client import RecoveryClient


def main(url: str, token: str) -> None:
    client = RecoveryClient(url, token, source="shop")

    try:
        {"eur": 1.0}["usd"]
    except KeyError as error:
        client.capture(error, meta={"order": 17})

    @client.captures
    def charge(order: int) -> None:
        raise TimeoutError(f"no payment for order {order} within 30 s")

    for order in (18, 19):
        try:
            charge(order)
        except TimeoutError:
            print(f"order {order} waits")

    print("all stored:", client.flush())
    print(client.stats)


if __name__ == "__main__":
    main(*sys.argv[1:])
