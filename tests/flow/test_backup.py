"""A backup is real when it has been restored: the same rows, photos, trail and readable reporters, elsewhere."""

from __future__ import annotations

import asyncio
import io
import stat
import tarfile
from pathlib import Path

import httpx
import psycopg
import pytest

from api.app import create_app
from api.backups import describe, fill, make_backup, open_backup
from api.cli.backup import _prove
from api.settings import Settings
from geo.errors import BadInputError, ConflictError
from geo.storage.engine import dsn
from tests.builders import report
from tests.flow.conftest import Client
from tests.unit.test_photos import jpeg


async def test_what_was_there_is_there_again(
    client: Client, database: str, empty_database: str, tmp_path: Path
) -> None:
    place, file = tmp_path / "data", tmp_path / "backups" / "one.tar"
    place.mkdir()
    (place / "identity.key").write_text("a key")
    reporter = {"name": "张三", "phone": "13812345678"}
    first = await client.post("/v1/reports", json=report(ticket="B-1", reporter=reporter))
    ref = first.json()["case"]
    photo = await client.post(f"/v1/cases/{ref}/photos", files={"photo": ("a.jpg", jpeg(), "image/jpeg")})
    assert photo.status_code in {200, 201}, photo.text
    revealed = (await client.post(f"/v1/cases/{ref}/reporter:reveal", json={"reason": "call back"})).json()

    manifest = await asyncio.to_thread(make_backup, database, file, place)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert manifest.rows["dispatch.dispatch_case"] == 1
    assert manifest.rows["reporter.identity"] == 1
    assert manifest.audit_head.startswith(f"{revealed['record']}:")
    with pytest.raises(ConflictError):
        make_backup(database, file, place)
    assert reporter["phone"].encode() not in file.read_bytes()

    with open_backup(file, tmp_path) as (read, unpacked):
        assert read == manifest
        assert (unpacked / "identity.key").read_text() == "a key"
        await asyncio.to_thread(fill, empty_database, unpacked, read)
    await _prove(empty_database, manifest)
    with psycopg.connect(dsn(empty_database)) as connection:
        again = describe(connection)
    assert again.photos == manifest.photos
    assert {name: count for name, count in again.rows.items() if manifest.rows[name] != count} == {
        "audit.record": manifest.rows["audit.record"] + 1  # that it was restored
    }
    app = create_app(Settings(database_url=empty_database))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://gridward.test", headers=client.headers
        ) as restored,
    ):
        same = await restored.post("/v1/reports", json=report(ticket="B-1", reporter=reporter))
        assert (same.status_code, same.content) == (200, first.content)
        shown = await restored.post(f"/v1/cases/{ref}/reporter:reveal", json={"reason": "call back"})
        assert shown.json()["phone"] == "13812345678"
        assert (await restored.get("/v1/audit/check")).json()["is_whole"] is True
    with psycopg.connect(dsn(empty_database)) as connection:
        connection.execute("SET ROLE gridward_area")
        assert connection.execute("SELECT count(*) FROM dispatch.dispatch_case").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM reporter.identity")


def test_a_file_that_is_damaged_or_something_else_is_refused(database: str, tmp_path: Path) -> None:
    file = tmp_path / "one.tar"
    make_backup(database, file, tmp_path)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    broken = tmp_path / "broken.tar"
    broken.write_bytes(data)
    with pytest.raises(BadInputError, match=r"backup\.(damaged|not_one)"), open_backup(broken, tmp_path):
        pass
    (tmp_path / "text.tar").write_text("not a backup")
    with pytest.raises(BadInputError, match=r"backup\.not_one"), open_backup(tmp_path / "text.tar", tmp_path):
        pass
    newer = tmp_path / "newer.tar"
    with tarfile.open(file) as old, tarfile.open(newer, "w") as new:
        for member in old.getmembers():
            words = old.extractfile(member)
            assert words is not None
            said = words.read()
            if member.name == "manifest.json":
                said = said.replace(b'"schema": "00', b'"schema": "99')
                member.size = len(said)
            new.addfile(member, io.BytesIO(said))
    with pytest.raises(BadInputError, match=r"backup\.newer"), open_backup(newer, tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.tar", "newer.tar", "one.tar", "text.tar"]
