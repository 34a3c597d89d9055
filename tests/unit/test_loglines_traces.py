"""A stack trace of a log is one failure with all of its lines, whatever the language that printed it."""

import io
import json
from typing import Any

import pytest

from m10actors.lines import OneTimeKeys, Reported, read
from m10actors.loglines.failure_lines import MAX_JOINED_BYTES
from m10actors.loglines.journal import JournalLines
from m10actors.loglines.reader import LogLines

INFO = "2024-01-01 12:00:00,000 INFO [main] x.Y: fine\n"
ERROR = "2024-01-01 12:00:01,000 ERROR [main] x.Y: it broke\n"
PYTHON = 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    f()\napp.Refused: no\n'
GO = """\
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x6656e0]

goroutine 7 [running]:
github.com/acme/shop/cart.(*Cart).Total(0x4584c5?, {0x9bd960?, 0x2f})
	/build/cart/cart.go:7
main.main.func3()
	/build/main.go:16 +0x5c
created by main.main in goroutine 1
	/build/main.go:16 +0x27b

goroutine 1 gp=0x2064 m=0 mp=0xa24d [sync.WaitGroup.Wait]:
main.main()
	/build/main.go:17 +0x2a1
"""
GO_FATAL = """\
fatal error: concurrent map writes

goroutine 7 [running]:
internal/runtime/maps.fatal({0x6d51a2?, 0x0?})
	/usr/local/go/src/runtime/panic.go:1195 +0x18
main.fill(...)
	/build/main.go:18 +0x28
...additional frames elided...
created by main.main in goroutine 1
	/build/main.go:18 +0x554
"""
GO_HTTP = """\
2026/11/22 06:14:00 http: panic serving 10.0.0.7:37844: no cart
goroutine 22 [running]:
net/http.(*conn).serve.func1()
	/usr/local/go/src/net/http/server.go:1959 +0xbb
panic({0x98ebd8?, 0x6ef470?})
	/usr/local/go/src/runtime/panic.go:859 +0x125
main.handle({0x6357e9?, 0x10?}, 0x99f310?)
	/build/main.go:21 +0x25
"""
RUBY = """\
cart.rb:7:in `rescue in load': no cart of /no/such (OutOfStock)
	from cart.rb:4:in `load'
	from cart.rb:15:in `<main>'
cart.rb:5:in `read': No such file or directory @ rb_sysopen - /no/such (Errno::ENOENT)
	from cart.rb:5:in `load'
	from cart.rb:15:in `<main>'
"""
RUBY_HIGHLIGHTED = """\
/srv/shop/cart.rb:3:in 'block in Shop::Cart#total': undefined method 'price' for nil (NoMethodError)

    items.sum { |item| item.price }
                           ^^^^^^
Did you mean?  prices
	from /srv/shop/cart.rb:3:in 'Array#sum'
	from /srv/shop/cart.rb:9:in '<main>'
"""
RUBY_WORDLESS = "cart.rb:11:in `empty': OutOfStock\n\tfrom cart.rb:18:in `<main>'\n"
RUBY_THREAD = """\
#<Thread:0x00007fb53bbe0a80 cart.rb:21 run> terminated with exception (report_on_exception is true):
cart.rb:21:in `block in start': in thread (ArgumentError)
cart.rb:21:in `block in start': in thread (ArgumentError)
"""
RUST = """\
thread 'main' (3347) panicked at src/cart.rs:12:9:
index out of bounds: the len is 3 but the index is 8
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/59807616/library/std/src/panicking.rs:689:5
   1: core::panicking::panic_bounds_check
             at /rustc/59807616/library/core/src/panicking.rs:271:5
   2: shop::cart::total
             at ./src/cart.rs:12:9
  33:     0x55aa4a1cfb0a - std[e28293b1aa0f68bd]::panic::catch_unwind::<isize>
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
"""
RUST_BRIEF = """\
thread '<unnamed>' panicked at src/cart.rs:12:9:
assertion `left == right` failed: sizes
  left: 2
 right: 5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""
RUST_BEFORE_1_73 = """\
thread 'main' panicked at 'no cart of order 5', src/cart.rs:12:9
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
"""
RUST_LEVELLED = (
    "thread 'main' panicked at src/main.rs:3:5:\nERROR: cannot open the cart\nstack backtrace:\n   0: shop::main\n"
)
RUST_OVERFLOW = "thread 'worker' (9) has overflowed its stack\nfatal runtime error: stack overflow, aborting\n"
PHP = """\
[22-Nov-2026 06:12:45 UTC] PHP Fatal error:  Uncaught Shop\\OutOfStock: order 5

is gone in /srv/shop/cart.php:5
Stack trace:
#0 /srv/shop/cart.php(5): Shop\\Cart->close(-1)
#1 [internal function]: Shop\\Error::{closure}(1)
#2 {main}

