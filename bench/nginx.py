"""nginx as a receiver and wrk as a client that cost next to nothing (Debian has packages of those names)."""

import re
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok"; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Driven:
    """What wrk did: requests a second, and seconds of its own CPU for each."""

    rate: float
    cpu_seconds: float


def program(name: str) -> str | None:
    """Where it lies; an ordinary user's PATH does not lead to all of them."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """Answers every request with 200; its URL."""
    folder.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = folder / "nginx.conf"
    file.write_text(_CONFIGURATION.format(folder=folder, port=port))
    process = subprocess.Popen([program("nginx") or "nginx", "-p", str(folder), "-c", str(file)])
    try:
        _until_it_listens(process, port)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(30)


def wrk(folder: Path, url: str, headers: Mapping[str, str], body: bytes, *, connections: int, seconds: int) -> Driven:
    """The same POST again and again over so many connections, by one thread."""
    script = folder / "post.lua"
    lines = ['wrk.method = "POST"', f"wrk.body = {_lua(body.decode())}"]
    lines += [f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in headers.items()]
    script.write_text("\n".join(lines))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [program("wrk") or "wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", str(script), url]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if "Non-2xx" in ran.stdout or "Socket errors" in ran.stdout:
        raise RuntimeError(f"wrk was not answered as it should be:\n{ran.stdout}")
    requests = int(_found(r"(\d+) requests in", ran.stdout))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Driven(float(_found(r"Requests/sec:\s*([\d.]+)", ran.stdout)), cpu / requests)


def _lua(text: str) -> str:
    """A long string of Lua, whose brackets close nowhere within it."""
    level = "=" * next(n for n in range(len(text) + 1) if f"]{'=' * n}]" not in text + "]")
    return f"[{level}[{text}]{level}]"


def _found(pattern: str, text: str) -> str:
    if (found := re.search(pattern, text)) is None:
        raise RuntimeError(f"wrk said something else than expected:\n{text}")
    return found[1]


def _until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError(f"nginx ended with {process.returncode}")
