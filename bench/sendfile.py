# SPDX-License-Identifier: Apache-2.0
"""What there is without Corridor: each caller gets the file by `sendfile`. `python -m … PATH`."""

from __future__ import annotations

import json
import os
import socket
import sys


def main(path: str) -> None:
    """Serve one caller after the other until SIGTERM."""
    with socket.create_server(("127.0.0.1", 0)) as listening, open(path, "rb") as file:  # noqa: PTH123
        port = listening.getsockname()[1]
        print(json.dumps({"event": "ready", "peer": f"http://127.0.0.1:{port}"}), flush=True)
        size = os.fstat(file.fileno()).st_size
        while True:
            one, _ = listening.accept()
            with one:
                one.recv(65536)
                one.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode())
                sent = 0
                while sent < size:
                    sent += os.sendfile(one.fileno(), file.fileno(), sent, size - sent)


if __name__ == "__main__":
    main(sys.argv[1])
