"""Runs kazoo's recipes against a server of ZooKeeper's protocol and prints what they see, line by line.

    registry_transcript.py HOST:PORT

Numbers of transactions, times, session ids and random names are masked, so the transcripts of two servers are equal if
the servers are. Whatever the script waits for comes from the server; nothing but the expiry of a session takes time.
"""

import logging
import queue
import re
import socket
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.security import CREATOR_ALL_ACL, make_acl, make_digest_acl

from registry_compare import Client as RawClient
from registry_compare import OPEN, acl, buffer, number, text, vector

PATIENCE = 120


class Transcript:
    """Prints values with everything masked that differs from run to run."""

    def __init__(self, address):
        self.address = address
        self.sessions = {}

    def client(self, name, **options):
        client = KazooClient(hosts=self.address, timeout=30.0, **options)
        client.start(timeout=PATIENCE)
        self.sessions[client.client_id[0]] = name
        return client

    def section(self, name):
        print(f"\n== {name}")

    def say(self, what, value=None):
        print(f"{what}: {self.mask(value)}")

    def mask(self, value):
        if hasattr(value, "czxid"):
            return self.mask_stat(value)
        if isinstance(value, (list, tuple)):
            inner = ", ".join(self.mask(item) for item in value)
            return f"[{inner}]" if isinstance(value, list) else f"({inner})"
        if isinstance(value, KazooException):
            return type(value).__name__
        return re.sub(r"[0-9a-f]{32}", "<random>", repr(value))

    def mask_stat(self, stat):
        owner = self.sessions.get(stat.ephemeralOwner, stat.ephemeralOwner)
        order = f"{order_of(stat.czxid, stat.mzxid)}{order_of(stat.czxid, stat.pzxid)}"
        times = f"{order_of(stat.ctime, stat.mtime).replace('<', '=')}{'0' if stat.ctime == 0 else 't'}"
        return (
            f"stat(version={stat.version} cversion={stat.cversion} aversion={stat.aversion} owner={owner} "
            f"length={stat.dataLength} children={stat.numChildren} order={order} times={times})"
        )

    def attempt(self, what, action, *arguments, **options):
        try:
            self.say(what, action(*arguments, **options))
        except KazooException as error:
            self.say(what, error)


def order_of(first, second):
    return "<" if first < second else "=" if first == second else ">"


def until(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} does not happen")
        time.sleep(0.01)


class Events:
    """Collects what a callback is told."""

    def __init__(self, transcript, name):
        self.transcript = transcript
        self.name = name
        self.queue = queue.Queue()

    def __call__(self, *arguments):
        self.queue.put(arguments)

    def next(self):
        arguments = self.queue.get(timeout=PATIENCE)
        self.transcript.say(self.name, [show(argument) for argument in arguments])

    def rest(self):
        self.transcript.say(f"{self.name}, more", [[show(a) for a in arguments] for arguments in list(self.queue.queue)])


def show(argument):
    if isinstance(argument, list):
        return sorted(argument)
    if hasattr(argument, "type") and hasattr(argument, "path"):
        return (argument.type, argument.state, argument.path)
    return argument


def nodes(script, one, two):
    script.section("nodes")
    script.say("the root", sorted(one.get_children("/")))
    for path in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"]:
        script.attempt(path, one.get, path)
    script.attempt("create", one.create, "/n", b"one")
    script.attempt("create again", one.create, "/n", b"one")
    script.attempt("create below nothing", one.create, "/no/x", b"")
    script.attempt("create with stat", one.create, "/n/stat", b"12345", include_data=True)
    script.attempt("get", one.get, "/n")
    script.attempt("set", one.set, "/n", b"two", version=0)
    script.attempt("set an old version", one.set, "/n", b"three", version=0)
    script.attempt("get", two.get, "/n")
    script.attempt("exists", two.exists, "/n")
    script.attempt("exists not", two.exists, "/no")
    script.attempt("ephemeral", one.create, "/n/mine", b"", ephemeral=True)
    script.attempt("its stat, seen by another", two.exists, "/n/mine")
    script.attempt("a child of it", one.create, "/n/mine/x", b"")
    for _ in range(3):
        script.attempt("sequential", one.create, "/n/s-", b"", sequence=True)
    script.attempt("delete the last", one.delete, "/n/s-0000000004")
    script.attempt("sequential", two.create, "/n/s-", b"", sequence=True, ephemeral=True)
    script.attempt("sequential without a name", two.create, "/n/", b"", sequence=True)
    script.attempt("delete with children", one.delete, "/n")
    script.attempt("delete an old version", one.delete, "/n/stat", version=7)
    script.attempt("delete what is not", one.delete, "/no")
    script.attempt("delete what belongs to the server", one.delete, "/zookeeper/quota")
    script.say("children", sorted(two.get_children("/n")))
    names, stat = two.get_children("/n", include_data=True)
    script.say("children with stat", (sorted(names), stat))
    script.attempt("children of nothing", two.get_children, "/no")
    script.attempt("sync", two.sync, "/n")
    script.attempt("ensure a path", one.ensure_path, "/n/a/b/c")
    script.attempt("delete it all", one.delete, "/n", recursive=True)


