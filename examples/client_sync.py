"""Report failures from a program with threads: `python examples/client_sync.py http://127.0.0.1:8710 TOKEN`."""

import sys

from m10actors.client import ClientError, RecoveryClient, Refused, Rejected, Stored, Unavailable


def main(url: str, token: str) -> None:
    with RecoveryClient(url, token, source="shop") as client:
        stored = client.ingest(error_type="TIMEOUT", raw="payments did not answer within 30 s", meta={"order": 17})
        print(f"{stored.status}: candidate {stored.candidate_id}, seen {stored.occurrence_count} times")

        batch = [{"error_type": "HTTP_503", "raw": f"upstream {number} is unavailable"} for number in range(3)]
        for outcome in client.ingest_many([*batch, {"raw": ""}]):
            match outcome:
                case Stored():
                    print(f"{outcome.status}: candidate {outcome.candidate_id}")
                case Rejected():
                    print("rejected:", *outcome.problems)

        try:
            client.ingest(error_type="TIMEOUT", raw="how long?", meta={"seconds": float("nan")})
        except Refused as refused:
            print("refused:", *refused.problems)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Unavailable as later:
        sys.exit(f"{later}; what is in `unsent` ({len(later.unsent)}) can be given to ingest_many once more")
    except ClientError as error:
        sys.exit(str(error))
