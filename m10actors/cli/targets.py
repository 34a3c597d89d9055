"""Where failures go: to an instance over HTTP, or straight into PostgreSQL. Both store a batch whole and once per key."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeAlias

import urllib3
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_before_delay, wait_random_exponential

from m10actors import logs
from m10actors.application.parts import Parts
from m10actors.cli.errors import CommandError, Unreachable, WrongUsage
from m10actors.config import Loaded
from m10actors.config.addresses import check_http_url
from m10actors.ingest import Receipt
from m10actors.instance import new_worker_id
from m10actors.lines import Reported
from m10actors.postgres.errors import StoreRefused, StoreUnavailable
from m10actors.postgres.pool import reachable
