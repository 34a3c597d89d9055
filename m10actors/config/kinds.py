"""The kinds of values that settings have, and the base of every section."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, SecretStr

from m10actors import logs
from m10actors.config import durations
from m10actors.config.addresses import (
    HTTP_FORM,
    POSTGRES_FORM,
    REDIS_FORM,
    TcpAddress,
    UnixAddress,
    check_http_url,
    check_postgres_url,
    check_redis_url,
    listen_address,
    tcp_address,
)


class Section(BaseModel):
    """A table of the file. The sentence under each field is its line in the reference."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )


@dataclass(frozen=True, slots=True)
class Env:
    """The environment name of a key; `unit` is what a bare number there means (ms, s or d)."""

    name: str
    unit: Literal["", "ms", "s", "d"] = ""


@dataclass(frozen=True, slots=True)
class Says:
    """What a value must be, in words, where the type does not say it."""

    text: str


class Secret(SecretStr):
    """A text that prints as ***."""

    def _display(self) -> str:
        return "***"


class SecretUrl(SecretStr):
    """An address that prints without its password."""

    def _display(self) -> str:
        return logs.redact(self.get_secret_value())


class SecretHttpUrl(SecretStr):
    """An address whose path and query may be a credential: prints its scheme and host."""

    def _display(self) -> str:
        scheme, separator, rest = self.get_secret_value().partition("://")
        host = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
        return f"{scheme}://{host}/***" if separator else "***"


@dataclass(frozen=True, slots=True)
class Beside:
    """A path that the file of the configuration gives is relative to that file."""


T = TypeVar("T")


def freeze(table: Mapping[str, T]) -> Mapping[str, T]:
    """A read-only copy."""
    return MappingProxyType(dict(table))


def empty() -> Mapping[str, T]:
    """The default of a table of tables."""
    return MappingProxyType({})


def frozen_json(value: JsonValue) -> object:
    """A JSON value that nobody can change."""
    match value:
        case dict():
            return MappingProxyType({key: frozen_json(item) for key, item in value.items()})
        case list():
            return tuple(frozen_json(item) for item in value)
        case float() if not math.isfinite(value):
            raise ValueError("a table of JSON values, which have no infinity")
        case _:
            return value


def plain_json(value: object) -> object:
    """A frozen JSON value as dicts and lists."""
    match value:
        case Mapping():
            return {key: plain_json(item) for key, item in value.items()}
        case tuple() | list():
            return [plain_json(item) for item in value]
        case _:
            return value


def _duration(value: object) -> timedelta:
    match value:
        case timedelta():
            return value
        case str():
            return durations.duration(value)
        case _:
            raise ValueError(f"{durations.EXPECTED}, as a text")


def _path(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str) and value and "\0" not in value else value


def _tcp_address(value: object) -> object:
    return tcp_address(value) if isinstance(value, str) else value


def _listen_address(value: object) -> object:
    return listen_address(value) if isinstance(value, str) else value


def _postgres_url(value: SecretUrl) -> SecretUrl:
    check_postgres_url(value.get_secret_value())
    return value


def _redis_url(value: SecretUrl) -> SecretUrl:
    check_redis_url(value.get_secret_value())
    return value


def _http_url(value: str) -> str:
    check_http_url(value)
    return value


def _secret_http_url(value: SecretHttpUrl) -> SecretHttpUrl:
    check_http_url(value.get_secret_value())
    return value


def _list(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Count: TypeAlias = Annotated[int, Field(ge=1, le=10_000_000)]
Size: TypeAlias = Annotated[int, Field(ge=1, le=1 << 30)]
Fraction: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Duration: TypeAlias = Annotated[
    timedelta, BeforeValidator(_duration), Field(ge=timedelta(milliseconds=1), le=timedelta(days=3650))
]
Text: TypeAlias = Annotated[
    str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$"), Says("a text of 1 to 512 characters")
]
FilePath: TypeAlias = Annotated[Path, BeforeValidator(_path)]
Listen: TypeAlias = Annotated[TcpAddress, BeforeValidator(_tcp_address)]
OpsListen: TypeAlias = Annotated[TcpAddress | UnixAddress, BeforeValidator(_listen_address)]
PostgresUrl: TypeAlias = Annotated[SecretUrl, AfterValidator(_postgres_url), Says(POSTGRES_FORM)]
RedisUrl: TypeAlias = Annotated[SecretUrl, AfterValidator(_redis_url), Says(REDIS_FORM)]
HttpUrl: TypeAlias = Annotated[str, AfterValidator(_http_url), Says(HTTP_FORM)]
SecretHttp: TypeAlias = Annotated[SecretHttpUrl, AfterValidator(_secret_http_url), Says(HTTP_FORM)]
SecretText: TypeAlias = Annotated[Secret, Field(min_length=1)]
AsTuple = BeforeValidator(_list)
