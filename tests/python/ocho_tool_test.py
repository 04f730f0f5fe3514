"""The Python SDK for tools against a host of plain objects: what answers become, and what a tool prints."""

import asyncio
import contextlib
import io
import pathlib
import sys
import types
import unittest
from dataclasses import dataclass
from typing import Any

ROOT = pathlib.Path(__file__).parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "sdk" / "python"))


@dataclass
class Wire:
    """A record or a case of a variant, as componentize-py makes them."""

    value: Any = None


def case(name, value=None):
    return type(name, (Wire,), {})(value)


def record(**members):
    return types.SimpleNamespace(**members)


class Err(Exception):
    def __init__(self, value):
        super().__init__(value)
        self.value = value


class Host:
    """What the calls of one test give, or raise."""

    def __init__(self):
        self.asked = []
        self.gives = {}

    def function(self, name):
        async def call(*arguments):
            self.asked.append((name, *arguments))
            given = self.gives[name]
            if isinstance(given, Err):
                raise given
            return given

        return call


HOST = Host()


def module(name, functions):
    made = types.ModuleType(f"wit_world.imports.{name}")
    for function in functions:
        setattr(made, function, HOST.function(f"{name}.{function}"))
    sys.modules[made.__name__] = made
    return made


def pretend_to_be_a_component():
    sys.modules["componentize_py_types"] = types.ModuleType("componentize_py_types")
    sys.modules["componentize_py_types"].Err = Err
    world = types.ModuleType("wit_world")
    world.exports = types.SimpleNamespace(Run=object)
    sys.modules["wit_world"] = world
    sys.modules["wit_world.imports"] = types.ModuleType("wit_world.imports")
    module("registry", ["find"])
    module("observe", ["info", "log"])
    module("inspect", ["app", "tasks"])
    module("shell", ["run"])
    module("ocho_pods_types", []).PodId = lambda cluster, seq: record(cluster=cluster, seq=seq)
    module("environment", []).get_arguments = lambda: ["it", "-j", "a.b"]


pretend_to_be_a_component()

from ocho_tool import Failure, MarathonError, PodId, PodsError, ProxyError, Report, Survey, Usage, answer, marathon, pods, proxy, table, tool  # noqa: E402


def pod(cluster, seq, registration="{}"):
    return record(id=record(cluster=cluster, seq=seq), application="app", task=None, registration=registration)


def replied(status, body):
    return record(outcome=case("Outcome_Replied", record(status=status, body=body)), elapsed_ms=1)


def outcome(name, value=None):
    return record(outcome=case(name, value), elapsed_ms=1)


def run(call):
    return asyncio.run(call)


class Pods(unittest.TestCase):
    def test_they_are_found_once(self):
        HOST.gives["registry.find"] = [pod("a.b", 1), pod("a.b", 1), pod("a.c", 0, "no JSON")]
        found = run(pods.find("a.*"))
        self.assertEqual([str(one.id) for one in found], ["a.b #1", "a.c #0"])
        self.assertIsNone(found[1].registration)

    def test_a_registry_that_fails_is_told(self):
        HOST.gives["registry.find"] = Err(case("Error_RegistryUnreachable", "10 s"))
        with self.assertRaisesRegex(PodsError, "no answer from the registry: 10 s"):
            run(pods.find())
        HOST.gives["registry.find"] = Err(case("Error_Other", record(code="x", message="odd")))
        with self.assertRaisesRegex(PodsError, "cannot look up pods: odd"):
            run(pods.find())

    def test_every_pod_has_its_answer(self):
        ids = [PodId("a.b", seq) for seq in range(8)]
        HOST.gives["observe.info"] = [
            replied(200, '{"process": "running"}'),
            replied(410, "{}"),
            replied(200, "<html>"),
            replied(406, '{"code": "host-pod", "error": "this is a host"}'),
            outcome("Outcome_TimedOut"),
            outcome("Outcome_Unreachable", "refused"),
            outcome("Outcome_NotRegistered"),
            outcome("Outcome_Other", record(code="host-pod", message="that is me")),
        ]
        answers = run(pods.info(ids, 2))
        self.assertEqual([answer.pod for answer in answers], ids)
        self.assertEqual(HOST.asked[-1][2], 2000)
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            survey = Survey(answers)
        self.assertEqual([id.seq for id, _ in survey.bodies()], [0])
        # The ones that left and the host's own do not count, and only the first of these is not named.
        self.assertEqual(len(survey.answers), 5)
        self.assertEqual(survey.percent(1), 20)
        self.assertEqual(
            said.getvalue().splitlines(),
            [
                "a.b #1: answered HTTP 410",
                "a.b #2: answered HTTP 200 with something that is not JSON",
                "a.b #3: this is a host",
                "a.b #4: no answer within 2 s",
                "a.b #5: unreachable: refused",
                "a.b #7: that is me",
            ],
        )

    def test_pods_may_come_one_by_one(self):
        HOST.gives["observe.info"] = [replied(200, "{}"), replied(200, "{}")]
        answers = run(pods.info(PodId("a.b", seq) for seq in range(2)))
        self.assertEqual([answer.pod.seq for answer in answers], [0, 1])

    def test_a_call_that_is_not_imported_says_which_line_is_missing(self):
        with self.assertRaisesRegex(Failure, r"add `import ocho:pods/control@0.1.0;` to wit/plugin.wit"):
            run(pods.kill([PodId("a.b", 1)]))


