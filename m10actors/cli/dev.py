"""`m10 dev`: everything on this machine, to try it: embedded servers, a receiver that prints, the sample fed once."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from m10actors import logs
from m10actors.application import Application
from m10actors.cli.config import ConfigOption, SetOption, assignments_of
from m10actors.cli.local import Local
from m10actors.cli.process import Life, leave, run_until_asked, start
from m10actors.cli.sample import feed_sample
from m10actors.testing.receiver import Request

log = logs.logger(__name__)

OPS = "http.ops_listen"

DataDirOption = Annotated[
    Path, typer.Option("--data-dir", metavar="DIR", help="Where servers, sockets, token and run folder lie.")
]


def dev(
    file: ConfigOption = None,
    assignments: SetOption = None,
    data_dir: DataDirOption = Path(".m10"),
    empty: Annotated[bool, typer.Option("--empty", help="Does not feed the sample.")] = False,
) -> None:
    """Runs the engine with embedded servers in a data folder, which keeps its data. Ends on SIGTERM or Ctrl-C.

    Its servers win over the configuration. Actions go to its receiver, by themselves where they may, unless the
    configuration says otherwise.
    """
    life = Life()
    with life.signals(), Local(data_dir, on_delivery=_print_delivery) as local:
        loaded = local.load(file, assignments_of(assignments))
        if loaded.is_default(OPS):
            loaded = local.load(file, {OPS: ["unix:", "127.0.0.1:8711"]} | assignments_of(assignments))
        logs.setup(loaded.settings.process.log_level, loaded.settings.process.log_format)
        application = Application(loaded, movable={OPS})
        start(application, life)
        if not life.is_ending:
            _welcome(application, local)
            if not empty:
                feed_sample(application.parts.ingest)
        code = run_until_asked(application, life)
    leave(code)


def _welcome(application: Application, local: Local) -> None:
    """Where to look, and two lines to try."""
    api = application.api_url
    token = local.data_dir / "token"
    local.token()
    body = '{"failure_payload": {"error_type": "TIMEOUT", "raw": "upstream did not answer within 30 s"}}'
    command = f'curl -sS {api}/api/v1/recovery/ingest -H "Authorization: Bearer $(cat {shlex.quote(str(token))})"'
    data_dir = shlex.quote(str(local.data_dir))
    line = '{"error_type": "DISK_FULL", "raw": "no space left on device"}'
    lines = [
        f"m10 is ready    {api}/readyz   {api}/metrics   {api}/openapi.json",
        f"                m10 status --data-dir {data_dir}      m10 tree --data-dir {data_dir}",
        f"data folder     {local.data_dir.absolute()}",
        f"receiver        {local.receiver.url} prints each delivery below",
        "try             " + command + " -H 'Content-Type: application/json' -d " + shlex.quote(body),
        f"                echo {shlex.quote(line)} | m10 ingest - --data-dir {data_dir}",
    ]
    typer.echo("\n".join(lines))


def _print_delivery(request: Request, times: int) -> None:
    event = json.loads(request.body)
    again = "" if times == 1 else f"  (attempt {times})"
    code = logs.escape(event["failure"]["code"])
    typer.echo(f"delivered       {event['action']} for {code}, candidate {event['candidate_id']}{again}")
