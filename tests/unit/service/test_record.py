"""The record keeps what it was given, through threads, processes, upgrades and the end of its process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra 'serve'")
pytest.importorskip("alembic", reason="needs the extra 'serve'")

from photovision.core.errors import MissingExtra, RecordError, UsageError
from photovision.service.record import Record, Row, connection
from photovision.service.record.tables import HEAD, VERSION_TABLE, metadata

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def row(number: int, **changes: object) -> Row:
    facts = {"id": str(number), "at": NOON + timedelta(seconds=number), "model": "fruit", "version": "1"}
    return Row(**{**facts, "label": "apple", "best": "apple", "prob": 0.5, **changes})  # type: ignore[arg-type]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/record.db"


def check_everything_comes_back(record: Record) -> None:
    embedding = np.linspace(-1, 1, 64, dtype=np.float32)
    given = row(
        1,
        at=datetime(2026, 11, 1, 12, 0, 0, 123_456, tzinfo=UTC),
        label="unknown",
        best="Äpfel 'n\x01 🍎",
        prob=0.25,
        novelty=1.5,
        known=False,
        prediction_set=("Äpfel", "pear"),
        embedding=embedding,
        found={"size": [3, 4], "boxes": [{"label": "Ä\0 'x", "score": 0.25, "xyxy": [0.0, 1.5, 2.0, 3.0]}]},
        seconds=0.0125,
    )
    record.write([given, row(2)])
    full, plain = record.read()
    for name in (
        "id",
        "at",
        "model",
        "version",
        "label",
        "best",
        "prob",
        "novelty",
        "known",
        "prediction_set",
        "found",
    ):
        assert getattr(full, name) == getattr(given, name), name
    assert full.at.tzinfo is UTC
    assert full.seconds == given.seconds
    assert full.embedding is not None
    assert full.embedding.dtype == np.float32
    assert np.abs(full.embedding - embedding).max() < 1e-3
    assert (plain.embedding, plain.novelty, plain.known, plain.prediction_set) == (None, None, None, ())


def check_windows(record: Record) -> None:
    record.write([row(number, model="fruit" if number % 2 else "other") for number in range(10, 30)])
    assert [r.id for r in record.read("fruit", limit=3)] == ["25", "27", "29"]
    since, until = NOON + timedelta(seconds=12), NOON + timedelta(seconds=16)
    assert [r.id for r in record.read(since=since, until=until)] == ["12", "13", "14", "15"]
    assert [r.id for r in record.read("fruit", since, until)] == ["13", "15"]
    assert [r.id for r in record.read(version="2")] == []
    assert len(list(record.read(version="1", limit=4))) == 4
    stats = record.stats()
    assert stats.models[("fruit", "1")] == 10
    assert stats.last == NOON + timedelta(seconds=29)
    assert record.prune(NOON + timedelta(seconds=28)) == 18
    assert [r.id for r in record.read()] == ["28", "29"]


def check_all_or_nothing(record: Record) -> None:
    values = record._values
    record._values = lambda row: {**values(row), **({"label": None} if row.id == "2" else {})}  # type: ignore[method-assign]
    with pytest.raises(RecordError, match="cannot be used"):
        record.write([row(1), row(2)])
    assert record.stats().rows == 0
    record.write([row(3)])
    assert [r.id for r in record.read()] == ["3"]


def check_odd_texts_do_not_spoil_the_rows_beside_them(record: Record) -> None:
    record.write([row(1), row(2, id="\0 \ud800 %s ' ; DROP TABLE" + "x" * 5000), row(3)])
    ids = [r.id for r in record.read()]
    assert ids[0] == "1"
    assert ids[1].startswith("? ? %s ' ; DROP TABLExxx")
    assert len(ids[1]) == 1000


CHECKS = (
    check_odd_texts_do_not_spoil_the_rows_beside_them,
    check_everything_comes_back,
    check_windows,
    check_all_or_nothing,
)


@pytest.mark.parametrize("check", CHECKS)
def test_sqlite(check: object, url: str) -> None:
    with Record.open(url) as record:
        check(record)  # type: ignore[operator]


@pytest.mark.parametrize("check", CHECKS)
def test_postgresql(check: object, postgres: str) -> None:
    with Record.open(postgres) as record:
        record.prune(NOON + timedelta(days=1))
        check(record)  # type: ignore[operator]


def test_postgresql_refuses_in_one_line(postgres: str) -> None:
    with pytest.raises(RecordError, match="cannot open the record") as caught:
        Record.open(postgres.replace("/postgres?", "/missing?"))
    assert "\n" not in str(caught.value)


def test_processes_that_open_a_new_postgresql_record_at_once_agree(postgres: str) -> None:
    import psycopg

    with psycopg.connect(postgres.replace("+psycopg", "")) as server:
        server.execute("DROP SCHEMA public CASCADE")
        server.execute("CREATE SCHEMA public")
    assert write_in_processes(postgres, 4, 5) == 4 * 5
    with Record.open(postgres) as record:
        assert sum(r.version == "raced" for r in record.read()) == 20
        record.prune(NOON + timedelta(days=1))


def test_a_path_alone_is_a_sqlite_file(tmp_path: Path) -> None:
    with Record.open(str(tmp_path / "deep" / "record.db")) as record:
        record.write([row(1)])
    with sqlite3.connect(tmp_path / "deep" / "record.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_what_is_no_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_text("Dear reader, " * 100, encoding="utf-8")
    for address, said in (
        (str(tmp_path / "letter.db"), "not a database"),
        (str(tmp_path), "cannot open the record"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("nonsense://x", "does not lie in 'nonsense'"),
        ("mysql://host/name", "does not lie in 'mysql'"),
        ("postgresql+nonsense://host/name", "there is no driver"),
        ("postgresql://host:port/name", "not an address"),
        ("://", "not an address"),
    ):
        with pytest.raises(RecordError, match=said) as caught:
            Record.open(address)
        assert "\n" not in str(caught.value)
    with pytest.raises(RecordError, match="there is no record"):
        Record.open(str(tmp_path / "missing.db"), create=False)
    assert not (tmp_path / "missing.db").exists()


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"install 'psycopg\[binary\]>=3.2'"):
        Record.open("postgresql://nobody@localhost/none")


def test_a_password_is_not_told() -> None:
    with pytest.raises(RecordError) as caught:
        Record.open("postgresql+psycopg://someone:secret@127.0.0.1:1/none?connect_timeout=2")
    assert "secret" not in str(caught.value)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="time zone"):
        row(1, at=datetime(2026, 1, 1))


@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_an_older_schema_is_updated_and_keeps_its_rows(url: str, revision: str) -> None:
    from photovision.service.record.migrations import upgrade

    engine = connection.sql.create_engine(url)
    with engine.begin() as old:
        upgrade(old, revision)
        old.exec_driver_sql(
            "INSERT INTO photovision_prediction (id, at, model, version, label, best, prob, prediction_set, seconds)"
            " VALUES ('old', 1000000, 'fruit', '1', 'apple', 'apple', 0.9, '[\"apple\"]', 0.1)"
        )
    engine.dispose()
    with Record.open(url) as record:
        record.write([row(1, found={"size": [2, 3], "boxes": []})])
        told = [(r.id, r.prediction_set, r.found) for r in record.read()]
        assert told == [("old", ("apple",), None), ("1", (), {"size": [2, 3], "boxes": []})]


def test_a_newer_schema_is_refused_and_left_alone(url: str) -> None:
    Record.open(url).close()
    change(url, f"UPDATE {VERSION_TABLE} SET version_num = '0999'")
    with pytest.raises(RecordError, match="newer Photovision"):
        Record.open(url)
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        assert database.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone() == ("0999",)
    database.close()


def test_the_steps_lead_to_the_tables(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    Record.open(url).close()
    engine = connection.sql.create_engine(url)
    with engine.connect() as opened:
        context = MigrationContext.configure(opened, opts={"version_table": VERSION_TABLE})
        assert context.get_current_revision() == HEAD
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_pictures_are_kept_once_and_pruned_with_their_last_row(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    with Record.open(url, pictures=folder) as record:
        record.write([row(1, picture=b"\xff\xd8\xff one"), row(2, picture=b"two"), row(3, picture=b"\xff\xd8\xff one")])
        rows = list(record.read())
        assert rows[0].kept == rows[2].kept
        assert rows[0].picture is None
        assert [record.picture(r.kept or "") for r in rows] == [b"\xff\xd8\xff one", b"two", b"\xff\xd8\xff one"]
        assert len([path for path in folder.rglob("*") if path.is_file()]) == 2
        assert record.stats().pictures == 3
        assert record.prune(NOON + timedelta(seconds=3)) == 2
        assert [path.suffix for path in folder.rglob("*") if path.is_file()] == [".jpg"]


def test_no_picture_is_kept_unless_asked(url: str, tmp_path: Path) -> None:
    with Record.open(url) as record:
        record.write([row(1, picture=b"a face")])
        assert next(iter(record.read())).kept is None
    assert b"a face" not in (tmp_path / "record.db").read_bytes()


def test_a_name_in_the_table_does_not_lead_out_of_the_folder(url: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    with Record.open(url, pictures=tmp_path / "pictures") as record:
        record.write([row(1)])
        change(url, "UPDATE photovision_prediction SET picture = '../secret'")
        assert record.picture(next(iter(record.read())).kept or "") is None
        record.prune(NOON + timedelta(days=1))
    assert (tmp_path / "secret").exists()


def test_a_damaged_row_is_named(url: str) -> None:
    with Record.open(url) as record:
        record.write([row(1)])
        change(url, "UPDATE photovision_prediction SET embedding = x'00'")
        with pytest.raises(RecordError, match="row 1 of the record is damaged"):
            list(record.read())


def test_without_sqlalchemy_the_extra_is_named(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from photovision.service.record import Record\n"
        "try: Record.open(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", program, str(tmp_path / "x.db")], capture_output=True, text=True)
    assert said.stdout.startswith("MissingExtra")
    assert "install 'sqlalchemy>=2'" in said.stdout


def test_threads_write_at_once_and_readers_do_not_wait(url: str) -> None:
    with Record.open(url) as record:
        record.write([row(number) for number in range(2000)])
        reading = record.read()
        next(reading)  # holds a transaction open

        def work(first: int) -> None:
            for number in range(20):
                record.write([row(first + number)])

        threads = [threading.Thread(target=work, args=(10_000 * k,)) for k in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(1 for _ in reading) == 1999
        assert record.stats().rows == 2080


def test_processes_that_open_a_new_record_at_once_agree(url: str) -> None:
    assert write_in_processes(url, 4, 5) == 20
    with Record.open(url) as record:
        assert record.stats().rows == 20


def test_what_was_written_survives_kill_9(url: str) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, "endless"], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert writer.stdout is not None
    said = [writer.stdout.readline() for _ in range(60)]
    writer.send_signal(signal.SIGKILL)
    said += writer.stdout.readlines()
    writer.wait()
    writer.stdout.close()
    complete = [line for line in said if line.endswith("\n")]
    with Record.open(url) as record:
        rows = record.stats().rows
        assert rows >= 8 * len(complete) > 0
        assert rows % 8 == 0  # whole transactions only
        record.write([row(1)])


def test_a_full_disk_is_told_and_the_record_stays_whole(url: str) -> None:
    with Record.open(url) as record:
        record.write([row(1)])
        with record._engine.connect() as opened:
            pages = opened.exec_driver_sql("PRAGMA page_count").scalar_one()
    database = Record.open(url)
    event = connection.sql.event
    event.listen(database._engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count = {pages}"))
    database._engine.dispose()
    with pytest.raises(RecordError, match="full"):
        database.write([row(n, embedding=np.ones(1000, np.float32)) for n in range(100)])
    database.close()
    with Record.open(url) as record:
        record.write([row(2)])
        assert [r.id for r in record.read()] == ["1", "2"]


def test_a_batch_of_32_is_written_fast(url: str) -> None:
    embedding = np.random.default_rng(0).normal(size=1280).astype(np.float32)
    times = []
    with Record.open(url) as record:
        for batch in range(30):
            rows = [row(32 * batch + k, embedding=embedding, prediction_set=("a", "b")) for k in range(32)]
            begun = time.perf_counter()
            record.write(rows)
            times.append(time.perf_counter() - begun)
    assert min(times) < 0.002  # the least, because other work disturbs a busy machine


WRITER = """
import itertools, sys
from datetime import UTC, datetime
from photovision.service.record import Record, Row

