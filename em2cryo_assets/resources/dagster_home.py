"""Where Dagster keeps the runs and events of a study: SQLite in the study's folder, or a Postgres database.

Belongs here: writing ``dagster.yaml``, opening the instance, and saying what is wrong with its database.
Does not belong here: what the runs do (`automation`).
"""

import contextlib
import importlib.resources
import importlib.util
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import dagster as dg
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from em2cryo_assets.formats.errors import InputError

__all__ = ["POSTGRES", "DatabaseError", "open_instance", "reach_database", "told_of_databases", "write_settings"]

POSTGRES: Final = "EM2CRYO_POSTGRES"
"""Environment variable with the address of the database, ``postgresql://user:password@host:port/name``."""

_SCHEME: Final = "postgresql+psycopg2"
_OWNER: Final = "em2cryo/study"
_ID_FILE: Final = "study-id"


class DatabaseError(RuntimeError):
    """The database of runs and events cannot be used; the message says why, without a password."""


def write_settings(home: Path) -> None:
    """Write ``dagster.yaml`` where there is none, and change one of ours if `POSTGRES` asks for another database.

    A file that its owner wrote or changed is never touched.

    Parameters
    ----------
    home : pathlib.Path
        The study's Dagster home; exists.

    Raises
    ------
    InputError
        If the variable and the file contradict each other, the address is none, or the package for Postgres is missing.
    """
    path = home / "dagster.yaml"
    plain, wanted = _template("dagster.yaml"), bool(os.environ.get(POSTGRES))
    postgres = plain + _template("postgres.yaml")
    text = path.read_text(encoding="utf-8") if path.exists() else None
    if wanted:
        address = os.environ[POSTGRES]
        _check_address(address)
        os.environ[POSTGRES] = _with_driver(address)
        if text in (None, plain):
            _replace(path, postgres)
        elif text is not None and POSTGRES not in text:
            raise InputError(
                path,
                f"{POSTGRES} is set, but this file was changed by hand and does not use it.",
                f"add these lines to it, or delete it:\n{_template('postgres.yaml')}",
            )
    elif text is None:
        _replace(path, plain)
    elif text == postgres:
        raise InputError(
            path,
            f"the runs of this study are in Postgres, and {POSTGRES} is not set.",
            f"set {POSTGRES}=postgresql://user:password@host/name; or delete the file to begin anew with SQLite.",
        )


@contextlib.contextmanager
def open_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """Open the Dagster instance of a study.

    Parameters
    ----------
    home : pathlib.Path
        The study's Dagster home.

    Raises
    ------
    DatabaseError
        If the database cannot be reached, or holds the runs of another study.
    """
    with told_of_databases(), dg.DagsterInstance.from_config(str(home)) as instance:
        if os.environ.get(POSTGRES):
            _claim(instance, home)
        yield instance


def reach_database(seconds: int) -> str:
    """Connect to the database that `POSTGRES` names and let go of it again.

    Parameters
    ----------
    seconds : int
        How long to wait; Dagster itself would try for minutes.

    Returns
    -------
    str
        Host and name of the database, without user and password.

    Raises
    ------
    InputError
        If the address is none, or the package for Postgres is missing.
    DatabaseError
        If nothing answers, or it refuses.
    """
    address = os.environ[POSTGRES]
    _check_address(address)
    with told_of_databases():
        engine = create_engine(_with_driver(address), connect_args={"connect_timeout": seconds})
        try:
            engine.connect().close()
        finally:
            engine.dispose()
    return _shown(address)


@contextlib.contextmanager
def told_of_databases() -> Iterator[None]:
    """Turn what a database library raises inside the block into a `DatabaseError`."""
    try:
        yield
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        where = f"Postgres at {_shown(os.environ[POSTGRES])}" if os.environ.get(POSTGRES) else "SQLite in dagster_home"
        raise DatabaseError(
            f"The database of runs ({where}) failed: {reason}. What was published is whole. "
            "Remedy: see that the server runs and the disk has room, then type the same again."
        ) from error


def _reason(error: BaseException | None) -> str | None:
    """First line of what a database library says, or None if the error is not of one."""
    while error is not None:
        if isinstance(error, SQLAlchemyError):
            return (str(getattr(error, "orig", None) or error).strip() or type(error).__name__).splitlines()[0]
        error = error.__cause__ or error.__context__
    return None


def _claim(instance: dg.DagsterInstance, home: Path) -> None:
    """Refuse a database that another study uses: its runs and keys would mix with those of this one."""
    id_file = home / _ID_FILE
    if not id_file.exists():
        _replace(id_file, uuid.uuid4().hex)
    mine = id_file.read_text(encoding="utf-8").strip()
    storage = instance.run_storage
    owner = storage.get_cursor_values({_OWNER}).get(_OWNER)
    if owner is None:
        storage.set_cursor_values({_OWNER: mine})
    elif owner != mine:
        raise DatabaseError(
            f"Postgres at {_shown(os.environ[POSTGRES])} holds the runs of another study. "
            "Remedy: make a database for each study (createdb NAME)."
        )


def _check_address(address: str) -> None:
    form = f"write {POSTGRES}=postgresql://user:password@host:port/name; escape special characters (%40 for @)."
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("postgresql", "postgres", _SCHEME) and len(parts.path) > 1 and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise InputError(POSTGRES, "it is not the address of a Postgres database.", form)
    if importlib.util.find_spec("dagster_postgres") is None:
        raise InputError(POSTGRES, "dagster-postgres is not installed.", "pip install 'em2cryo-assets[postgres]'.")


def _with_driver(address: str) -> str:
    """The address for SQLAlchemy, whose own choice for the plain scheme is another driver than dagster-postgres's."""
    return f"{_SCHEME}://{address.partition('://')[2]}"


def _shown(address: str) -> str:
    """Host and name of the database, nothing else of its address."""
    parts = urlsplit(address)
    return f"{parts.hostname or 'a local socket'}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _template(name: str) -> str:
    return importlib.resources.files("em2cryo_assets.resources").joinpath(name).read_text(encoding="utf-8")


def _replace(path: Path, text: str) -> None:
    """Write a small file whole: two commands may open a study at once."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
