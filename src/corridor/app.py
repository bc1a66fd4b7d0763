# SPDX-License-Identifier: Apache-2.0
"""How it is put together: config, world, store, services, engine, ASGI.

The only module that names concrete classes. `build` makes a node in any world (the simulator's
too); `run` makes one in the real world, listens, and stops in order (node.md a).
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
import uvloop

from corridor import telemetry
from corridor.config import Config, load_peers
from corridor.engine import Engine
from corridor.engine.decide import Decide
from corridor.engine.desk import Desk, Means
from corridor.engine.ground import Ground, Home, Identify, micros
from corridor.engine.keyring import ALGORITHMS
from corridor.engine.turn import Turns
from corridor.engine.who import SelfIssued, UnsafeOpen, Who
from corridor.errors import Exit, Invalid
from corridor.evidence import tree
from corridor.http.health import Health, Meters
from corridor.http.home import home_face
from corridor.http.management import Management
from corridor.http.peer import peer_face
from corridor.http.peer import routes as peer_routes
from corridor.http.probe import get
from corridor.http.rates import Buckets
from corridor.http.routes import Receive, Scope, Send
from corridor.http.server import Listener
from corridor.limits import Limits
from corridor.outside.chance import SystemChance
from corridor.outside.clock import RealClock
from corridor.outside.disk import FolderDisk, is_local
from corridor.outside.keys import FileKeys, create_master, read_master
from corridor.outside.net import GuardedNet
from corridor.outside.watch import LoopWatch, notify
from corridor.rooms import RealRooms
from corridor.services import NAMES, Service
from corridor.settings.kinds import Listen
from corridor.settings.sections import Participant
from corridor.store import Store, open_store
from corridor.store.unit import Unit
from corridor.world import World

Seam = Callable[[Decide], Decide]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
MASTER_KEY = "master.key"
log = structlog.get_logger()


@dataclass(slots=True)
class App:
    """A node: started it takes up its work, its two ASGI apps answer."""

    config: Config
    world: World
    store: Store
    engine: Engine
    who: Who
    asgi_peer: Asgi
    asgi_home: Asgi
    desk: Desk
    management: Management
    phase: str = ""
    """Why it is not ready (starting, stopping); empty while it serves."""

    async def start(self, *, make_keys: bool = True) -> None:
        """Recover and act, where nobody needs to listen first."""
        await self.engine.prepare(make_keys=make_keys)
        self.desk.start()
        await self.engine.begin()

    async def stop(self) -> None:
        """End in order; what is not done stays due in the store."""
        await self.engine.stop()
        await self.who.close()
        await self.world.rooms.close()
        await self.store.close()


def connect_services(config: Config, world: World) -> dict[str, Service]:
    """The enabled services, each from its own folder."""
    made: dict[str, Service] = {}
    for name in NAMES:
        if name in config.services.enabled:
            module = importlib.import_module(f"corridor.services.{name}")
            settings = getattr(config.services, name)
            roots = (world.disk.path("assets"), *settings.roots)
            made[name] = module.connect(rooms=world.rooms, limits=config.limits, roots=roots)
    return made


def works(config: Config) -> tuple[str, ...]:
    """Modules that the zygote must have imported for the enabled services."""
    found: list[str] = []
    for name in config.services.enabled:
        module = importlib.import_module(f"corridor.services.{name}")
        found += getattr(module, "WORKS", ())
    return tuple(found)


def build(
    config: Config,
    world: World,
    *,
    seam: Seam | None = None,
    threads: bool = True,
    key_uses: tuple[str, ...] = tuple(ALGORITHMS),
) -> App:
    """A node in this world. `seam` wraps who decides on each step (tests, conformance)."""
    store = open_store(
        world.disk, world.clock, url=config.database.url, limits=config.limits, threads=threads
    )
    who = Who(
        net=world.net,
        clock=world.clock,
        chance=world.chance,
        keys=world.keys,
        limits=config.limits,
        http_hosts=frozenset(config.net.http_hosts),
    )
    engine = _engine(config, world, store, who, key_uses=key_uses, seam=seam)
    desk = Desk(
        Means(
            engine=engine,
            who=who,
            version=metadata.version("corridor"),
            public_url=config.node.public_url,
            floors=config.policy.floors,
            purposes={it.id: it.purposes for it in config.participants},
            modes={it.id: it.identity for it in config.participants},
        )
    )
    meters = Meters()
    health = Health(engine, meters, phase=lambda: app.phase)
    management = Management(engine, desk, hosts=config.node.hosts, health=health, meters=meters)
    shared = config.node.peer_listen.port == config.node.home_listen.port != 0
    app = App(
        config=config,
        world=world,
        store=store,
        engine=engine,
        who=who,
        asgi_peer=peer_face(engine),
        asgi_home=home_face(management, health, more=peer_routes(engine) if shared else ()),
        desk=desk,
        management=management,
    )
    return app


def _engine(
    config: Config,
    world: World,
    store: Store,
    who: Who,
    *,
    key_uses: tuple[str, ...],
    seam: Seam | None,
) -> Engine:
    """The engine, for the participants and with the services of the settings."""
    made: list[Engine] = []

    def kid(slug: str) -> str:
        return made[0].keyring.active(slug, "dsp")

    homes = {
        it.id: _home(config, it, _identify(config, it, who, world, kid))
        for it in config.participants
    }
    # An operator may publish a key for longer than peers' caches make necessary (keys.overlap).
    limits = replace(config.limits, key_publish_s=config.keys.overlap)
    ground = Ground(
        store=store,
        world=world,
        limits=limits,
        homes=homes,
        services=connect_services(config, world),
        turns=Turns(limits),
    )
    strangers = Buckets(
        world.clock, per_s=limits.address_requests_per_s, burst=limits.address_requests_burst
    )
    peers = Buckets(world.clock, per_s=limits.peer_requests_per_s, burst=limits.peer_requests_burst)
    engine = Engine(
        ground,
        people=load_peers(config.trust.peers_file),
        published=who.register,
        key_uses=key_uses,
        seam=seam,
        rates=(strangers, peers),
    )
    made.append(engine)
    return engine


def _identify(
    config: Config,
    participant: Participant,
    who: Who,
    world: World,
    kid: Callable[[str], str],
) -> Identify:
    if participant.identity == "unsafe-open":
        return UnsafeOpen(
            peer=participant.unsafe_peer,
            listeners=(config.node.peer_listen.host, config.node.home_listen.host),
            clock=world.clock,
            chance=world.chance,
            limits=config.limits,
        )
    return SelfIssued(who=who, kid=kid)


def _home(config: Config, participant: Participant, identify: Identify) -> Home:
    base = config.node.public_url.rstrip("/")
    title: Mapping[str, str] = participant.title or {"und": participant.id}
    return Home(
        slug=participant.id,
        did=participant.did,
        title=title,
        country=participant.country,
        base_url=f"{base}/{participant.id}",
        identify=identify,
        purposes=participant.purposes,
        unsolicited=config.requests.unsolicited,
    )


# --- the real world ---------------------------------------------------------------------------


def real_world(config: Config, *, master: bytes) -> World:
    """Clock, chance, network, keys, disk and rooms of this machine."""
    node, net = config.node, config.net
    clock = RealClock()
    own = frozenset({urlsplit(node.public_url).netloc}) if node.public_url else frozenset()
    return World(
        clock=clock,
        chance=SystemChance(),
        net=GuardedNet(
            limits=config.limits,
            clock=clock,
            http_hosts=frozenset(net.http_hosts),
            allow_networks=tuple(net.allow_networks),
            allow_hosts=frozenset(net.allow_hosts),
            own_hosts=own,
            refused_hosts=frozenset({str(node.peer_listen), str(node.home_listen)}) - own,
        ),
        keys=FileKeys(master),
        disk=FolderDisk(node.data_dir),
        rooms=RealRooms(
            modules=works(config), limits=config.limits, unsafe_room=config.rooms.unsafe_room
        ),
    )


def master_key(config: Config) -> bytes:
    """The node's master key; made where the data folder is new."""
    path = config.node.data_dir / MASTER_KEY
    if not path.exists() and not (config.node.data_dir / "corridor.db").exists():
        config.node.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return create_master(path)
    return read_master(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the data folder: a second node on it is refused."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Invalid(
                "another node runs on this folder",
                code="folder-in-use",
                cause=str(folder),
                mend="stop it, or give this one its own node.data_dir",
            ) from error
        yield