def lists(script, one, two):
    script.section("access lists")
    one.add_auth("digest", "ann:secret")
    script.attempt("create", one.create, "/hers", b"x", acl=[make_digest_acl("ann", "secret", all=True)])
    # The client sends the empty id of this list as an absent one.
    script.attempt("create for herself", one.create, "/own", b"x", acl=CREATOR_ALL_ACL)
    script.attempt("list of her own", one.get_acls, "/own")
    script.attempt("write to her own", two.set, "/own", b"y")
    script.attempt("get by her", one.get, "/hers")
    script.attempt("get by another", two.get, "/hers")
    script.attempt("list by another", two.get_acls, "/hers")
    everyone = make_acl("world", "anyone", read=True)
    script.attempt("set the list by another", two.set_acls, "/hers", [everyone])
    script.attempt("set the list", one.set_acls, "/hers", [everyone, make_digest_acl("ann", "secret", all=True)])
    script.attempt("get by another", two.get, "/hers")
    script.attempt("set by another", two.set, "/hers", b"y")
    script.attempt("list by another", two.get_acls, "/hers")
    script.attempt("list by her", one.get_acls, "/hers")
    script.attempt("a list that is none", one.create, "/x", b"", acl=[make_acl("magic", "x", all=True)])
    script.attempt("delete", one.delete, "/hers")


def transactions(script, one, _two):
    script.section("transactions")
    one.create("/t", b"0")
    good = one.transaction()
    good.check("/t", 0)
    good.create("/t/x", b"1")
    good.create("/t/s-", b"", sequence=True, ephemeral=True)
    good.set_data("/t", b"1")
    good.delete("/t/x")
    script.say("good", good.commit())
    script.attempt("then", one.get, "/t")
    bad = one.transaction()
    bad.create("/t/y", b"1")
    bad.check("/t", 0)
    bad.delete("/t/s-0000000001")
    script.say("bad", bad.commit())
    script.say("then", sorted(one.get_children("/t")))
    script.say("empty", one.transaction().commit())
    one.delete("/t", recursive=True)


def data_watch(script, one, two):
    script.section("DataWatch")
    told = Events(script, "data")

    def watch(data, stat, event):
        told(data, script.mask(stat), event)

    one.DataWatch("/d", watch)
    told.next()
    for action in [
        lambda: two.create("/d", b"1"),
        lambda: two.set("/d", b"2"),
        lambda: two.delete("/d"),
        lambda: two.create("/d", b"3"),
    ]:
        action()
        told.next()
    two.delete("/d")
    told.next()
    told.rest()


def children_watch(script, one, two):
    script.section("ChildrenWatch")
    two.create("/c", b"")
    told = Events(script, "children")
    one.ChildrenWatch("/c", lambda names, event: told(names, event), send_event=True)
    told.next()
    for action in [
        lambda: two.create("/c/b", b""),
        lambda: two.create("/c/a", b"", ephemeral=True),
        lambda: two.delete("/c/b"),
        lambda: two.delete("/c/a"),
    ]:
        action()
        told.next()
    # No event for data.
    two.set("/c", b"x")
    two.delete("/c")
    until("the end of the watch", lambda: not one.exists("/c"))
    told.rest()


