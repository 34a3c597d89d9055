"""Which messages fold and which stay apart: kinds of values one by one, then lines in the manner of many programs."""

import pytest

from m10actors.recovery.fingerprint.masking import masked


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("order 4711 of 7b9f2f6e-59d4-4c9a-a8f9-03bb0f0f9ad1", "order # of #"),
        ("ORDER ABCDEFAB-ABCD-ABCD-ABCD-ABCDEFABCDEF", "order #"),
        ("segfault at 0x7f3a10 ip 0XDEAD", "segfault at # ip #"),
        ("blob a1b2c3d4 missing", "blob # missing"),
        ("blob deadbeef missing", "blob # missing"),
        ("req_9f3ab1 failed", "req_# failed"),
        ("attempt_1445_0020_m_000003_0 failed", "attempt_# failed"),
        ("worker12 failed", "worker# failed"),
        ("session x7k9q2 expired", "session # expired"),
        ("a cafe facade added", "a cafe facade added"),
        ("timed out after 30 s", "timed out after #"),
        ("timed out after 1500ms", "timed out after #"),
        ("heap 3.5 GB of 16 GiB (12%)", "heap # of # (#)"),
        ("offset -17, at most +3", "offset #, at most #"),
        ("10.0.0.17:5432 refused", "# refused"),
        ("db-1.shop.example.com:5432 refused", "# refused"),
        ("localhost refused", "# refused"),
        ("::1 and ::ffff:10.0.0.1 are unreachable", "# and # are unreachable"),
        ("fe80::1ff:fe23:4567:890a is unreachable", "# is unreachable"),
        ("ab:cd:ef:ab:cd:ef left", "# left"),
        ("at 2026-01-02T03:04:05.678+01:00: gone", "at #: gone"),
        ("at Wed Jul 20 15:02:00 2005 gone", "at # gone"),
        ("at 14 Jun 2020 10:00 PM UTC gone", "at # gone"),
        ("cannot read /var/lib/app/x.db", "cannot read #"),
        ("cannot read C:\\Program Files\\App\\x.dll", "cannot read #"),
        ("cannot read \\\\files\\share\\x.db", "cannot read #"),
        ("cannot read src/app/main.c", "cannot read #"),
        ("GET https://api.example.com/v1/users?id=5 failed", "get https# failed"),
        ("mail to jo.doe+x@example.com bounced", "mail to # bounced"),
        ("broken: app.Cart@1b2c3d4", "broken: app.cart@#"),
        ("user 'alice' has no \"Role\"", "user # has no #"),
        ("cannot open ‘notes’", "cannot open #"),
        ("can't open it, doesn't exist", "cant open it, doesnt exist"),
        ("rhost= user=root tag=\"a b\" set={1, 2}", "rhost=# user=# tag=# set=#"),
        ("key aGVsbG8gd29ybGQgMTIzNDU2Nzg5MA== rejected", "key # rejected"),
        ("invalid user guest from 10.0.0.1", "invalid user # from #"),
        ("lost 1, 2, 3 and blk_4 blk_5", "lost # and blk_#"),
        ("  Trimmed \n and  joined", "trimmed and joined"),
        ("", ""),
    ],
)  # fmt: skip
def test_values_are_masked(message: str, expected: str) -> None:
    assert masked(message) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('level=error msg="failed to open 5" err="no space"', "level=error msg=failed to open # err=no space"),
        ('{"error": "timeout", "id": "x7", "host": "web"}', "{error: timeout, id: #, host: #}"),
        ("exit_status=killed", "exit_status=killed"),
        ('"the disk is full"', "the disk is full"),
        ("'Cart' object has no attribute 'total'", "# object has no attribute total"),
        ("No module named 'shop.cart'", "no module named shop.cart"),
    ],
)
def test_what_says_what_failed_is_kept(message: str, expected: str) -> None:
    assert masked(message) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "Storing blk_-77120934 src: /10.1.2.3:5010 dest: /10.1.2.4:50010",
            "Storing blk_912 src: /10.9.2.3:1 dest: /10.9.2.4:2",
        ),
        ("ask 10.1.2.3:50010 to delete blk_1 blk_-22 blk_333", "ask 10.9.8.7:50010 to delete  blk_4"),
        ("Running task 15.0 in stage 1.0 (TID 40)", "Running task 0.0 in stage 22.0 (TID 884)"),
        (
            "Block rdd_4_2 stored as bytes (size 5.2 KB, free 317.5 KB)",
            "Block rdd_17_0 stored as bytes (size 93.0 B, free 1.1 MB)",
        ),
        ("Split: hdfs://10.1.1.1:9000/in/a.log:29168+7292", "Split: hdfs://node4:9000/b.log:0+7292"),
        ("generating core.2275", "generating core.862"),
        ("CE sym 2, at 0x0b85eee0, mask 0x05", "CE sym 20, at 0x1438f9e0, mask 0x40"),
        ("Fan speeds ( 3552 3534 3375 4787 )", "Fan speeds ( 3444 3479 )"),
        ("Temperature (41C) exceeds warning threshold", "Temperature (39C) exceeds warning threshold"),
        (
            "authentication failure; logname= uid=0 tty=ssh ruser= rhost=10.1.1.1  user=root",
            "authentication failure; logname=joe uid=500 tty=web ruser=x rhost=pc.example.org  user=guest",
        ),
        ("session opened for user cyrus by (uid=0)", "session opened for user news by (uid=0)"),
        (
            "connection from 10.1.1.1 (pc-1.example.net) at Fri Jun 17 07:07:00 2005",
            "connection from 10.2.2.2 (host8.example.org) at Sun Jul 3 14:03:22 2005",
        ),
        ("Failed password for root from 10.1.1.1 port 45378 ssh2", "Failed password for ftp from 10.1.1.2 port 4 ssh2"),
        (
            "Failed password for invalid user kim from 10.1.1.1 port 1 ssh2",
            "Failed password for invalid user test9 from 10.1.1.2 port 2 ssh2",
        ),
        ("userauth_request: invalid user webadmin [preauth]", "userauth_request: invalid user git [preauth]"),
        (
            "proxy.example.edu.hk:5070 open through proxy p.example.edu.hk:80 HTTPS",
            "a.example.com:80 open through proxy 10.0.0.1:3 HTTPS",
        ),
        (
            "a.example.com:80 close, 0 bytes sent, lifetime <1 sec",
            "b.example.com:443 close, 403 bytes sent, lifetime 00:01",
        ),
        (
            "[client 10.1.1.1] access forbidden by rule: /var/www/html/",
            "[client 10.1.1.2] access forbidden by rule: /srv/x/",
        ),
        ("child_init() found child 6725 in slot 10", "child_init() found child 6 in slot 8"),
        ("getSteps = 1514038440000##6993##548365", "getSteps = 1514038500000##7007##54"),
        ('take lock=2335, flags=0x1, tag="View Lock", ws=null', 'take lock=1, flags=0x10, tag="ACK", ws=Source{10113}'),
        ("Session: 30546173_4261722401 begun by client Agent.", "Session: 30546174_1 begun by client Agent."),
        (
            "Loaded v6.1.7601.23505 with core: C:\\Windows\\a\\core.dll",
            "Loaded v6.1.7601.17592 with core: C:\\Windows\\b\\core.dll",
        ),
        ("DISCOVER from 00:11:43:e3:ba:c3 via eth1", "DISCOVER from 5c:50:15:4c:18:13 via eth0"),
        ("en0: BSSID changed to 5c:50:15:4c:18:13", "en0: BSSID changed to ab:cd:ef:ab:cd:ef"),
        (
            '10.1.1.1 "GET /v2/a/servers HTTP/1.1" status: 200 time: 0.24',
            '10.1.1.1,10.2.2.2 "GET / HTTP/1.1" status: 404 time: 3',
        ),
        (
            "Deadlock found: process 12 waits for ShareLock on transaction 977",
            "Deadlock found: process 7 waits for ShareLock on transaction 1",
        ),
    ],
)
def test_repeats_fold(one: str, other: str) -> None:
    assert masked(one) == masked(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("connection reset by peer", "connection refused by peer"),
        ("job startup succeeded", "job shutdown succeeded"),
        ('10.1.1.1 "GET /a HTTP/1.1" failed', '10.1.1.1 "POST /a HTTP/1.1" failed'),
        ("session opened for user a by (uid=0)", "session closed for user a by (uid=0)"),
        ("data TLB error interrupt", "instruction TLB error interrupt"),
        ("task 1 state=FAILED", "task 1 state=LOST"),
        ("write failed error=timeout", "write failed error=refused"),
        ('{"error": "timeout", "id": 1}', '{"error": "refused", "id": 1}'),
        ("a.example.com:80 close, 0 bytes sent", "a.example.com:80 close, 2048 bytes (2 KB) sent"),
        ("java.io.IOException: closed", "java.io.EOFException: closed"),
        ("s3-upload failed", "s3-download failed"),
        ("table users is full", "table orders is full"),
        ("md5sum mismatch", "sha256sum mismatch"),
    ],
)
def test_different_failures_stay_apart(one: str, other: str) -> None:
    assert masked(one) != masked(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("User alice not found", "User bob not found"),
        ("link down on interface eth0", "link down on interface wlan0"),
        ("class com.shop.Cart is loaded", "class com.shop.Order is loaded"),
    ],
)
def test_a_plain_word_that_varies_keeps_repeats_apart(one: str, other: str) -> None:
    """A limit: a message by itself does not tell a name from any other word."""
    assert masked(one) != masked(other)
