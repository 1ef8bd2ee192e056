"""A Postgres server of a test's own, in a temporary folder, on a loopback port."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PASSWORD = "s3cr3t-wort"
SETTINGS = ("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=40")


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not found:
        pytest.skip("no Postgres server here (Debian: apt-get install postgresql)")
    return found[-1].parent


def _account() -> dict[str, object]:
    """Postgres refuses root: another account then runs it."""
    if os.getuid() != 0:
        return {}
    import pwd

    names = {one.pw_name: one for one in pwd.getpwall()}
    account = names.get("postgres") or names.get("nobody")
    if account is None:
        pytest.skip("Postgres refuses root, and there is no other account")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@dataclass
class Server:
    """A server that can be started, stopped and killed."""

    folder: Path
    binaries: Path
    account: dict[str, object]
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://em2cryo:{password}@127.0.0.1:{self.port}/{database}"

    def run(self, *command: str) -> None:
        subprocess.run(command, check=True, cwd=self.folder, capture_output=True, **self.account)  # type: ignore[call-overload]

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # type: ignore[call-overload]
                [self.binaries / "postgres", "-D", "data", "-p", str(self.port), "-k", str(self.folder), *SETTINGS],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                **self.account,
            )
        ready = [self.binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill -9 of the server; its helpers see that and end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def create_database(self, name: str) -> str:
        env = {"PGPASSWORD": PASSWORD, "PATH": os.environ["PATH"]}
        command = [self.binaries / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "em2cryo", name]
        subprocess.run(command, check=True, env=env, capture_output=True)
        return self.url(name)


@contextlib.contextmanager
def postgres_server() -> Iterator[Server]:
    """A running server with password log-in; the test is skipped where there are no binaries."""
    binaries, account = _binaries(), _account()
    folder = Path(tempfile.mkdtemp(prefix="em2cryo-postgres-"))  # the account cannot enter the folders of pytest
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(folder, binaries, account, port)
    try:
        (folder / "password").write_text(PASSWORD)
        if account:
            for path in (folder, folder / "password"):
                os.chown(path, account["user"], account["group"])  # type: ignore[arg-type]
        initdb = ("-D", "data", "-U", "em2cryo", "-A", "scram-sha-256", "--pwfile", "password", "--no-sync")
        server.run(str(binaries / "initdb"), *initdb)
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.process.terminate()
            server.process.wait()
        shutil.rmtree(folder)
