"""Signals: after the update if it ends soon, else at once."""

import os
import signal
import threading
import time

import pytest

from launch.run import stop
from launch.run.stop import SIGNALS, StopRequest


@pytest.fixture(autouse=True)
def nothing_is_ignored():
    """Handle SIGHUP as usual, also where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def ended(monkeypatch):
    """What was called instead of ending the process."""
    calls = []
    monkeypatch.setattr(stop.os, "_exit", lambda status: calls.append(("exit", status)))
    return calls


def wait_for(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_whose_update_ends_soon_saves_by_itself(number, ended):
    with StopRequest(lambda: ended.append("at once"), grace=1.0) as request:
        assert request.requested is None
        os.kill(os.getpid(), number)
        wait_for(lambda: request.requested == number)
        request.take_over()
        time.sleep(1.2)  # longer than the grace: it saves
        request.release()
    assert ended == []


def test_an_update_that_takes_longer_is_not_waited_for(ended):
    with StopRequest(lambda: ended.append("at once"), grace=0.1):
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: ended == ["at once", ("exit", 1)])


def test_a_second_signal_does_not_wait(ended):
    with StopRequest(lambda: ended.append("at once"), grace=60) as request:
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(lambda: request.requested)
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(lambda: ended[:1] == ["at once"])


def test_handlers_are_put_back_and_what_is_ignored_stays_ignored():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest(lambda: None) as request:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.05)
            assert request.requested is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before[signal.SIGHUP])
    assert {number: signal.getsignal(number) for number in SIGNALS} == before
    assert not [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
