"""Sends the same random requests to two servers of ZooKeeper's protocol and compares every byte that comes back.

    registry_compare.py HOST:PORT HOST:PORT [--seed N] [--steps N]

Both must be fresh: transactions are counted from the start, and their numbers are compared too. Times, session ids and
passwords are masked, lists of children are sorted. Exit code 1 and both answers at the first difference.

What is kept out, since an original (3.8) differs there from a newer one or from what is wanted: unknown operations (it
hangs up), numbers of transactions in events (3.9 has them), several kinds of watches on one path, and looking for a watch (3.8 finds
those of others).
"""

import argparse
import random
import socket
import struct
import sys

OPEN = [(31, "world", "anyone")]
NAMES = {
    1: "create", 2: "delete", 3: "exists", 4: "get", 5: "set", 6: "getACL", 7: "setACL", 8: "children", 9: "sync",
    11: "ping", 12: "children2", 13: "check", 14: "multi", 15: "create2", 17: "checkWatches", 18: "removeWatches",
    19: "createContainer", 21: "createTTL", 22: "multiRead", 100: "auth", 101: "setWatches", 103: "ephemerals",
    104: "count", 105: "setWatches2", 106: "addWatch", 107: "whoAmI", -11: "close",
}
STAT = struct.Struct(">qqqqiiiqiiq")


def buffer(value):
    return struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value


def text(value):
    return buffer(None if value is None else value.encode())


def flag(value):
    return b"\1" if value else b"\0"


def number(value):
    return struct.pack(">i", value)


def long(value):
    return struct.pack(">q", value)


def vector(items, one):
    return number(len(items)) + b"".join(one(item) for item in items)


def acl(entry):
    return number(entry[0]) + text(entry[1]) + text(entry[2])


class Answer:
    """Reads the body of a reply into plain values."""

    def __init__(self, body, sessions):
        self.body = body
        self.at = 0
        self.sessions = sessions

    def take(self, shape):
        values = struct.unpack_from(shape, self.body, self.at)
        self.at += struct.calcsize(shape)
        return values[0]

    def buffer(self):
        length = self.take(">i")
        if length < 0:
            return None
        value = self.body[self.at : self.at + length]
        self.at += length
        return bytes(value)

    def text(self):
        value = self.buffer()
        return None if value is None else value.decode()

    def texts(self):
        return [self.text() for _ in range(self.take(">i"))]

    def stat(self):
        values = list(STAT.unpack_from(self.body, self.at))
        self.at += STAT.size
        # Nodes that come with the server have no time.
        values[2], values[3] = bool(values[2]), bool(values[3])
        values[7] = self.sessions.get(values[7], values[7])
        return tuple(values)

    def parts(self):
        parts = []
        while True:
            op, done, error = self.take(">i"), self.take(">?"), self.take(">i")
            if done:
                return parts + [("done", op, error)]
            parts.append((op, error, self.part(op)))

    def part(self, op):
        if op == 1:
            return self.text()
        if op == 15:
            return self.text(), self.stat()
        if op == 5:
            return self.stat()
        if op == 4:
            return self.buffer(), self.stat()
        if op == 8:
            return sorted(self.texts())
        if op == -1:
            return self.take(">i")
        return None

    def read(self, op):
        value = self.read_known(op)
        rest = self.body[self.at :]
        return (value, bytes(rest)) if rest else value

    def read_known(self, op):
        if not self.body:
            return None
        if op in (1, 9):
            return self.text()
        if op in (15, 19, 21):
            return self.text(), self.stat()
        if op in (3, 5, 7):
            return self.stat()
        if op == 4:
            return self.buffer(), self.stat()
        if op in (8, 103):
            return sorted(self.texts())
        if op == 12:
            return sorted(self.texts()), self.stat()
        if op == 6:
            return [(self.take(">i"), self.text(), self.text()) for _ in range(self.take(">i"))], self.stat()
        if op in (14, 22):
            return self.parts()
        if op in (104, 106):
            return self.take(">i")
        if op == 107:
            return sorted((self.text(), self.text()) for _ in range(self.take(">i")))
        return None


