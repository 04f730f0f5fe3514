"""The scenes of a plugin in a test, with pytest or unittest: the built component in the real engine, against the pretend
cluster of `scenes/*.toml`.

    from ocho_scenes import check

    def test_scenes():
        check(".")

It is the program `ocho` that plays them. $OCHO says where it is; without it, it is looked for in the PATH. This module runs
in your own Python, not in the component.
"""

import json
import os
import subprocess


class ScenesError(Exception):
    """No scene was played: `ocho` is missing, the plugin does not build, or a scene does not read."""


def play(folder=".", component=None):
    """Builds the plugin in `folder` (or takes `component`) and plays its scenes.

    Gives what `ocho plugin test --json` prints: `passed`, `failed`, and `scenes`, each with `scene`, `passed`,
    `differences`, `exit_code`, `out`, `err` and `orders`.
    """
    program = os.environ.get("OCHO", "ocho")
    words = [program, "plugin", "test", "--json"]
    if component is not None:
        words += ["--component", os.fspath(component)]
    words += ["--", os.fspath(folder)]
    try:
        ended = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace")
    except OSError as cause:
        raise ScenesError(f"`{program}` cannot be run: set $OCHO to the program `ocho`, or put it into the PATH: {cause}") from cause
    try:
        return json.loads(ended.stdout)
    except ValueError:
        raise ScenesError(f"no scene was played\n{ended.stderr}{ended.stdout}".rstrip()) from None


def check(folder=".", component=None):
    """Plays the scenes; raises AssertionError with what differs where one does not go as expected."""
    played = play(folder, component)
    if played["failed"]:
        bad = [scene for scene in played["scenes"] if not scene["passed"]]
        told = [f"{scene['scene']}: " + "\n".join(scene["differences"]) for scene in bad]
        raise AssertionError(f"{played['passed']} scenes went as expected, {played['failed']} did not\n" + "\n".join(told))
