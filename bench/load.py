# SPDX-License-Identifier: Apache-2.0
"""Load from another process: wrk with a script that makes each request, 32 connections at most."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.nodes import Node

CONNECTIONS = 32
WITHOUT = "wrk is not installed (Debian: apt-get install wrk)"

# What is asked stands in a file, a request a block: method, path, headers, an empty line, body.
# Read once; each request is sent once, in order.
SCRIPT = """
local made, at = {}, 0
function init(args)
  local file = io.open(args[1], "rb")
  local text = file:read("*a")
  file:close()
  local from = 1
  while true do
    local length, begins = text:match("^(%d+)\\n()", from)
    if not length then break end
    made[#made + 1] = text:sub(begins, begins + length - 1)
    from = begins + length
  end
  again = args[2] == "again"
end
function request()
  at = at + 1
  if at > #made then
    if not again then wrk.thread:stop() return made[#made] end
    at = 1
  end
  return made[at]
end
local bad = 0
function response(status) if status >= 400 then refused = (refused or 0) + 1 end end
local threads = {}
function setup(thread) threads[#threads + 1] = thread end
function done(summary, latency)
  local n = 0
  for _, thread in ipairs(threads) do n = n + (thread:get("refused") or 0) end
  io.write(string.format("TOLD %d %d %d %d %d %d\\n", summary.requests, summary.duration, n,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it. Latencies in seconds; `cpu_us`: processor time of the server a request."""

    per_s: float
    requests: int
    refused: int
    broken: int
    median_s: float
    p99_s: float
    cpu_us: float


def there() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def block(method: str, url: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request as the script reads it."""
    _, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    lines = [f"{method} /{path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    raw = "\r\n".join([*lines, "", ""]).encode() + body
    return str(len(raw)).encode() + b"\n" + raw


async def drive(
    folder: Path, one: Node, blocks: bytes, seconds: int, *, again: bool = False
) -> Load:
    """Send these requests for so long, or until there are no more."""
    script, data = folder / "load.lua", folder / "requests"
    script.write_text(SCRIPT)
    data.write_bytes(blocks)
    _, _, rest = one.base.partition("://")
    before = one.cpu_s()
    process = await asyncio.create_subprocess_exec(
        "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script),
        f"http://{rest.partition('/')[0]}", "--", str(data), "again" if again else "once",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    found = re.search(rb"TOLD (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", said)
    if found is None:
        raise RuntimeError(f"wrk said {said[-500:]!r}")
    requests, micros, refused, broken, median, p99 = (int(it) for it in found.groups())
    cpu_us = (one.cpu_s() - before) * 1e6 / requests
    return Load(requests * 1e6 / micros, requests, refused, broken, median / 1e6, p99 / 1e6, cpu_us)
