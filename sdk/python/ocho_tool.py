"""Tools in Python: what an operator runs at the prompt, with the names that the Rust SDK has.

    from ocho_tool import Report, Usage, pods, tool

    def usage():
        return Usage("count", "Count the pods of clusters.").optional("clusters", "cluster pattern, all by default")

    async def run(args):
        found = await pods.find(args.pattern("clusters"))
        return Report.text(f"{len(found)} pods")

    Run = tool(usage, run)

What a tool may call stands in the world that it is built with (`wit/plugin.wit`); a call of anything else fails and says which line
is missing there. Import every module at the top of a file: what is imported later is not in the component. Outside of a component
this module loads too, so that the parts of a tool that ask nobody can be tested as they are.
"""

import argparse
import asyncio
import importlib
import json as _json
import sys
import time as _time
import traceback
from dataclasses import dataclass, field
from typing import Any, Optional

try:
    from componentize_py_types import Err
    from wit_world import exports
except ImportError:
    if sys.platform == "wasi":
        raise  # the world exports no `wasi:cli/run`
    # On the author's machine: nothing can be called, the rest works.
    exports = None

    class Err(Exception):
        """What a call of the host raises."""

        def __init__(self, value=None):
            super().__init__(value)
            self.value = value


def _import(name):
    try:
        return importlib.import_module(f"wit_world.imports.{name}")
    except ImportError:
        return None


class _Interface:
    """An import of the world; one that is not there says so when it is called, not before."""

    def __init__(self, module, name):
        self._module = _import(module)
        self._name = name

    def __getattr__(self, function):
        if self._module is None:
            raise Failure(f"this tool does not import `{self._name}`: add `import {self._name};` to wit/plugin.wit")
        return getattr(self._module, function)


_registry = _Interface("registry", "ocho:pods/registry@0.1.0")
_observe = _Interface("observe", "ocho:pods/observe@0.1.0")
_secrets = _Interface("secrets", "ocho:pods/secrets@0.1.0")
_control = _Interface("control", "ocho:pods/control@0.1.0")
_exec = _Interface("exec", "ocho:pods/exec@0.1.0")
_inspect = _Interface("inspect", "ocho:marathon/inspect@0.1.0")
_operate = _Interface("operate", "ocho:marathon/operate@0.1.0")
_shell = _Interface("shell", "ocho:proxy/shell@0.1.0")
_environment = _Interface("environment", "wasi:cli/environment@0.3.2")
_clock = _Interface("monotonic_clock", "wasi:clocks/monotonic-clock@0.3.2")
_pods_types = _import("ocho_pods_types")


class Failure(Exception):
    """Why a tool gives up as a whole. It reads `shutting down <- <reason>` and the exit code is 1."""


class PodsError(Failure):
    """A question about pods has no answer at all."""


class MarathonError(Failure):
    """Marathon did not do it. `status` is its HTTP status, `None` where it did not answer."""

    def __init__(self, message, status=None):
        super().__init__(message)
        self.status = status

    def is_not_found(self):
        """Whether there is no such app, version or task."""
        return self.status == 404


class ProxyError(Failure):
    """Nothing ran. A tool that fails is an outcome."""


def tool(usage, run):
    """Makes two functions the tool of this module: `Run = tool(usage, run)`."""
    if exports is None:
        return None

    class Run(exports.Run):
        async def run(self):
            # The first word is the tool's name.
            text, is_ok = await answer(usage(), _environment.get_arguments()[1:], run)
            sys.stdout.write(text)
            sys.stdout.flush()
            sys.stderr.flush()
            if not is_ok:
                raise Err(None)

    return Run


async def answer(usage, words, run):
    """Runs a tool with these words; gives what it prints on standard output at its end, and whether it succeeded."""
    try:
        found = usage.read(words)
    except Stop as stop:
        return f"{stop.text}\n", stop.is_ok
    _debug.is_on = found.flag("debug")
    try:
        report = await run(found)
    except Failure as failure:
        return f"shutting down <- {failure}\n", False
    except Exception as error:
        # The tool is wrong, not what it met: its author wants to see where.
        traceback.print_exc()
        return f"shutting down <- {type(error).__name__}: {error}\n", False
    return report.output(), report.is_ok


# Arguments


class Stop(Exception):
    """Why a tool does not start: help was asked for, or the arguments are wrong."""

    def __init__(self, text, is_ok):
        super().__init__(text)
        self.text = text
        self.is_ok = is_ok


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Stop(f"error: {message}\n\n{self.format_help().rstrip()}", False)


