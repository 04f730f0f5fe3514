"""A client of the portal as the original's are: the command line's, and the one that CI scripts use.

    portal_client.py HOST:PORT [TOKEN]

reads lines from standard input and prints what each brings. `cli LINE` sends a line as the command does: words that name
a file or a folder here go along as parts of a form, and a folder goes as an archive of what is in it. `ci LINE` asks for JSON
as scripts do, and prints what it reads with its keys in order. `raw NAME VALUE ...` sends these headers alone.
"""

import hashlib
import hmac
import io
import json
import os
import sys
import tarfile

import requests


def archive(folder):
    """Everything in the folder but what starts with a dot at its top."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in sorted(os.listdir(folder)):
            if not name.startswith("."):
                tar.add(os.path.join(folder, name), arcname=name)
    return packed.getvalue()


def substituted(line):
    """The line as it is sent, and the files that go with it."""
    words, files = line.split(" "), {}
    for nth, word in enumerate(words[1:], 1):
        path = os.path.expanduser(word)
        name = os.path.basename(os.path.abspath(path))
        if word and os.path.isfile(path):
            with open(path, "rb") as content:
                files[name] = content.read()
            words[nth] = name
        elif word and os.path.isdir(path):
            files[name + ".tgz"] = archive(path)
            words[nth] = name + ".tgz"
    return " ".join(words), files


class Portal:
    """A portal at `host:port`, with the secret that both know."""

    def __init__(self, host, token):
        self.url = f"http://{host}/shell"
        self.token = token

    def post(self, headers, files=None):
        """The reply: one line of JSON, whatever happened."""
        parts = {name: (name, content) for name, content in (files or {}).items()}
        answer = requests.post(self.url, headers=headers, files=parts or None, timeout=300)
        answer.raise_for_status()
        first = answer.text.split("\n")[0]
        reply = json.loads(first)
        assert sorted(reply) == ["ms", "ok", "out"] and isinstance(reply["ms"], (int, float)), reply
        return reply

    def signed(self, line):
        """The headers of a line; without a token there is no signature."""
        headers = {"X-Shell": line}
        if self.token:
            digest = hmac.new(self.token.encode(), line.encode(), hashlib.sha1).hexdigest()
            headers["X-Signature"] = "sha1=" + digest
        return headers

    def cli(self, line):
        line, files = substituted(line)
        return self.post(self.signed(line), files)

    def ci(self, line):
        reply = self.cli(line + " -j")
        return json.loads(reply["out"]) if reply["ok"] else None


def main():
    portal = Portal(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
    for typed in sys.stdin.read().splitlines():
        how, line = typed.split(" ", 1)
        print("$ " + typed)
        if how == "ci":
            print(json.dumps(portal.ci(line), sort_keys=True))
            continue
        if how == "raw":
            words = line.split(" ")
            reply = portal.post(dict(zip(words[::2], words[1::2])))
        else:
            reply = portal.cli(line)
        print(("ok" if reply["ok"] else "not ok") + (": " + reply["out"] if reply["out"] else ""))


main()
