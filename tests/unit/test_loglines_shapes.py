"""What a line of a log says, in the formats that programs write."""

import pytest

from m10actors.loglines.error_type import error_type
from m10actors.loglines.shapes import Shapes
from m10actors.loglines.stack import raised

recognise = Shapes()


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        ("2024-01-01 12:00:00,123 ERROR [main] org.x.Y: it broke", "ERROR", "it broke"),
        ("2024-01-01 12:00:00,123 INFO [main] org.x.Y: an ERROR was handled", "INFO", "an ERROR was handled"),
        ("2024-01-01 12:00:00,123 - WARN  [worker:9@12] - left", "WARN", "left"),
        ("12:00:00.000 [main] WARN  c.f.X - slow", "WARN", "slow"),
        ("2024-01-01T12:00:00.000Z ERROR 12345 --- [    main] c.e.Foo     : it broke", "ERROR", "it broke"),
        ("2024-01-01T12:00:00.000Z ERROR main: it broke", "ERROR", "main: it broke"),
        ("2024-01-01 12:00:00,123 - my.app - ERROR - it broke", "ERROR", "it broke"),
        ("[2024-01-01 12:00:00,000] {task.py:1455} ERROR - it broke", "ERROR", "it broke"),
        ("ERROR:it broke", "ERROR", "it broke"),
        ("x.log 2017-05-16 00:00:20.345 2931 WARNING nova.virt [req-1 - -] it broke", "WARNING", "it broke"),
        ("2024-01-01 12:00:00 ERROR [Errno 2] No such file", "ERROR", "[Errno 2] No such file"),
        ("[Sun Dec 04 04:47:44 2005] [error] child in error state 6", "ERROR", "child in error state 6"),
        ("[Sun Dec 04 04:47:44 2005] [notice] no error", "NOTICE", "no error"),
        ("[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 3:tid 4] [client 1.2.3.4] gone", "ERROR", "gone"),
        ("2024/01/01 12:00:00 [error] 1#1: *1 connect() failed", "ERROR", "1#1: *1 connect() failed"),
        ('1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.0" 503 9', "ERROR", "GET /a: HTTP 503"),
        ('1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET /error HTTP/1.0" 404 9', "INFO", "GET /error: HTTP 404"),
        ("03-17 16:13:38.811  1702  2395 E WindowManager: it broke", "ERROR", "it broke"),
        ("03-17 16:13:38.811  1702  2395 D WindowManager: ERROR", "DEBUG", "ERROR"),
        ("E/ActivityManager( 123): not responding", "ERROR", "not responding"),
        ("E0102 15:04:05.123456   12345 file.cc:123] disk full", "ERROR", "disk full"),
        ("1234:M 01 Jan 2024 12:00:00.000 # out of memory", "WARNING", "out of memory"),
        ("- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.6 R02-M1 RAS KERNEL FATAL it broke", "FATAL", "it broke"),
        ("KERNDTLB 1118536327 2005.06.11 R30 2005-06-11-17.32.07 R30 RAS KERNEL INFO fine", "INFO", "fine"),
        ("2016-09-28 04:30:31, Error                 CBS    it broke", "ERROR", "CBS    it broke"),
        ("2016-09-28 04:30:31, Info                  CBS    Warning: odd", "INFO", "CBS    Warning: odd"),
        ("081109 203615 148 WARN dfs.DataNode$X: it broke", "WARN", "it broke"),
        ("17/06/09 20:10:40 INFO executor.X: signal handlers for [TERM] ERROR", "INFO", None),
        ("2024-01-01 12:00:00.000 UTC [123] ERROR:  no such relation", "ERROR", "no such relation"),
        ("2024-01-01 12:00:00.000 UTC [123] LOG:  an error of a client", "LOG", "an error of a client"),
        ('time=2024-01-01T00:00:00Z level=warn msg="slow query" took=3s', "WARN", "slow query"),
        ('time=2024-01-01T00:00:00Z msg="error opening" level=info', "INFO", "error opening"),
        ("[2024-01-01T00:00:00Z ERROR it broke", "ERROR", "it broke"),
        ("2024-01-01 12:00:00 error it broke", "ERROR", "it broke"),
        ("1697040000.123 [main] SEVERE com.foo.Bar: it broke", "SEVERE", "it broke"),
        ("E, [2024-01-01T00:00:00.1 #123] ERROR -- : it broke", "ERROR", "it broke"),
        ("2024-01-01 12:00:00 | ERROR    | app.main:do:12 - it broke", "ERROR", "it broke"),
        ("web-1  | 2024-01-01 ERROR it broke", "ERROR", "it broke"),
        ("[10.30 16:49:08] x.exe - get.x.com:80 error : it broke", "ERROR", "it broke"),
        ('1,2015-10-18,"18:01:47,978",INFO,main,org.x.Y,error', "INFO", None),
        ('{"level":"error","msg":"it broke","error":"dial tcp"}', "ERROR", "it broke: dial tcp"),
        ('{"level":50,"msg":"it broke","err":{"type":"TypeError","message":"x"}}', "ERROR", "it broke: TypeError: x"),
        ('{"level":30,"msg":"no error"}', "INFO", "no error"),
        ("<11>Jun 14 15:16:01 combo app[19]: out of cheese", "ERR", "out of cheese"),
        ("<14>Jun 14 15:16:01 combo app[19]: ERROR out of cheese", "ERROR", "out of cheese"),
        ("<34>1 2003-10-11T22:14:15.003Z host su - ID47 - it broke", "CRIT", "it broke"),
        ("Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure", None, "authentication failure"),
        ("Dec 10 06:55:46 LabSZ sshd[24200]: error: it broke", "ERROR", "it broke"),
        ("- 113 2005.11.09 dn228 Nov 9 12:01:01 dn/dn crond[2915]: session closed", None, None),
    ],
)
def test_the_level_and_the_message_of_a_line(line: str, level: str | None, message: str | None) -> None:
    record = recognise(line)
    if record is None:
        assert level is None
        return
    assert record.level == level
    assert message in {None, record.message}