def plain_watches(script, one, two):
    script.section("watches")
    told = {name: Events(script, name) for name in ["exists", "get", "children"]}
    one.exists("/w", watch=told["exists"])
    two.create("/w", b"")
    told["exists"].next()
    one.get("/w", watch=told["get"])
    one.get_children("/w", watch=told["children"])
    two.create("/w/x", b"")
    told["children"].next()
    one.get_children("/w", watch=told["children"])
    two.delete("/w/x")
    told["children"].next()
    one.get_children("/w", watch=told["children"])
    two.delete("/w")
    told["get"].next()
    told["children"].next()
    for events in told.values():
        events.rest()


def locks(script, one, two):
    script.section("Lock")
    first, second = one.Lock("/lock", "first"), two.Lock("/lock", "second")
    script.say("first", first.acquire())
    script.say("second, at once", second.acquire(blocking=False))
    waiting = threading.Thread(target=second.acquire)
    waiting.start()
    until("two contenders", lambda: len(one.Lock("/lock").contenders()) == 2)
    script.say("contenders", first.contenders())
    script.say("second holds it", second.is_acquired)
    first.release()
    waiting.join(PATIENCE)
    script.say("second holds it", second.is_acquired)
    script.say("contenders", first.contenders())
    second.release()
    names, stat = one.get_children("/lock", include_data=True)
    script.say("afterwards", (names, stat))


def semaphores(script, one, two):
    script.section("Semaphore")
    seats = [client.Semaphore("/seats", str(nth), max_leases=2) for nth, client in enumerate([one, one, two])]
    script.say("acquired", [seat.acquire(blocking=False) for seat in seats])
    script.say("holders", sorted(seats[0].lease_holders()))
    seats[0].release()
    script.say("acquired", seats[2].acquire(timeout=PATIENCE))
    script.say("holders", sorted(seats[0].lease_holders()))
    seats[1].release()
    seats[2].release()


def elections(script, one, two):
    script.section("Election")
    led = queue.Queue()
    done = {}
    threads = []
    for client, name in [(one, "anton"), (two, "berta"), (one, "caesar")]:
        done[name] = threading.Event()

        def lead(name=name):
            led.put(name)
            done[name].wait(PATIENCE)

        election = client.Election("/election", name)
        threads.append(threading.Thread(target=election.run, args=[lead]))
        threads[-1].start()
        count = len(threads)
        until("a contender", lambda: len(election.contenders()) == count)
    script.say("contenders", election.contenders())
    for _ in range(3):
        name = led.get(timeout=PATIENCE)
        script.say("leads", name)
        done[name].set()
    for thread in threads:
        thread.join(PATIENCE)
    script.say("contenders", election.contenders())


def parties(script, one, two):
    script.section("Party")
    first, second = one.Party("/party", "first"), two.Party("/party", "second")
    first.join()
    second.join()
    script.say("there", sorted(first))
    script.say("number", len(second))
    first.leave()
    script.say("there", sorted(second))
    third = script.client("third")
    third.ShallowParty("/party", "third").join()
    script.say("there", len(second))
    third.stop()
    third.close()
    script.say("there", sorted(second))
    second.leave()


