"""`python3 -m unittest discover tests`, on this machine. `ocho plugin test` plays `scenes/` in the real engine."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / ".ocho" / "python")]

import app  # noqa: E402


class Tool(unittest.TestCase):
    def test_pods_that_run_are_counted(self):
        self.assertEqual(app.count([{"process": "running"}, {"process": "stopped"}, {}]), 1)

    def test_arguments(self):
        args = app.usage().read(["*web", "-j"])
        self.assertEqual((args.pattern("clusters"), args.json()), ("*web", True))
        self.assertEqual(app.usage().read([]).pattern("clusters"), "*")


if __name__ == "__main__":
    unittest.main()