class _Help(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        raise Stop(parser.format_help().rstrip(), True)


def _parser(name, about):
    # A tool's output is no terminal, whatever it looks like from inside.
    plain = {"color": False} if sys.version_info >= (3, 14) else {}
    formatter = lambda prog: argparse.HelpFormatter(prog, width=80)  # noqa: E731
    return _Parser(prog=name, description=about, add_help=False, formatter_class=formatter, **plain)


def _import_what_argparse_imports_late():
    """It imports some modules when it first needs them, and then it is too late: they have to be in the component."""
    parser = _parser("name", "about " * 40)
    parser.add_argument("word", nargs="?", help="help " * 40)
    parser.add_argument("-n", "--number", type=int, choices=[1, 2])
    parser.format_help()
    for words in (["-n"], ["-n", "x"], ["-n", "3"], ["--unknown"], ["a", "b"]):
        try:
            parser.parse_args(words)
        except Stop:
            pass


_import_what_argparse_imports_late()


class Usage:
    """What a tool accepts: made with its name and a sentence, and the methods that add to it.

    `-h/--help` and `-d/--debug` are always there.
    """

    def __init__(self, name, about):
        self._parser = _parser(name, about)
        self._parser.add_argument("-h", "--help", action=_Help, nargs=0, help="show this help message and exit")

    def one(self, name, help, kind=str):
        """A value that has to be there."""
        return self._add(name, type=kind, help=help)

    def optional(self, name, help):
        """A text that may be missing."""
        return self._add(name, nargs="?", help=help)

    def one_or_more(self, name, help):
        """Texts, at least one."""
        return self._add(name, nargs="+", help=help)

    def flag(self, spellings, name, help):
        """A switch that takes no value."""
        return self._add(*spellings, dest=name, action="store_true", help=help)

    def value(self, spellings, name, help, kind=str):
        """A switch with one value."""
        return self._add(*spellings, dest=name, type=kind, metavar=name.upper(), help=help)

    def values(self, spellings, name, help, kind=str):
        """A switch with one or more values."""
        return self._add(*spellings, dest=name, type=kind, nargs="+", metavar=name.upper(), help=help)

    def json(self, *spellings):
        """`-j`: one line of JSON, for programs."""
        return self.flag(spellings or ("-j",), "json", "print one line of JSON instead of text")

    def indices(self, *spellings):
        """`-i`: pods given by their numbers."""
        text = "numbers of the pods to pick, in each cluster (e.g. -i 0 3)"
        return self.values(spellings or ("-i",), "indices", text, int)

    def timeout(self):
        """`-t`: seconds to wait, 60 where it is missing."""
        return self.value(("-t",), "timeout", "seconds to wait, 60 by default and at least 5", int)

    def force(self):
        """`--force`: needed where `-i` is missing."""
        return self.flag(("--force",), "force", "go ahead without -i, on every pod of the clusters")

    def read(self, words):
        """Reads the words behind the tool's name. Raises `Stop`, where help was asked for or the words do not fit."""
        parser = self._parser
        if not any("--debug" in action.option_strings for action in parser._actions):
            parser.add_argument("-d", "--debug", action="store_true", help="print what is asked and answered as well")
        return Found(vars(parser.parse_args(list(words))))

    def help(self):
        """The text of `--help`."""
        return self._parser.format_help().rstrip()

    def _add(self, *names, **settings):
        self._parser.add_argument(*names, **settings)
        return self


class Found:
    """The arguments that were found. Asking for a name that was not declared gives nothing."""

    def __init__(self, values):
        self._values = values

    def flag(self, name):
        """Whether the flag was given."""
        return bool(self._values.get(name))

    def text(self, name):
        """The value, or none."""
        return self._values.get(name)

    def int(self, name):
        """The number, or none."""
        return self._values.get(name)

    def texts(self, name):
        """All values of a list."""
        return list(self._values.get(name) or [])

    def distinct(self, name):
        """The values of a list in their order, each once."""
        return list(dict.fromkeys(self.texts(name)))

    def json(self):
        """`-j`."""
        return self.flag("json")

    def pattern(self, name):
        """The one cluster pattern, `*` where it is missing."""
        return self._values.get(name) or "*"

    def keeps(self, seq):
        """Whether `-i` means the pod with this number; every pod where it is missing."""
        indices = self._values.get("indices")
        return indices is None or seq in indices

    def timeout(self):
        """What `-t` says, in seconds, at least 5."""
        given = self._values.get("timeout")
        return max(5, 60 if given is None else given)


# What a tool leaves


class Report:
    """The end of a tool that ran through: a text for standard output, and whether it succeeded."""

    def __init__(self, text, is_ok=True):
        self._text = text
        self.is_ok = is_ok

    @classmethod
    def text(cls, text):
        """A text; an empty one prints nothing at all."""
        return cls(text)

    @classmethod
    def json(cls, value):
        """A value as one line of JSON."""
        return cls(_json.dumps(value))

    def with_success(self, is_ok):
        """The same, with an exit code of 1 where `is_ok` is false."""
        return Report(self._text, is_ok)

    def output(self):
        """What goes to standard output, with the newline at its end."""
        return f"{self._text}\n" if self._text else ""


def hint(text):
    """Tells people something that programs do not read: a silent pod, a hint. It goes to standard error."""
    print(text, file=sys.stderr, flush=True)


class _Debug:
    is_on = False

    def __call__(self, text):
        """Tells with `-d` what goes on. It goes to standard output before the result."""
        if self.is_on:
            print(text, flush=True)


_debug = _Debug()
debug = _debug


def table(header, rows):
    """Lays out rows under a header: cells are separated by `|`, a row of blanks stands below the header."""
    lines = [list(map(str, header)), [""] * len(header), *(list(map(str, row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join("  |  ".join(cell.ljust(width) for cell, width in zip(line, widths)) for line in lines)


# Pods

INFO_TIMEOUT = 5.0


@dataclass(frozen=True, order=True)
class PodId:
    """A pod's identity. People read it as `marathon.web #3`."""

    cluster: str
    seq: int

    def __str__(self):
        return f"{self.cluster} #{self.seq}"


@dataclass(frozen=True)
class Pod:
    """A registered pod: its identity, the Marathon app and task that run it, and all that it registered."""

    id: PodId
    application: Optional[str] = None
    task: Optional[str] = None
    registration: Any = field(default=None, compare=False)


@dataclass(frozen=True)
class Answer:
    """What came of asking one pod. `status` is `None` where it did not answer as a pod does; `why` says the reason then."""

    pod: PodId
    status: Optional[int] = None
    reply: Any = None
    why: str = ""
    is_registered: bool = True
    is_host: bool = False

    def body(self):
        """The body of an answer with status 200."""
        return self.reply if self.status == 200 else None

    def __str__(self):
        return self.why or f"answered HTTP {self.status}"


class pods:
    """Pods: who is there, and what they answer. Times are in seconds."""

    @staticmethod
    async def find(clusters="*"):
        """Lists the pods of every cluster whose name matches, each once, sorted by cluster, then number."""
        try:
            found = await _registry.find(clusters)
        except Err as error:
            raise PodsError(_registry_error(error.value)) from None
        read = {}
        for pod in found:
            id = PodId(pod.id.cluster, pod.id.seq)
            # A pod that connects anew has two nodes for a while.
            read.setdefault(id, Pod(id, pod.application, pod.task, _loads(pod.registration)))
        debug(f"<- registry ({len(read)} pods match {clusters})")
        return list(read.values())

    @staticmethod
    async def info(ids, timeout=INFO_TIMEOUT):
        """Asks for each pod's state, process, ports, status and metrics, secrets masked."""
        return await _ask("info", _observe.info, ids, timeout)

    @staticmethod
    async def info_with_secrets(ids, timeout=INFO_TIMEOUT):
        """As `info`, unmasked."""
        return await _ask("info", _secrets.info, ids, timeout)

    @staticmethod
    async def log(ids, timeout=INFO_TIMEOUT):
        """Asks for each pod's own log, a list of lines."""
        return await _ask("log", _observe.log, ids, timeout)

    @staticmethod
    async def on(ids, timeout=60.0):
        """Starts the sub-processes of pods."""
        return await _ask("control/on", _control.on, ids, timeout)

    @staticmethod
    async def off(ids, timeout=60.0):
        """Stops the sub-processes of pods, gracefully."""
        return await _ask("control/off", _control.off, ids, timeout)

    @staticmethod
    async def kill(ids, timeout=60.0):
        """Ends pods for good: they answer 200 while they end and 410 once they are gone."""
        return await _ask("control/kill", _control.kill, ids, timeout)

    @staticmethod
    async def signal(ids, payload, timeout=60.0):
        """Hands a value to the models of pods."""
        return await _ask("control/signal", _control.signal, ids, timeout, _json.dumps(payload))

    @staticmethod
    async def reregister(ids, timeout=60.0):
        """Makes pods connect and register anew; their sub-processes go on."""
        return await _ask("reset", _control.reregister, ids, timeout)

    @staticmethod
    async def exec(ids, command_line, files=(), timeout=60.0):
        """Runs a tool of the pods, with copies of `files` of the working folder."""
        return await _ask("exec", _exec.run, ids, timeout, command_line, list(files))


class Survey:
    """What pods answered to one question. Pods that left meanwhile are no part of it; silent ones are named on standard error."""

    def __init__(self, answers):
        there = [answer for answer in answers if answer.is_registered]
        for answer in there:
            if answer.body() is None:
                hint(f"{answer.pod}: {answer}")
        self.answers = [answer for answer in there if not answer.is_host]

    def bodies(self):
        """The pods that answered 200, with what they said."""
        return [(answer.pod, answer.body()) for answer in self.answers if answer.body() is not None]

    def percent(self, kept):
        """How many of the registered pods `kept` are, in whole percents, rounded down; 0 where there is none."""
        return 100 * kept // len(self.answers) if self.answers else 0


async def _ask(verb, call, ids, timeout, *more):
    """Asks pods all at once; gives an answer for each, in their order."""
    ids = list(ids)
    wire = [_pods_types.PodId(id.cluster, id.seq) for id in ids]
    answers = await call(wire, *more, _millis(timeout))
    read = [_answer(id, answer.outcome, timeout) for id, answer in zip(ids, answers)]
    for answer, wire in zip(read, answers):
        debug(f"-> {verb} {answer.pod} ({answer}, {wire.elapsed_ms} ms)")
    return read


def _millis(seconds):
    # Zero would mean "no time at all".
    return min(max(1, int(seconds * 1000)), 2**32 - 1)


def _loads(text):
    try:
        return _json.loads(text)
    except ValueError:
        return None


def _registry_error(error):
    if type(error).__name__ == "Error_RegistryUnreachable":
        return f"no answer from the registry: {error.value}"
    return f"cannot look up pods: {_message(error)}"


def _message(error):
    value = getattr(error, "value", None)
    return getattr(value, "message", None) or (value if isinstance(value, str) else str(error))


def _answer(pod, outcome, timeout):
    kind = type(outcome).__name__
    if kind == "Outcome_Replied":
        status, body = outcome.value.status, _loads(outcome.value.body)
        if body is None and outcome.value.body.strip() != "null":
            return Answer(pod, why=f"answered HTTP {status} with something that is not JSON")
        if isinstance(body, dict) and body.get("code") == "host-pod" and isinstance(body.get("error"), str):
            return Answer(pod, why=body["error"], is_host=True)
        return Answer(pod, status, body)
    if kind == "Outcome_TimedOut":
        return Answer(pod, why=f"no answer within {timeout:g} s")
    if kind == "Outcome_Unreachable":
        return Answer(pod, why=f"unreachable: {outcome.value}")
    if kind == "Outcome_NoControlPort":
        return Answer(pod, why="it registered no control port that can be reached")
    if kind == "Outcome_NotRegistered":
        return Answer(pod, why="not registered any more", is_registered=False)
    return Answer(pod, why=outcome.value.message, is_host=outcome.value.code == "host-pod")


# Marathon


class marathon:
    """Marathon: reading and changing apps. Definitions are values as JSON has them."""

    @staticmethod
    async def apps(query=()):
        """Lists the apps, without their tasks. `query` holds pairs for `GET /v2/apps` (`label`, `id`, ...), not yet encoded."""
        return (await _asked(_inspect.apps(list(query))))["apps"]

    @staticmethod
    async def app(id):
        """Gives one app, with its tasks."""
        found = await _asked(_inspect.app(id))
        return found.get("app", found) if isinstance(found, dict) else found

    @staticmethod
    async def versions(id):
        """Lists an app's versions, newest first."""
        return await _tried(_inspect.versions(id))

    @staticmethod
    async def version(id, version):
        """Gives an app as it was at `version`."""
        return await _asked(_inspect.version(id, version))

    @staticmethod
    async def tasks(id=None):
        """Lists the tasks of one app, or of all."""
        return (await _asked(_inspect.tasks(id)))["tasks"]

    @staticmethod
    async def deployments():
        """Lists the deployments in progress."""
        return await _asked(_inspect.deployments())

    @staticmethod
    async def queue():
        """Lists what waits to be launched, and why."""
        return (await _asked(_inspect.queue()))["queue"]

    @staticmethod
    async def create(definition):
        """Creates an app. Gives the app as Marathon completed it."""
        return await _asked(_operate.create_app(_json.dumps(definition)))

    @staticmethod
    async def update(id, change, force=False):
        """Changes an app: each member of `change` replaces the app's. Gives the deployment."""
        return await _tried(_operate.update_app(id, _json.dumps(change), force))

    @staticmethod
    async def restart(id, force=False):
        """Replaces every task of an app by a new one. Gives the deployment."""
        return await _tried(_operate.restart_app(id, force))

    @staticmethod
    async def delete(id, force=False):
        """Deletes an app and ends its tasks. Gives the deployment."""
        return await _tried(_operate.delete_app(id, force))

    @staticmethod
    async def kill_tasks(ids, scale=False, wipe=False):
        """Ends tasks. With `scale`, their apps shrink by as many; without, Marathon replaces them."""
        return await _asked(_operate.kill_tasks(list(ids), scale, wipe))

    @staticmethod
    async def cancel_deployment(id, force=False):
        """Rolls a deployment back, or with `force` drops it where it stands."""
        await _tried(_operate.cancel_deployment(id, force))


async def _tried(call):
    try:
        return await call
    except Err as error:
        raise _marathon_error(error.value) from None


async def _asked(call):
    text = await _tried(call)
    value = _loads(text)
    if value is None:
        raise MarathonError("(no answer from Marathon): it sent no JSON")
    return value


def _marathon_error(error):
    kind = type(error).__name__
    if kind == "Error_NotFound":
        return MarathonError(f"(HTTP 404): {error.value}", 404)
    if kind == "Error_Locked":
        return MarathonError(f"(HTTP 409): locked by deployments {', '.join(error.value)}", 409)
    if kind in ("Error_Invalid", "Error_Denied", "Error_Refused"):
        refusal = error.value
        return MarathonError(f"(HTTP {refusal.status}): {refusal.message}".removesuffix(": "), refusal.status)
    if kind == "Error_Timeout":
        return MarathonError(f"(no answer from Marathon): none within {error.value} ms")
    return MarathonError(f"(no answer from Marathon): {_message(error)}")


# Other tools


class proxy:
    """The proxy itself: running other tools, as a person would at the prompt."""

    @staticmethod
    async def run(argv, files=()):
        """Runs the tool `argv[0]` with copies of `files` of the working folder; several can run at once.

        Gives an outcome: `ok`, `exit_code`, `run`, `elapsed_ms`, `out`, `err`, `truncated`.
        """
        try:
            return await _shell.run(list(argv), list(files))
        except Err as error:
            raise ProxyError(_proxy_error(error.value)) from None


def _proxy_error(error):
    kind = type(error).__name__
    if kind == "Error_NoSuchTool":
        return f"no tool is named `{error.value}`"
    if kind == "Error_Denied":
        return f"this plugin may not run tools: {error.value}"
    if kind == "Error_Busy":
        return "the host is busy; try later"
    if kind == "Error_TooDeep":
        return f"runs that start runs go no deeper than {error.value}"
    return _message(error)


# Time


async def pause(seconds):
    """Waits; other parts of the tool go on."""
    await _clock.wait_for(max(0, int(seconds * 1e9)))


def now():
    """Seconds on a clock that only goes forward."""
    return _clock.now() / 1e9 if _clock._module else _time.monotonic()


class Deadline:
    """The end of the time that something has."""

    def __init__(self, seconds):
        self._end = now() + seconds

    @classmethod
    def after(cls, seconds):
        """So much time from now on."""
        return cls(seconds)

    def left(self):
        """What is left, zero where it is over."""
        return max(0.0, self._end - now())

    def is_over(self):
        """Whether it is over."""
        return self.left() == 0


async def until(deadline, pause_between, look):
    """Awaits `look()` again and again until it gives something else than `None`; `None` once the time is over."""
    while True:
        is_last = deadline.is_over()
        seen = await look()
        if seen is not None or is_last:
            return seen
        await pause(min(pause_between, deadline.left()))


async def together(*awaitables):
    """Waits for several calls at once and gives their values in order."""
    return await asyncio.gather(*awaitables)
