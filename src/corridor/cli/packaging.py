# SPDX-License-Identifier: Apache-2.0
"""Texts of the files that `corridor init` writes beside the settings."""

from __future__ import annotations

from pathlib import Path

PEERS = """\
# Facts of partners that no credential proves yet: what you vouch for. Example:
#
# [[peer]]
# did = "did:web:corridor.institute.example:institute"
# country = "RS"
#
#   [[peer.credential]]
#   type = "MembershipCredential"
#   issuer = "did:web:centre.example"
#   claims = { role = "research" }
#   valid_until = 2027-12-31T00:00:00Z
"""

CONTAINERFILE = """\
# A node in a container: rootless, read-only root, one volume for its data.
#   podman build -t corridor .
#   podman run --read-only -v corridor-data:/var/lib/corridor \\
#     -v ./corridor.toml:/etc/corridor/corridor.toml:ro -p 127.0.0.1:7000:7000 corridor
FROM docker.io/library/python:3.11-slim
RUN pip install --no-cache-dir 'corridor[tables]' \\
 && useradd --system --home-dir /var/lib/corridor --create-home corridor
USER corridor
VOLUME /var/lib/corridor
ENTRYPOINT ["corridor", "--config", "/etc/corridor/corridor.toml"]
CMD ["up"]
"""

UNIT = """\
[Unit]
Description=Corridor node
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
User=corridor
ExecStart={program} up --config {folder}/corridor.toml
Restart=on-failure
TimeoutStopSec=60
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
ReadWritePaths={data}
UMask=0077

[Install]
WantedBy=multi-user.target
"""


def unit(program: str, folder: Path, data: Path) -> str:
    """The systemd unit."""
    return UNIT.format(program=program, folder=folder, data=data)
