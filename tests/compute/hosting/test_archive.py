from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.compute.hosting.archive import UnsafeArchive, unpack


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, type: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = type, link, 0o6777
    return info


def test_files_directories_and_inner_links_come_out(tmp_path):
    archive = tar_of(
        tmp_path / "a.tar.gz",
        (member("./", tarfile.DIRTYPE), b""),
        (member("model/1/weights"), b"w"),
        (member("latest", tarfile.SYMTYPE, "model/1"), b""),
        (member("same", tarfile.LNKTYPE, "model/1/weights"), b""),
    )
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/latest/weights").read_bytes() == b"w"
    assert (tmp_path / "out/same").read_bytes() == b"w"
    assert (tmp_path / "out/model/1/weights").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    "members",
    [
        [member("../out-of-here")],
        [member("/tmp/absolute")],
        [member("a/../../../out")],
        [member("link", tarfile.SYMTYPE, "../outside"), member("link/file")],
        [member("link", tarfile.SYMTYPE, "/etc")],
        [member("hard", tarfile.LNKTYPE, "../outside/secret")],
        [member("a", tarfile.SYMTYPE, "b/.."), member("b", tarfile.SYMTYPE, ".."), member("a/x")],
        [member("b", tarfile.SYMTYPE, "c/.."), member("c", tarfile.SYMTYPE, ".")],
        [member("a/b/up", tarfile.SYMTYPE, "../../x"), member("hard", tarfile.LNKTYPE, "a/b/up")],
        [member("loop", tarfile.SYMTYPE, "pool"), member("pool", tarfile.SYMTYPE, "loop")],
        [member("file"), member("file/below")],
        [member("device", tarfile.CHRTYPE)],
        [member("pipe", tarfile.FIFOTYPE)],
    ],
    ids=lambda members: members[-1].name,
)
def test_what_leads_out_or_is_no_file_is_refused(tmp_path, members):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    archive = tar_of(tmp_path / "a.tar.gz", *((one, b"") for one in members))
    with pytest.raises(UnsafeArchive):
        unpack(archive, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "outside").iterdir()) == ["secret"]


def test_an_archive_larger_than_allowed_is_refused_before_it_fills_the_disk(tmp_path):
    archive = tar_of(tmp_path / "a.tar.gz", (member("zeros"), bytes(10_000_000)))
    with pytest.raises(UnsafeArchive, match="more than 1000000 bytes"):
        unpack(archive, tmp_path / "out", limit_bytes=1_000_000)
    assert not (tmp_path / "out/zeros").exists()


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x1f\x8b\x08\x00garbage"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(UnsafeArchive):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


def test_a_cut_archive_is_refused(tmp_path):
    whole = tar_of(tmp_path / "a.tar.gz", (member("weights"), bytes(range(256)) * 1000)).read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnsafeArchive):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


@given(st.lists(st.tuples(st.text("./ab", min_size=1, max_size=8), st.text("./ab", max_size=8)), max_size=6))
def test_no_mix_of_links_and_files_writes_outside(tmp_path_factory, names):
    place = tmp_path_factory.mktemp("archive")
    members = []
    for name, link in names:
        members += [member(name, tarfile.SYMTYPE, link) if link else member(name)]
    archive = tar_of(place / "a.tar", *((one, b"") for one in members))
    try:
        unpack(archive, place / "in" / "out")
    except UnsafeArchive:
        pass
    else:
        assert all(p.resolve().is_relative_to(place / "in" / "out") for p in (place / "in" / "out").rglob("*"))
    assert {p.name for p in place.iterdir()} <= {"a.tar", "in"}
    assert [p.name for p in (place / "in").iterdir()] == ["out"]
