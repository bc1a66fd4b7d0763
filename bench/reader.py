# SPDX-License-Identifier: Apache-2.0
"""Reads one answer and throws it away, in a process of its own: `HOST PORT PATH TOKEN PAUSE_S`.

Says a line of JSON at the first byte, and one at the end: bytes, seconds, when the last byte came
(the machine's monotonic clock), and whether it ended in order. `PAUSE_S`: rest after each block.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time

BLOCK = 1 << 20


def main(host: str, port: str, path: str, token: str, pause: str) -> None:
    """One GET."""
    buffer = bytearray(BLOCK)
    with socket.create_connection((host, int(port))) as one:
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", f"Authorization: {token}"]
        one.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        began = last = time.monotonic()
        head = b""
        while b"\r\n\r\n" not in head:
            part = one.recv(4096)
            if not part:
                raise SystemExit("no answer")
            head += part
        head, _, rest = head.partition(b"\r\n\r\n")
        print(json.dumps({"event": "ready", "status": int(head.split()[1])}), flush=True)
        length = re.search(rb"content-length: (\d+)", head.lower())
        wanted = int(length[1]) if length else -1
        size, whole, rest_s = len(rest), False, float(pause)
        try:
            while size != wanted and (count := one.recv_into(buffer)):
                size += count
                last = time.monotonic()
                if rest_s:
                    time.sleep(rest_s)
            whole = size == wanted
        except ConnectionError:
            pass
    told = {"bytes": size, "seconds": last - began, "last": last, "whole": whole}
    print(json.dumps(told), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