class Client:
    """A session of one server."""

    def __init__(self, address, name, sessions, timeout=30000, session=0, password=b"\0" * 16, seen=0, at_once=b""):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=120)
        self.sessions = sessions
        self.xid = 0
        self.zxid = seen
        body = number(0) + long(seen) + number(timeout) + long(session) + buffer(password) + b"\0"
        # What is to be asked before anybody else can take the session over goes along.
        self.socket.sendall(number(len(body)) + body + at_once)
        reply = Answer(self.frame(), sessions)
        reply.take(">i")
        self.timeout, self.session, self.password = reply.take(">i"), reply.take(">q"), reply.buffer()
        self.read_only = reply.take(">?")
        if self.session:
            sessions[self.session] = name

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def frame(self):
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def send(self, op, body):
        """Sends a request; gives the events up to its reply, and the reply."""
        self.xid += 1
        xid = {11: -2, 100: -4, 101: -8, 105: -8}.get(op, self.xid)
        request = number(xid) + number(op) + body
        try:
            self.socket.sendall(number(len(request)) + request)
            return self.receive(op, xid)
        except (EOFError, ConnectionError):
            return [], "closed"

    def receive(self, op, xid):
        events = []
        while True:
            frame = Answer(self.frame(), self.sessions)
            got, zxid, error = frame.take(">i"), frame.take(">q"), frame.take(">i")
            if got == -1:
                events.append((frame.take(">i"), frame.take(">i"), frame.text()))
                continue
            self.zxid = max(self.zxid, zxid)
            frame.body, frame.at = frame.body[frame.at :], 0
            # Behind an error an original may leave what it had written so far.
            return events, (got == xid, zxid, error, None if error else frame.read(op))


PATHS = ["/a", "/b", "/a/x", "/a/y", "/b/x", "/a/x/1", "/p", "/p/x", "/p/x/1", "/c", "/c/x"]
ODD = [
    "", "/", "a", "/a/", "//", "/a//x", "/./a", "/a/..", "/a\0", "/a\x01", "/zookeeper", "/zookeeper/quota", "/nothing/x",
    "/a\u00ff", "/a\ufff5", "/a\U0001f600", "/zookeeper/config", "/e/child",
]
LISTS = [
    OPEN, OPEN, OPEN, OPEN, OPEN, [], [(31, "auth", "")], [(31, "auth", None)], [(1, "world", "anyone")], [(31, "world", "someone")],
    [(31, "ip", "127.0.0.1")], [(31, "ip", "127.0.0.0/8")], [(31, "ip", "nonsense")], [(31, "digest", "ann:hash")],
    [(31, "digest", "ann")], [(31, "magic", "x")], OPEN + OPEN, [(3, "digest", "ann:hash"), (17, "world", "anyone")],
    [(29, "world", "anyone")],
]


