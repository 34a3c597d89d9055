"""`m10 status` and `m10 tree`: what a running instance says about itself."""

from m10actors.cli import operations, output, views
from m10actors.cli.flags import ConfigOption, JsonOption
from m10actors.cli.options import DataDirOption, InstanceOption, TokenFileOption, TokenOption
from m10actors.cli.reaching import UrlOption, reach


def status(
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """A running instance at one look: its stores, its leader, what waits and how long, what is paused or does not run.

    Without --url it is the one of --data-dir, of the run folder in the configuration, of the nearest .m10, or of the
    run folder of this user.
    """
    address, secret = reach(url, data_dir, instance, token, token_file, config_file)
    answer = operations.ask(address, "/ops/status", secret)
    if as_json:
        output.document(answer)
    else:
        output.table(views.GLANCE, views.glance(answer))


def tree(
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    instance: InstanceOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The supervision tree of a running instance: each child, what it does or is parked on, its restarts, its last end.

    `silent` is the time since it last showed progress.
    """
    address, secret = reach(url, data_dir, instance, token, token_file, config_file)
    answer = operations.ask(address, "/ops/tree", secret)
    if as_json:
        output.document(answer)
    else:
        output.table(views.CHILDREN, views.children(answer))
