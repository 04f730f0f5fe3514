"""Jobs in Python: parts of a bundle that a CI system hands to the servo.

A job is a module with one line more than a script:

    from ocho_job import check, job, proxy

    async def main():
        clusters = await proxy("ls")
        check("test.web" in clusters, "web is not deployed")

    Run = job(main)

`build.sh` beside this file makes a component of it. Import every module at the top of a file: what is imported later
is not in the component.
"""

import asyncio
import json
import os
import shlex
import sys
import traceback
from dataclasses import dataclass
from urllib.parse import urlsplit

try:
    from componentize_py_types import Err, Ok
    from wit_world import result_option_wasi_http_types_fields_wasi_http_types_error_code_future as trailers_future
    from wit_world import byte_stream, exports
    from wit_world import result_unit_wasi_http_types_error_code_future as outcome_future
    from wit_world.imports import client, monotonic_clock, shell
    from wit_world.imports import wasi_http_types as types
except ImportError:
    if sys.platform == "wasi":
        raise  # a line is missing in the world that the job is built with
    # On the author's machine: the parts of a job that ask nobody can be tested as they are.
    exports = types = None

    class Err(Exception):
        """What a call of the host raises."""


class JobError(Exception):
    """Why a job fails. Its text is what the log of the job ends with."""


class ToolFailed(JobError):
    """A tool ran and failed. `out` is what it printed, `json` the same read, if it is JSON."""

    def __init__(self, line, outcome):
        said = "; ".join(text.strip() for text in (outcome.out, outcome.err) if text.strip())
        super().__init__(f"`{line}` failed: {said or f'exit code {outcome.exit_code}'}")
        self.out = outcome.out
        self.json = _json_of(outcome.out)


def job(main):
    """Makes an `async def main()` the job of this module: `Run = job(main)`."""
    if exports is None:
        return None

    class Run(exports.Run):
        async def run(self):
            try:
                await main()
            except JobError as error:
                print(f"failure -> {error}", flush=True)
                raise Err(None) from None
            except Exception:
                # The end of standard error follows in the log of a job that failed.
                traceback.print_exc()
                sys.stderr.flush()
                raise Err(None) from None
            sys.stdout.flush()

    return Run


def check(holds, why):
    """Fails the job with this reason unless something holds."""
    if not holds:
        raise JobError(why)


async def proxy(line):
    """Runs one command of the proxy, as one would type it, and gives its JSON. Files of the bundle that it names go along."""
    out = await _run(line, _words(line) + ["-j"])
    value = _json_of(out)
    if value is None:
        raise JobError(f"`{line}` printed no JSON: {out.strip()[:500]}")
    return value


async def proxy_text(line):
    """Runs one command of the proxy and gives what it printed."""
    return await _run(line, _words(line))


def _words(line):
    try:
        return shlex.split(line)
    except ValueError as error:
        raise JobError(f"`{line}`: {error}") from None


async def _run(line, argv):
    files = [word for word in argv[1:] if os.path.isfile(word)]
    try:
        outcome = await shell.run(argv, files)
    except Err as error:
        raise JobError(f"`{line}`: {_told(error.value)}") from None
    if not outcome.ok:
        raise ToolFailed(line, outcome)
    return outcome.out


def _told(error):
    """Why nothing ran, as a sentence."""
    kind = type(error).__name__
    if kind == "Error_NoSuchTool":
        return f"no tool is named `{error.value}`"
    if kind == "Error_Denied":
        return f"this plugin may not run tools: {error.value}"
    if kind == "Error_Busy":
        return "the host is busy; try later"
    if kind == "Error_TooDeep":
        return f"runs that start runs go no deeper than {error.value}"
    return getattr(getattr(error, "value", error), "message", error)


def _json_of(out):
    lines = out.strip().splitlines() or [""]
    for text in (out, lines[-1]):
        try:
            return json.loads(text)
        except ValueError:
            pass
    return None


async def wait(seconds):
    """Waits. It costs no CPU time."""
    await monotonic_clock.wait_for(int(seconds * 1e9))


async def retry(times, seconds, attempt):
    """Calls `attempt` (an `async def`) until it works, so many times, with a pause; raises the last error."""
    for left in reversed(range(times)):
        try:
            return await attempt()
        except Exception:
            if left == 0:
                raise
        await wait(seconds)
    raise ValueError("at least one attempt is needed")


def variable(name, default=None):
    """A variable that the caller gave: `-v stage:prod` is `variable("STAGE")`."""
    value = os.environ.get(name, default)
    check(value is not None, f"variable `{name}` is not set")
    return value


class Secret:
    """A text that does not print."""

    def __init__(self, text):
        self._text = text

    def reveal(self):
        return self._text

    def __repr__(self):
        return "Secret(..)"


def secret(name):
    """Reads the secret that came as `<name>.aes`, without the end of its last line."""
    try:
        with open(name, encoding="utf-8", newline="") as file:
            return Secret(file.read().removesuffix("\n").removesuffix("\r"))
    except (OSError, ValueError) as error:
        raise JobError(f"file `{name}`: {type(error).__name__}") from None


@dataclass
class Response:
    """An HTTP answer."""

    status: int
    body: bytes

    def is_ok(self):
        return 200 <= self.status < 300

    def text(self):
        return self.body.decode("utf-8", "replace")


SCHEMES = {"http": "Http", "https": "Https"}
METHODS = {"GET": "Get", "POST": "Post", "PUT": "Put", "DELETE": "Delete"}


async def http(url, method="GET", body=b"", headers=None, timeout=30):
    """Sends a request, to pods of the cluster or to hosts that the operator allowed. A redirect is an answer like any other.

    Connecting may take `timeout` seconds, and then the answer's first byte as long.
    """
    parts = urlsplit(url)
    check(parts.scheme in SCHEMES and parts.netloc, f"`{url}`: the URL must begin with http:// or https:// and a host")
    fields = [(name, value.encode()) for name, value in (headers or {}).items()]
    writer, contents = byte_stream() if body else (None, None)
    if body:
        fields.append(("content-length", str(len(body)).encode()))
    try:
        options = types.RequestOptions()
        options.set_connect_timeout(int(timeout * 1e9))
        options.set_first_byte_timeout(int(timeout * 1e9))
        request, _ = types.Request.new(types.Fields.from_list(fields), contents, trailers_future(lambda: Ok(None))[1], options)
        known = METHODS.get(method)
        request.set_method(getattr(types, f"Method_{known}")() if known else types.Method_Other(method))
        request.set_scheme(getattr(types, f"Scheme_{SCHEMES[parts.scheme]}")())
        request.set_authority(parts.netloc)
        request.set_path_with_query((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        answer, _ = await asyncio.gather(client.send(request), _send(writer, body))
    except Err as error:
        raise JobError(f"`{url}`: {error.value}") from None
    status = answer.get_status_code()
    stream, _ = types.Response.consume_body(answer, outcome_future(lambda: Ok(None))[1])
    blocks = []
    with stream:
        while not stream.writer_dropped:
            blocks.append(await stream.read(64 * 1024))
    return Response(status, b"".join(blocks))


async def _send(writer, body):
    if writer is not None:
        with writer:
            await writer.write_all(body)
