"""Stack traces: the same bug folds whatever the host, the version and the day; two bugs in one function do not."""

import io

import pytest

from m10actors.client.seen import of_exception
from m10actors.lines import OneTimeKeys, Reported, read
from m10actors.loglines.reader import LogLines
from m10actors.recovery.failure import parse
from m10actors.recovery.fingerprint import identity
from m10actors.recovery.fingerprint.traces import trace_identity

PYTHON = """\
Traceback (most recent call last):
  File "/srv/shop-1.2/cart.py", line 10, in <module>
    main()
  File "/srv/shop-1.2/cart.py", line 7, in main
    total = price(order["id"])
  File "/usr/lib/python3.10/json/__init__.py", line 346, in loads
    return _default_decoder.decode(s)
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)
"""
PYTHON_ELSEWHERE = """\
Traceback (most recent call last):
  File "/opt/releases/20260102/cart.py", line 31, in <module>
    main()
    ~~~~^^
  File "/opt/releases/20260102/cart.py", line 28, in main
    total = price(order["id"])
            ^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.13/json/__init__.py", line 352, in loads
    return _default_decoder.decode(s)
           ~~~~~~~~~~~~~~~~~~~~~~~^^^
json.decoder.JSONDecodeError: Expecting value: line 7 column 2 (char 60)
"""
JAVA = """\
Exception in thread "main" java.lang.IllegalStateException: Order 12 is closed
	at com.shop.Cart.lambda$close$0(Cart.java:12)
	at java.base/java.util.ArrayList.forEach(ArrayList.java:1511)
	at com.shop.Main.main(Main.java:3)
Caused by: java.lang.NumberFormatException: For input string: "x12"
	at java.base/java.lang.Integer.parseInt(Integer.java:652)
	at com.shop.Cart.count(Cart.java:44)
	... 3 more
"""
JAVA_ELSEWHERE = """\
Exception in thread "main" java.lang.IllegalStateException: Order 7301 is closed
	at com.shop.Cart.lambda$close$4(Cart.java:19)
	at java.base@21.0.2/java.util.ArrayList.forEach(ArrayList.java:1596)
	at com.shop.Main.main(Main.java:8)
Caused by: java.lang.NumberFormatException: For input string: "y7"
	at java.base@21.0.2/java.lang.Integer.parseInt(Integer.java:588)
	at com.shop.Cart.count(Cart.java:51)
	... 9 more
"""
JAVASCRIPT = """\
TypeError: Cannot read properties of undefined (reading 'total')
    at Cart.total (/srv/app/dist/cart.3fa9c1.js:10:15)
    at /srv/app/server.js:3:5
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
"""
GO = """\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.(*Cart).total(0xc000010250, 0x5)
	/home/u/shop/cart.go:12 +0x1d
main.main()
	/home/u/shop/main.go:5 +0x39

goroutine 7 [chan receive]:
main.worker(...)
	/home/u/shop/worker.go:9 +0x1
"""
DOTNET = """\
Unhandled exception. System.InvalidOperationException: Order 5 is closed
   at Shop.Cart.Close(Int32 id) in C:\\build\\12\\Cart.cs:line 12
   at Shop.Program.<Main>d__0.MoveNext() in C:\\build\\12\\Program.cs:line 3
"""
RUBY = """\
/srv/app/cart.rb:12:in `total': undefined method `price' for nil:NilClass (NoMethodError)
	from /srv/app/cart.rb:5:in `block in sum'
	from /usr/lib/ruby/gems/2.7.0/gems/rack-2.2/lib/rack.rb:5:in `call'
"""
RUST = """\
thread 'main' panicked at src/cart.rs:12:9:
index out of bounds: the len is 3 but the index is 5
stack backtrace:
   0: rust_begin_unwind
             at /rustc/9fc6b431/library/std/src/panicking.rs:665:5
   1: core::panicking::panic_bounds_check
             at /rustc/9fc6b431/library/core/src/panicking.rs:281:5
   2: shop::cart::total::h0123456789abcdef
             at ./src/cart.rs:12:9
   3: shop::main
"""
PHP = """\
PHP Fatal error:  Uncaught InvalidArgumentException: bad order 12 in /srv/app/cart.php:12
Stack trace:
#0 /srv/app/main.php(5): Shop\\Cart->close(12)
#1 {main}
  thrown in /srv/app/cart.php on line 12
"""
GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/srv/a.py", line 5, in main
  |     raise ExceptionGroup("jobs", errors)
  | ExceptionGroup: jobs (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/a.py", line 3, in job
    |     check(number)
    | ValueError: bad 1
    +---------------- 2 ----------------
    | Traceback (most recent call last):
    |   File "/srv/a.py", line 3, in job
    |     check(number)
    | ValueError: bad 2
    +------------------------------------
"""


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        (
            PYTHON,
            'JSONDecodeError: expecting value: line # column # (char #)\n  cart.py main total = price(order["id"])',
        ),
        (
            JAVA,
            "IllegalStateException: order # is closed\n   com.shop.Cart.lambda$close$\n   com.shop.Main.main\n"
            "NumberFormatException: for input string: #\n  called java.lang.Integer.parseInt\n   com.shop.Cart.count",
        ),
        (
            JAVASCRIPT,
            "TypeError: cannot read properties of undefined (reading total)\n  cart.js Cart.total\n  server.js",
        ),
        (
            GO,
            "panic: runtime error: index out of range [#] with length #\n"
            "  cart.go main.(*Cart).total\n  main.go main.main",
        ),
        (
            DOTNET,
            "InvalidOperationException: order # is closed\n   Shop.Cart.Close\n   Shop.Program.<Main>d__$.MoveNext",
        ),
        (RUBY, "NoMethodError: undefined method price for nil:nilclass\n  cart.rb total\n  cart.rb block in sum"),
        (
            RUST,
            "panic: index out of bounds: the len is # but the index is #\n"
            "  called core::panicking::panic_bounds_check\n   shop::cart::total$\n   shop::main",
        ),
        (PHP, "InvalidArgumentException: bad order # in #\n  main.php Shop\\Cart->close"),
        (
            GROUP,
            'ExceptionGroup: jobs (# sub-exceptions)\n  a.py main raise ExceptionGroup("jobs", errors)\n'
            "ValueError: bad #\n  a.py job check(number)",
        ),
    ],
    ids=["Python", "Java", "JavaScript", "Go", ".NET", "Ruby", "Rust", "PHP", "exception group"],
)
def test_exceptions_and_own_frames_identify_a_trace(trace: str, expected: str) -> None:
    assert trace_identity(trace) == expected


@pytest.mark.parametrize(("one", "other"), [(PYTHON, PYTHON_ELSEWHERE), (JAVA, JAVA_ELSEWHERE)], ids=["Python", "Java"])
def test_the_same_bug_of_two_hosts_versions_and_days_folds(one: str, other: str) -> None:
    first = identity(f"2026-01-02 03:04:05 web-1 ERROR request 5 failed\n{one}")
    assert first == identity(f"Jun 14 15:16:01 db9 app[99]: request 6 failed\n{other}")
    assert first == identity("request 7 failed", other)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('price(order["id"])', 'price(order["sum"])'),
        ("json.decoder.JSONDecodeError: Expecting value", "json.decoder.JSONDecodeError: Extra data"),
        ("json.decoder.JSONDecodeError", "json.decoder.OtherError"),
        ("in main", "in other"),
    ],
    ids=["line of code", "message", "class", "function"],
)
def test_two_bugs_of_one_function_stay_apart(before: str, after: str) -> None:
    assert trace_identity(PYTHON) != trace_identity(PYTHON.replace(before, after))


def test_without_lines_of_code_the_function_that_was_called_tells_two_bugs_apart() -> None:
    assert trace_identity(JAVA) != trace_identity(JAVA.replace("Integer.parseInt", "Integer.valueOf"))


@pytest.mark.parametrize(
    ("trace", "before", "after"),
    [
        (JAVASCRIPT, "reading 'total'", "reading 'price'"),
        (RUBY, "undefined method `price'", "undefined method `sum'"),
        (GO, "index out of range", "slice bounds out of range"),
        (
            JAVA.replace('For input string: "x12"', 'Cannot invoke "Order.sum()" because "order" is null'),
            "Order.sum()",
            "Order.id()",
        ),
    ],
    ids=["JavaScript", "Ruby", "Go", "Java"],
)
def test_the_part_of_the_program_that_a_runtime_names_tells_two_bugs_apart(trace: str, before: str, after: str) -> None:
    assert before in trace
    assert trace_identity(trace) != trace_identity(trace.replace(before, after))


def test_the_cause_counts_as_well_as_what_it_led_to() -> None:
    assert trace_identity(JAVA) != trace_identity(JAVA.replace("NumberFormatException", "ArithmeticException"))
    chained = f"{PYTHON}\nDuring handling of the above exception, another exception occurred:\n\n{PYTHON}"
    other = chained.replace("JSONDecodeError", "KeyError", 1)
    assert trace_identity(chained) == trace_identity(PYTHON) != trace_identity(other)


def test_an_installed_program_is_told_by_its_innermost_frames() -> None:
    """Its frames are those of a library, around them only the script that starts it."""
    trace = (
        'Traceback (most recent call last):\n  File "/usr/bin/shop", line 8, in <module>\n    sys.exit(main())\n'
        '  File "/usr/lib/python3/dist-packages/shop/cli.py", line 5, in main\n    run()\nValueError: bad\n'
    )
    assert trace_identity(trace) == "ValueError: bad\n  cli.py main run()\n  shop <module> sys.exit(main())"


def test_a_trace_without_an_exception_takes_the_line_above_its_frames() -> None:
    assert trace_identity("Order 5 failed\n\tat com.shop.Cart.close(Cart.java:5)") == (
        ": order # failed\n   com.shop.Cart.close"
    )


def test_text_without_frames_is_no_trace() -> None:
    assert trace_identity("java.io.IOException: closed\nand more text\n") is None
    assert identity("failed at once\nat node 5") == "failed at once at node #"


@pytest.mark.parametrize("name", ["stack", "traceback", "stacktrace", "stack_trace"])
def test_a_trace_beside_the_message_counts_under_each_of_its_names(name: str) -> None:
    payload = {"error_type": "X", "raw": "request 5 failed"}
    inside = parse({"failure_payload": {**payload, "meta": {name: PYTHON}}})
    assert inside.fingerprint == parse({**payload, name: PYTHON_ELSEWHERE}).fingerprint
    assert inside.fingerprint != parse({"failure_payload": payload}).fingerprint


def _captured(number: int) -> dict[str, object]:
    try:
        int(f"order {number}")
    except ValueError as error:
        return of_exception(error, {})
    raise AssertionError("no error")


def test_what_the_client_captures_folds() -> None:
    one, other = (parse({"failure_payload": _captured(number)}) for number in (1, 22))
    assert one.fingerprint == other.fingerprint
    assert one.error_message != other.error_message


@pytest.mark.parametrize(("one", "other"), [(PYTHON, PYTHON_ELSEWHERE), (JAVA, JAVA_ELSEWHERE)], ids=["Python", "Java"])
def test_a_trace_that_is_found_in_a_log_folds_with_that_of_another_log(one: str, other: str) -> None:
    own_line = one.removeprefix('Exception in thread "main" ')
    first = _found(f"2026-01-02 03:04:05,678 ERROR web-1 request 5 failed\n{own_line}")
    assert first == _found(f"2027-03-04 13:14:15,678 ERROR db9 request 6 failed\n{other}")
    assert first == _found(other)


def _found(log: str) -> str:
    [line] = read(io.BytesIO(log.encode()), LogLines("file"), OneTimeKeys())
    assert isinstance(line, Reported)
    return line.failure.fingerprint
