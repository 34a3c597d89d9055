"""What signals ask of the process, heard in this one."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from m10actors.cli.process import Asked, Life


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_ends_a_second_one_hurries_and_an_operator_never_does(number: signal.Signals) -> None:
    life = Life(reloads=True)
    with life.signals():
        os.kill(os.getpid(), number)
        life.end("drain")
        assert (life.next(10), life.next(10)) == (Asked.END, Asked.END)
        os.kill(os.getpid(), number)
        assert (life.next(10), life.next(0.0)) == (Asked.HURRY, None)
    assert (life.is_ending, life.reason) == (True, number.name)
    assert life.wait(0.0)


def test_the_first_signal_after_an_operator_has_asked_does_not_hurry() -> None:
    life = Life()
    with life.signals():
        life.end("drain")
        os.kill(os.getpid(), signal.SIGTERM)
        assert (life.next(10), life.next(10), life.next(0.0)) == (Asked.END, Asked.END, None)
        os.kill(os.getpid(), signal.SIGTERM)
        assert life.next(10) is Asked.HURRY
    assert life.reason == "drain"


@pytest.mark.parametrize(("reloads", "asked"), [(True, Asked.RELOAD), (False, Asked.END)])
def test_a_hangup_reloads_or_ends_where_nothing_can_be_reloaded(reloads: bool, asked: Asked) -> None:
    life = Life(reloads=reloads)
    with life.signals():
        os.kill(os.getpid(), signal.SIGHUP)
        assert life.next(10) is asked
    assert life.is_ending is not reloads


def test_a_wait_without_end_is_ended_by_a_signal() -> None:
    life = Life()
    with life.signals():
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        assert life.next() is Asked.END


def test_afterwards_signals_mean_what_they_meant() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Life().signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_no_thread_holds_up_a_process_that_leaves_and_what_it_printed_is_written() -> None:
    code = """
import sys, threading
from m10actors.cli.process import leave
threading.Thread(target=threading.Event().wait).start()
print("last words")
leave(70)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (70, "last words\n")