@pytest.mark.parametrize(
    "line",
    [
        "Failed to read the ERROR file",
        "The server returned ERROR code",
        "2024-01-01 12:00:00 the server said it has an ERROR",
        "an error occurred",
        "        at org.x.ErrorHandler.ERROR(ErrorHandler.java:1)",
        '    "level": "error",',
        "plain text",
        "",
    ],
)
def test_a_word_in_prose_is_no_level(line: str) -> None:
    assert recognise(line) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("java.net.SocketTimeoutException: HTTP 503", "SocketTimeoutException"),
        ("due to java.io.IOException: ZooKeeper not running", "IOException"),
        ("ended in a requests.exceptions.ConnectionError", "ConnectionError"),
        ("GET /x HTTP/1.1 503", "HTTP_503"),
        ('"GET /v2 HTTP/1.1" status: 404 len: 1', "HTTP_404"),
        ("upstream said 502 Bad Gateway", "HTTP_502"),
        ("status code 429", "HTTP_429"),
        ("listening on 503, took 500 ms", "UNKNOWN"),
        ("HTTP 200 and HTTP/1.1 204", "UNKNOWN"),
        ("Connection timed out", "TIMED_OUT"),
        ("Connection broken", "CONNECTION"),
        ("too many requests", "TOO_MANY_REQUESTS"),
        ("the quota is used up", "QUOTA"),
        ("authors disconnected", "UNKNOWN"),
        ("threw an Exception.", "UNKNOWN"),
        ("onError() was called", "UNKNOWN"),
    ],
)
def test_the_error_type_is_a_class_else_a_status_else_a_word_of_a_rule(message: str, expected: str) -> None:
    assert error_type(raised(message, ()), message) == expected


def test_a_caller_s_own_word_is_a_level() -> None:
    line = "2024-01-01 12:00:00 AUDIT somebody left"
    assert recognise(line) is None
    record = Shapes(["audit"])(line)
    assert record is not None
    assert (record.level, record.message) == ("AUDIT", "somebody left")
