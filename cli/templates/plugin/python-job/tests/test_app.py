"""`python3 -m unittest discover tests`, on this machine. `ocho plugin test` plays `scenes/` in the real engine."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / ".ocho" / "python")]

import app  # noqa: E402


class Job(unittest.TestCase):
    def test_clusters_are_counted(self):
        clusters = {"test.web": {"status": "", "running": 1, "total": 2}}
        self.assertEqual(app.count(clusters, "test.web"), (1, 2))
        self.assertEqual(app.count(clusters, "test.db"), (0, 0))


if __name__ == "__main__":
    unittest.main()