record = Record.open(sys.argv[1])
at = datetime(2026, 11, 1, 12, tzinfo=UTC)
for number in itertools.count() if sys.argv[2] == "endless" else range(int(sys.argv[2])):
    size = 8 if sys.argv[2] == "endless" else 1
    record.write([Row(f"{number}-{k}", at, "fruit", "raced", "apple", "apple", 0.5) for k in range(size)])
    print(number, flush=True)
"""


def write_in_processes(url: str, processes: int, each: int) -> int:
    """How many writes were made in all."""
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, str(each)], stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return sum(len(process.communicate()[0].splitlines()) for process in running)


def change(url: str, statement: str) -> None:
    database = sqlite3.connect(url.removeprefix("sqlite:///"))
    with database:
        database.execute(statement)
    database.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a server of our own, in a temporary folder, which nobody else reaches."""
    program = find_postgres()
    if program is None:
        pytest.skip("needs a PostgreSQL server (initdb and postgres)")
    prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    if prefix and (shutil.which("setpriv") is None or not has_user("postgres")):
        pytest.skip("PostgreSQL does not run as root, and there is no other user for it")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the path of a socket is limited to about 100 characters
    if prefix:
        shutil.chown(folder, "postgres", "postgres")
    data = str(folder / "data")
    made = [*prefix, str(program / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, cwd=folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["-D", data, "-k", str(folder), "-p", str(port), "-c", "listen_addresses=", "-c", "fsync=off"]
    server = subprocess.Popen([*prefix, str(program / "postgres"), *options], cwd=folder, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if (folder / f".s.PGSQL.{port}").exists():
                break
            time.sleep(0.05)
        url = f"postgresql+psycopg://postgres@/postgres?host={folder}&port={port}"
        wait_until_ready(url)
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready(url: str) -> None:
    psycopg = pytest.importorskip("psycopg", reason="needs the extra 'postgres'")
    for _ in range(100):
        try:
            psycopg.connect(url.replace("+psycopg", "")).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.05)
    pytest.fail("the PostgreSQL server did not start")


def find_postgres() -> Path | None:
    """The folder of the server's programs."""
    places = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "postgres").exists() and (place / "initdb").exists()), None)


def has_user(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