def barriers(script, one, two):
    script.section("Barrier")
    barrier = one.Barrier("/barrier")
    barrier.create()
    script.say("through", two.Barrier("/barrier").wait(0.1))
    through = []
    waiting = threading.Thread(target=lambda: through.append(two.Barrier("/barrier").wait(PATIENCE)))
    waiting.start()
    script.say("removed", barrier.remove())
    waiting.join(PATIENCE)
    script.say("through", through)
    script.say("removed again", barrier.remove())

    script.section("DoubleBarrier")
    both = [client.DoubleBarrier("/double", 2, name) for client, name in [(one, "first"), (two, "second")]]
    for step in ["enter", "leave"]:
        threads = [threading.Thread(target=getattr(barrier, step)) for barrier in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        script.say(step, [barrier.participating for barrier in both])


def counters(script, one, two):
    script.section("Counter")
    first, second = one.Counter("/counter"), two.Counter("/counter", default=5)
    first += 3
    second -= 1
    threads = [threading.Thread(target=lambda counter=counter: [counter.__add__(1) for _ in range(20)]) for counter in [first, second]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    script.say("value", (first.value, second.value))
    script.attempt("its node", one.get, "/counter")


def queues(script, one, two):
    script.section("Queue")
    first = one.Queue("/queue")
    for nth in range(3):
        first.put(f"entry {nth}".encode(), priority=100 - nth)
    script.say("length", len(first))
    script.say("entries", [two.Queue("/queue").get() for _ in range(4)])
    locking = one.LockingQueue("/locking")
    locking.put_all([b"a", b"b"])
    script.say("length", len(locking))
    script.say("first", locking.get(timeout=PATIENCE))
    script.say("second", two.LockingQueue("/locking").get(timeout=PATIENCE))
    script.say("consumed", locking.consume())


def silent_session(script, one, _two):
    script.section("a session that says nothing")
    timeout = 4000
    begun = time.monotonic()
    silent = RawClient(script.address, "silent", script.sessions, timeout)
    script.say("time-out", silent.timeout)
    for path in ["/silent-1", "/silent-2"]:
        silent.send(1, text(path) + buffer(b"") + vector(OPEN, acl) + number(1))
    told = {path: Events(script, path) for path in ["/silent-1", "/silent-2"]}
    for path, events in told.items():
        script.attempt("stat", one.exists, path, watch=events)
    for events in told.values():
        events.next()
    took = time.monotonic() - begun
    script.say("not before its time, and not long after", timeout / 1000 <= took < 10 * timeout / 1000)
    again = RawClient(script.address, "silent", script.sessions, timeout, silent.session, silent.password, silent.zxid)
    script.say("back too late", (again.session, again.timeout, again.password))


def lost_session(script, one, two):
    script.section("a session that is taken away")
    client = script.client("lost")
    states = Events(script, "state")
    client.add_listener(states)
    client.create("/lost", b"", ephemeral=True)
    gone = Events(script, "gone")
    script.attempt("stat", two.exists, "/lost", watch=gone)
    # Somebody else comes with the same session and closes it.
    session, password = client.client_id
    close = number(8) + number(1) + number(-11)
    thief = RawClient(script.address, "lost", script.sessions, 10000, session, password, client.last_zxid, close)
    script.say("same session", (thief.session == session, thief.password == password))
    gone.next()
    for _ in range(3):
        states.next()
    until("another session", lambda: client.connected and client.client_id[0] not in script.sessions)
    script.attempt("its node", client.exists, "/lost")
    client.stop()
    client.close()
    script.attempt("one is still there", one.exists, "/")


def reconnect(script, _one, two):
    script.section("a connection that breaks")
    two.create("/r", b"1")
    client = script.client("broken")
    states, data, children = (Events(script, name) for name in ["state", "data", "children"])
    client.add_listener(states)
    client.DataWatch("/r", lambda value, stat: data(value))
    client.ChildrenWatch("/r", lambda names: children(names))
    data.next()
    children.next()
    client.create("/r-mine", b"", ephemeral=True)
    before = client.client_id
    client._connection._socket.shutdown(socket.SHUT_RDWR)
    states.next()
    states.next()
    script.say("same session", client.client_id == before)
    script.attempt("its node", two.exists, "/r-mine")
    # kazoo looks again by itself, before this or after: the change is seen either way.
    two.set("/r", b"2")
    data.next()
    two.create("/r/x", b"")
    children.next()
    client.stop()
    client.close()
    script.attempt("its node", two.exists, "/r-mine")


def main():
    logging.basicConfig(level=logging.CRITICAL)
    script = Transcript(sys.argv[1])
    one, two = script.client("one"), script.client("two")
    for part in [
        nodes, lists, transactions, data_watch, children_watch, plain_watches, locks, semaphores, elections, parties,
        barriers, counters, queues, reconnect, silent_session, lost_session,
    ]:
        part(script, one, two)
    script.section("the end")
    script.say("left", sorted(one.get_children("/")))
    for client in [one, two]:
        client.stop()
        client.close()


if __name__ == "__main__":
    main()