class Requests:
    """Makes random requests; the same seed makes the same ones."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def path(self, odd=0.06):
        return self.random.choice(ODD if self.random.random() < odd else PATHS)

    def plain_path(self):
        """One that carries no persistent watch."""
        return self.random.choice([path for path in PATHS if not path.startswith("/p")])

    def version(self):
        return self.random.choice([-1, -1, -1, 0, 1, 2, 7])

    def data(self):
        return self.random.choice([None, b"", b"x", b"hello", b"z" * 100])

    def acl(self):
        return self.random.choice(LISTS) if self.random.random() < 0.15 else OPEN

    def flags(self):
        return self.random.choice([0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, -1])

    def create(self, op=None, flags=None):
        op = op or self.random.choice([1, 1, 15, 19, 21])
        flags = self.flags() if flags is None else flags
        path = self.path() if flags not in (2, 3) else self.random.choice(["/a/s-", "/b/", "/s", "/a/", "/q/s-"])
        body = text(path) + buffer(self.data()) + vector(self.acl(), acl) + number(flags)
        # A node without a time to live that has none would upset an original.
        return op, body + (long(self.random.choice([0, 1000])) if op == 21 else b"")

    def write(self):
        choice = self.random.random()
        if choice < 0.45:
            # 3.8.0 has no stat for `create2` here and takes a time to live for a broken request; later ones do better.
            return self.create(1, self.random.choice([0, 0, 0, 1, 2, 3, 4, 7]))
        if choice < 0.7:
            return 2, text(self.path()) + number(self.version())
        if choice < 0.9:
            return 5, text(self.path()) + buffer(self.data()) + number(self.version())
        return 13, text(self.path()) + number(self.version())

    def multi(self):
        writes = [self.write() for _ in range(self.random.randint(0, 4))]
        parts = b"".join(number(op) + flag(False) + number(-1) + body for op, body in writes)
        return 14, parts + number(-1) + flag(True) + number(-1)

    def multi_read(self):
        reads = [self.random.choice([4, 8]) for _ in range(self.random.randint(0, 4))]
        parts = [number(op) + flag(False) + number(-1) + text(self.path()) + flag(False) for op in reads]
        return 22, b"".join(parts) + number(-1) + flag(True) + number(-1)

    def read(self):
        watch = self.random.random() < 0.4
        path = self.plain_path() if watch else self.path()
        return self.random.choice([3, 4, 8, 12]), text(path) + flag(watch)

    def set_watches(self, zxid):
        since = max(0, zxid - self.random.randint(0, 30))
        lists = [[self.plain_path() for _ in range(self.random.randint(0, 2))] for _ in range(3)]
        return 101, long(since) + b"".join(vector(paths, text) for paths in lists)

    def next(self, zxid):
        choice = self.random.random()
        if choice < 0.22:
            return self.create()
        if choice < 0.34:
            return 2, text(self.path()) + number(self.version())
        if choice < 0.44:
            return 5, text(self.path()) + buffer(self.data()) + number(self.version())
        if choice < 0.56:
            return self.multi()
        if choice < 0.84:
            return self.read()
        return self.rare(zxid)

    def rare(self, zxid):
        op = self.random.choice([6, 7, 9, 11, 18, 22, 100, 101, 103, 104, 106, 107, "broken"])
        if op == 6:
            return op, text(self.path())
        if op == 7:
            return op, text(self.path()) + vector(self.acl(), acl) + number(self.version())
        if op in (9, 103, 104):
            return op, text(self.random.choice([path for path in PATHS + ["/", "/nothing"]]))
        if op == 18:
            return op, text(self.plain_path()) + number(self.random.choice([1, 2, 3, 9]))
        if op == 22:
            return self.multi_read()
        if op == 100:
            return op, number(0) + text("digest") + buffer(self.random.choice([b"ann:secret", b"bob:x"]))
        if op == 101:
            return self.set_watches(zxid)
        if op == 106:
            path, mode = self.random.choice([("/p", 1), ("/p/x", 0)])
            return op, text(path) + number(mode)
        if op == "broken":
            op, body = self.random.choice([self.create(), self.multi(), self.read(), (5, text("/a"))])
            return op, body[: self.random.randint(0, len(body))]
        return op, b""


class Side:
    """One of the two servers, with three sessions."""

    def __init__(self, address):
        self.address = address
        self.sessions = {}
        self.names = 0
        self.clients = [self.connect() for _ in range(3)]

    def connect(self):
        self.names += 1
        return Client(self.address, f"session {self.names}", self.sessions)

    def step(self, at, op, body):
        if op == "reopen":
            self.clients[at].send(-11, b"")
            outcome = ([], "reopened")
            self.clients[at] = self.connect()
        elif op == "reconnect":
            old = self.clients[at]
            old.socket.close()
            self.clients[at] = Client(
                self.address, self.sessions[old.session], self.sessions, 30000, old.session, old.password, old.zxid
            )
            outcome = ([], ("reconnected", self.clients[at].timeout, self.clients[at].read_only))
        else:
            outcome = self.clients[at].send(op, body)
            if outcome[1] == "closed":
                self.clients[at] = self.connect()
        return outcome, self.others()

    def others(self):
        """What the sessions were told meanwhile: all that was sent before the reply to a ping."""
        told = []
        for client in self.clients:
            events, pong = client.send(11, b"")
            # Ephemeral nodes of one session go in no certain order.
            told.append((sorted(events), pong))
        return told


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("one")
    parser.add_argument("other")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--verbose", action="store_true", help="print every request and its answer")
    options = parser.parse_args()
    sides = [Side(options.one), Side(options.other)]
    requests = Requests(options.seed)
    for step in range(options.steps):
        at = requests.random.randrange(3)
        kind = requests.random.random()
        op, body = requests.next(sides[0].clients[at].zxid)
        if kind < 0.01:
            op = "reopen"
        elif kind < 0.02:
            op = "reconnect"
        outcomes = [side.step(at, op, body) for side in sides]
        if options.verbose:
            print(f"{step}: {at} {NAMES.get(op, op)} {body!r} {outcomes[0]}")
        if outcomes[0] != outcomes[1]:
            print(f"seed {options.seed}, step {step}: {NAMES.get(op, op)} {body!r}")
            for side, outcome in zip(sides, outcomes):
                print(f"{side.address}: {outcome}")
            return 1
    print(f"{options.steps} requests were answered alike, seed {options.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