Next LogicException: cannot load in /srv/shop/cart.php:6
Stack trace:
#0 /srv/shop/cart.php(11): Shop\\Error::load('x')
#1 {main}
  thrown in /srv/shop/cart.php on line 6
"""
PHP_BOTH = """\
PHP Fatal error:  Uncaught TypeError: bad order in /srv/shop/cart.php:5
Stack trace:
#0 {main}
  thrown in /srv/shop/cart.php on line 5

Fatal error: Uncaught TypeError: bad order in /srv/shop/cart.php:5
Stack trace:
#0 {main}
  thrown in /srv/shop/cart.php on line 5
"""
PHP_SHOWN = PHP_BOTH.partition("\n\n")[2]
TRACES = {
    "Python": PYTHON,
    "Go": GO,
    "Go, fatal error": GO_FATAL,
    "Go, HTTP server": GO_HTTP,
    "Ruby": RUBY,
    "Ruby, highlighted": RUBY_HIGHLIGHTED,
    "Ruby, without a message": RUBY_WORDLESS,
    "Ruby, thread": RUBY_THREAD,
    "Rust": RUST,
    "Rust, without a backtrace": RUST_BRIEF,
    "Rust before 1.73": RUST_BEFORE_1_73,
    "Rust, a message with a level": RUST_LEVELLED,
    "Rust, overflow": RUST_OVERFLOW,
    "PHP": PHP,
    "PHP, logged and shown": PHP_BOTH,
    "PHP, shown": PHP_SHOWN,
}


def failures_of(log: str) -> list[Reported]:
    found = list(read(io.BytesIO(log.encode()), LogLines("file"), OneTimeKeys()))
    return [line for line in found if isinstance(line, Reported)]


def meta(line: Reported) -> dict[str, Any]:
    found = line.failure.payload["meta"]
    assert isinstance(found, dict)
    return found


every_trace = pytest.mark.parametrize("trace", TRACES.values(), ids=list(TRACES))


@every_trace
@pytest.mark.parametrize("before", ["", INFO * 3, "started\n" * 3], ids=["alone", "below a level", "below prose"])
def test_a_trace_that_a_runtime_prints_is_one_failure_with_all_of_its_lines(trace: str, before: str) -> None:
    (line,) = failures_of(before + trace + INFO)
    assert line.lines == len(trace.splitlines())
    told = f"{line.raw.decode()}\n{meta(line)['stack']}"
    assert told.splitlines()[-1] == trace.splitlines()[-1]
    assert [text for text in trace.splitlines() if text not in told] == []


@pytest.mark.parametrize("trace", [PYTHON, GO_FATAL, RUBY, RUBY_HIGHLIGHTED, RUST, RUST_BRIEF, RUST_LEVELLED])
@pytest.mark.parametrize(
    "header",
    [ERROR, "2024-01-01T12:00:00.000Z ERROR 12345 --- [    main] c.e.Foo     : it broke\n", "ERROR:it broke\n"],
    ids=["log4j", "Spring", "Python"],
)
def test_a_trace_below_a_failure_that_was_logged_belongs_to_it(trace: str, header: str) -> None:
    first, second = failures_of(header + trace + ERROR)
    assert (first.failure.error_message, first.lines) == ("it broke", 1 + len(trace.splitlines()))
    assert meta(first)["stack"] == trace.rstrip()
    assert second.lines == 1


@pytest.mark.parametrize(
    ("trace", "code", "message", "cause"),
    [
        (
            GO,
            "UNKNOWN",
            "panic: runtime error: invalid memory address or nil pointer dereference",
            None,
        ),
        (GO_FATAL, "UNKNOWN", "fatal error: concurrent map writes", None),
        (RUBY, "OutOfStock", "cart.rb:7:in `rescue in load': no cart of /no/such (OutOfStock)", "Errno::ENOENT"),
        (RUBY_WORDLESS, "OutOfStock", "cart.rb:11:in `empty': OutOfStock", None),
        (RUBY_THREAD, "ArgumentError", "cart.rb:21:in `block in start': in thread (ArgumentError)", None),
        (RUST, "UNKNOWN", "index out of bounds: the len is 3 but the index is 8", None),
        (RUST_BEFORE_1_73, "UNKNOWN", "no cart of order 5", None),
        (RUST_LEVELLED, "UNKNOWN", "ERROR: cannot open the cart", None),
        (RUST_OVERFLOW, "UNKNOWN", "fatal runtime error: stack overflow, aborting", None),
        (
            RUST_BRIEF.replace("assertion", "called on an `Err` value: ParseIntError { kind: InvalidDigit }"),
            "ParseIntError",
            "called on an `Err` value: ParseIntError { kind: InvalidDigit } `left == right` failed: sizes",
            None,
        ),
        (PHP, "LogicException", "LogicException: cannot load in /srv/shop/cart.php:6", "Shop\\OutOfStock"),
        (PHP_BOTH, "TypeError", "TypeError: bad order in /srv/shop/cart.php:5", None),
    ],
)
def test_the_exception_that_left_the_program_names_the_failure(
    trace: str, code: str, message: str, cause: str | None
) -> None:
    (line,) = failures_of(INFO + trace)
    assert (line.failure.error_code, line.failure.error_message) == (code, message)
    assert meta(line).get("root_cause") == cause


@every_trace
def test_what_a_runtime_reports_again_is_another_failure(trace: str) -> None:
    assert [line.lines for line in failures_of(trace * 3)] == [len(trace.splitlines())] * 3


def test_reports_of_several_threads_are_as_many_failures() -> None:
    other = RUST_BRIEF.replace("'<unnamed>'", "'worker-2'")
    assert len(failures_of(RUST_BRIEF + "\n" + other + "\n" + RUST_OVERFLOW)) == 3


def test_what_ruby_s_logger_prints_below_a_message_belongs_to_it() -> None:
    head = "E, [2026-11-22T06:18:32.954101 #24713] ERROR -- : no price (RuntimeError)\n"
    (line,) = failures_of(head + "log.rb:4:in `f'\n/srv/log.rb:7:in `<main>'\n" + INFO)
    assert (line.lines, line.failure.error_code) == (3, "RuntimeError")


def test_the_cause_of_an_error_of_rust_belongs_to_it() -> None:
    printed = "Error: cannot load\n\nCaused by:\n    0: no file\n\nStack backtrace:\n   0: shop::load\n"
    assert [line.lines for line in failures_of(printed + INFO)] == [7]


@pytest.mark.parametrize(
    "prose",
    [
        "goroutines are leaking",
        "closed the cart (again)",
        "see cart.close(order) for more",
        "created by an operator",
        "#12 0.345 npm failed",
        "#5 worker started",
        "Next Step: restart",
        "Next: restart in /srv/shop:5",
        "thread 'main' started",
        "the thread panicked at noon",
        "reading cart.rb:3:in time",
        "note: nothing to do",
        "signal received",
    ],
)
def test_prose_that_looks_like_a_trace_ends_the_failure(prose: str) -> None:
    (line,) = failures_of(ERROR + prose + "\n" + INFO * 20)
    assert line.lines == 1


def test_a_message_of_php_without_an_end_takes_few_lines() -> None:
    (line,) = failures_of("PHP Fatal error:  Uncaught Shop\\Gone: cut off\n" + "prose\n" * 100 + INFO * 20)
    assert line.lines == 21


def test_an_entry_with_a_time_is_never_a_message_of_a_panic() -> None:
    first, second = failures_of("thread 'main' panicked at src/main.rs:3:5:\n" + ERROR)
    assert (first.failure.error_message, second.failure.error_message) == (
        "thread 'main' panicked at src/main.rs:3:5:",
        "it broke",
    )


def test_a_flood_of_goroutines_is_one_bounded_failure() -> None:
    worker = GO.partition("\n\n")[2]
    (line,) = failures_of(INFO + GO + worker.replace("Total", "Error") * 500 + INFO)
    assert len(meta(line)["stack"].encode()) <= MAX_JOINED_BYTES


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        (RUST, "index out of bounds: the len is 3 but the index is 8"),
        (PHP.partition("] ")[2], "LogicException: cannot load in /srv/shop/cart.php:6"),
    ],
    ids=["Rust", "PHP"],
)
def test_a_trace_in_an_entry_of_the_journal_names_the_failure_too(trace: str, message: str) -> None:
    entry = json.dumps({"PRIORITY": "3", "MESSAGE": trace, "__CURSOR": "s=1"})
    (line,) = read(io.BytesIO(entry.encode()), JournalLines("journal"), OneTimeKeys())
    assert isinstance(line, Reported)
    assert line.failure.error_message == message
    assert meta(line)["stack"] == trace.rstrip()


@pytest.mark.parametrize(
    ("text", "level", "message"),
    [
        ("PHP Warning:  Undefined array key in /a.php on line 4", "WARNING", "Undefined array key in /a.php on line 4"),
        ("[22-Nov-2026 06:12:45 UTC] PHP Parse error:  unexpected token", "ERROR", "unexpected token"),
        ("Jun 14 15:16:01 web php[9]: PHP Fatal error:  Allowed memory size", "FATAL", "Allowed memory size"),
    ],
)
def test_a_line_of_php_s_error_log_has_the_level_that_php_gives_it(text: str, level: str, message: str) -> None:
    (line,) = failures_of(text + "\n")
    assert (meta(line)["level"], line.failure.error_message) == (level, message)
    assert failures_of("PHP Deprecated:  an error of style\n") == []