class Running:
    """A node that listens: started in the order of node.md a, stopped within its bound."""

    def __init__(self, config: Config, *, seam: Seam | None = None) -> None:
        self.config = config
        self._seam = seam
        self.app: App | None = None
        self._listeners: list[Listener] = []
        self._watch = LoopWatch()

    async def start(self) -> dict[str, Any]:
        """Everything up to ready; what the ready line says."""
        config = self.config
        master = master_key(config)
        if not is_local(config.node.data_dir):
            raise Invalid("the data folder is not on a local disk", code="disk-remote")
        world = real_world(config, master=master)
        app = self.app = build(config, world, seam=self._seam)
        app.phase = "starting"
        self._watch.start()
        self._check_high_water(app)
        self._check_clock(app)
        await app.engine.prepare()
        app.desk.start()
        await self._listen(app)
        await app.engine.begin()
        await self._probe(app)
        app.phase = ""
        log.info(telemetry.NODE_READY, peer=config.node.public_url)
        return {
            "event": "ready",
            "node": config.node.name,
            "peer": config.node.public_url,
            "home": f"http://{config.node.home_listen}",
            "participants": {it.id: it.did for it in config.participants},
            "development": config.node.development,
            "lacks": list(getattr(world.rooms, "degraded", ())),
        }

    async def _listen(self, app: App) -> None:
        node, tls = self.config.node, self.config.tls
        faces: list[tuple[Asgi, Listen, Path | None, Path | None]] = [
            (app.asgi_home, node.home_listen, None, None)
        ]
        if node.peer_listen.port != node.home_listen.port:
            faces.append((app.asgi_peer, node.peer_listen, tls.certificate_file, tls.key_file))
        for asgi, address, certificate, private_key in faces:
            listener = Listener(limits=self.config.limits, clock=app.world.clock)
            await listener.start(
                asgi,
                address.host,
                address.port,
                certificate=certificate,
                private_key=private_key,
            )
            self._listeners.append(listener)

    async def _probe(self, app: App) -> None:
        """One durable unit, and what peers must find: each participant's own document."""
        probe = app.store.node.meta.put("probe", app.world.clock.now().isoformat())
        await app.store.run(Unit((probe,)))
        for home in app.engine.ground.homes.values():
            found = await get(app.asgi_peer, f"/{home.slug}/did.json")
            if found != app.engine.keyring.document(home):
                raise Invalid(f"{home.slug} does not serve its own DID document", code="internal")

    def _check_high_water(self, app: App) -> None:
        """A store behind what was signed outside it is an old backup: refuse (evidence.md 7)."""
        for home in app.engine.ground.homes.values():
            raw = app.world.disk.read(f"high-water/{home.slug}.json")
            if raw is None:
                continue
            guard = msgspec.json.decode(raw)
            head = app.store.of(home.slug).ledger.head()
            size, signed = 0 if head is None else head.size, guard["size"]
            ledger = app.store.of(home.slug).ledger
            if size < signed:
                cause = f"{size} entries, {signed} were signed"
            elif tree.root(ledger.tile, signed).hex() != guard["root"]:
                cause = f"other entries than the {signed} that were signed"
            else:
                continue
            raise Invalid(
                f"the store of {home.slug} is not the one that it has signed",
                code="ledger-fenced",
                cause=cause,
                mend="put the newer database back",
            )

    def _check_clock(self, app: App) -> None:
        """A wall clock behind the ledger's last entry would deny everything, or worse, lie."""
        now = micros(app.world.clock.now())
        for head in app.store.node.ledgers.all():
            behind = (head.last_time - now) / 1e6
            if behind > self.config.limits.clock_back_s_max:
                raise Invalid(
                    f"this clock is {behind:.0f} s behind the last entry of the ledger",
                    code="clock-off",
                    mend="set the clock, then start again",
                )

    async def stop(self) -> None:
        """Drain, close, and let go, in at most `stop_total_s`; what is not done stays due."""
        log.info(telemetry.NODE_DRAINING)
        try:
            async with asyncio.timeout(self.config.limits.stop_total_s):
                await self._stop()
        except TimeoutError:
            log.exception(telemetry.NODE_STOPPED)
        else:
            log.info(telemetry.NODE_STOPPED)
        finally:
            self._watch.stop()

    async def _stop(self) -> None:
        limits, app = self.config.limits, self.app
        if app is not None:
            serving, app.phase = not app.phase, "stopping"
            if serving and limits.drain_grace_s:
                await app.world.clock.sleep(limits.drain_grace_s)
            app.management.drain()
        for listener in self._listeners:
            listener.drain()
        closing = [it.stop(self._grace(limits)) for it in self._listeners]
        if app is not None:
            closing.append(app.engine.hush())
        await asyncio.gather(*closing)
        if app is not None:
            await app.stop()
            if isinstance(app.world.net, GuardedNet):
                await app.world.net.close()

    def _grace(self, limits: Limits) -> float:
        return 0.0 if self.config.node.development else limits.stop_streams_s


async def _run(config: Config, *, seam: Seam | None = None, supervisor: str = "") -> int:
    stopping = asyncio.Event()
    signals = 0

    def signalled() -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            os._exit(int(Exit.INTERRUPTED))
        stopping.set()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, signalled)
    with locked(config.node.data_dir):
        node = Running(config, seam=seam)
        try:
            told = await node.start()
            sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
            sys.stdout.flush()
            notify(supervisor, "READY=1")
            await stopping.wait()
        finally:
            notify(supervisor, "STOPPING=1")
            await node.stop()
    return int(Exit.DONE)


def log_to_stderr(config: Config) -> None:
    """Log lines go to standard error, as JSON or, on a terminal, as text: output is for answers."""
    text = config.log.format == "text" or (config.log.format == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if text else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(config.log.level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def run(config: Config, *, seam: Seam | None = None, supervisor: str = "") -> int:
    """Run a node until SIGTERM or SIGINT; one JSON line on standard output when it is ready.

    `supervisor`: the address in `NOTIFY_SOCKET`, told the same.
    """
    log_to_stderr(config)
    return uvloop.run(_run(config, seam=seam, supervisor=supervisor))