class Others(unittest.TestCase):
    def test_marathon(self):
        HOST.gives["inspect.app"] = '{"app": {"id": "/a"}}'
        self.assertEqual(run(marathon.app("a")), {"id": "/a"})
        HOST.gives["inspect.tasks"] = '{"tasks": [{"id": "t"}]}'
        self.assertEqual(run(marathon.tasks("a")), [{"id": "t"}])
        refusal = record(status=422, message="bad", body="{}")
        for error, text, status in [
            (case("Error_NotFound", "no app"), r"\(HTTP 404\): no app", 404),
            (case("Error_Locked", ["d1"]), r"\(HTTP 409\): locked by deployments d1", 409),
            (case("Error_Invalid", refusal), r"\(HTTP 422\): bad", 422),
            (case("Error_Timeout", 5), "none within 5 ms", None),
            (case("Error_Unreachable", "nobody"), "nobody", None),
            (case("Error_Other", record(code="x", message="odd")), "odd", None),
        ]:
            HOST.gives["inspect.app"] = Err(error)
            with self.assertRaisesRegex(MarathonError, text) as told:
                run(marathon.app("a"))
            self.assertEqual(told.exception.status, status)
        HOST.gives["inspect.app"] = "<html>"
        with self.assertRaises(MarathonError):
            run(marathon.app("a"))

    def test_other_tools(self):
        HOST.gives["shell.run"] = Err(case("Error_NoSuchTool", "x"))
        with self.assertRaisesRegex(ProxyError, "no tool is named `x`"):
            run(proxy.run(["x"]))

    def test_tables(self):
        self.assertEqual(table(["a", "b"], [["xy", 1]]), "a   |  b\n    |   \nxy  |  1")


class Tool(unittest.TestCase):
    usage = Usage("it", "Do it.").optional("clusters", "pattern").json("-j").indices().timeout()

    def answered(self, words, run_tool):
        with contextlib.redirect_stderr(io.StringIO()):
            return run(answer(self.usage, words, run_tool))

    def test_arguments(self):
        args = self.usage.read(["a.b", "-i", "1", "2", "-t", "1"])
        self.assertEqual((args.pattern("clusters"), args.keeps(2), args.keeps(3), args.timeout()), ("a.b", True, False, 5))
        self.assertEqual((self.usage.read([]).pattern("clusters"), self.usage.read([]).timeout()), ("*", 60))

    def test_ends(self):
        async def ok(args):
            return Report.json({"json": args.json()})

        async def failed(args):
            raise Failure("because")

        async def wrong(args):
            return {}["missing"]

        async def partly(args):
            return Report.text("half").with_success(False)

        self.assertEqual(self.answered(["-j"], ok), ('{"json": true}\n', True))
        self.assertEqual(self.answered([], failed), ("shutting down <- because\n", False))
        self.assertEqual(self.answered([], partly), ("half\n", False))
        self.assertEqual(self.answered([], wrong), ("shutting down <- KeyError: 'missing'\n", False))
        text, is_ok = self.answered(["-x"], ok)
        self.assertTrue(text.startswith("error: unrecognized arguments: -x\n\nusage: it ") and not is_ok)
        text, is_ok = self.answered(["-h"], ok)
        self.assertTrue(text.startswith("usage: it ") and is_ok)

    def test_the_entry_point_prints_and_fails_as_the_tool_does(self):
        async def said(args):
            return Report.text(args.pattern("clusters")).with_success(args.pattern("clusters") == "a.b")

        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            run(tool(lambda: self.usage, said)().run())
        self.assertEqual(out.getvalue(), "a.b\n")

        async def bad(args):
            raise Failure("no")

        with contextlib.redirect_stdout(out), self.assertRaises(Err):
            run(tool(lambda: self.usage, bad)().run())


if __name__ == "__main__":
    unittest.main()
