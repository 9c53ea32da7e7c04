"""Filesystems: dead mounts, mounts that come and go, and what is shown of them."""

import asyncio
import errno
import os
import threading
from math import isclose
from types import SimpleNamespace

import pytest

from agent.testing.recorder import collect
from plugins.collectors.filesystem import Config as FilesystemConfig
from plugins.collectors.filesystem.collector import Filesystems, mounts


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


@pytest.fixture
def mounted(tmp_path, collector_context):
    """Makes the collector for lines of /proc/self/mounts, or shows it other ones."""

    def mounted(*lines, **keys):
        proc = write(tmp_path / "proc", {"self/mounts": "".join(f"{line} rw 0 0\n" for line in lines)})
        return Filesystems(FilesystemConfig(proc_dir=proc, **keys), collector_context)

    return mounted


@pytest.fixture
def hanging(monkeypatch):
    """statvfs of these mount points does not return before `release` is set."""
    found = SimpleNamespace(points=set(), asked=[], release=threading.Event())
    real = os.statvfs

    def statvfs(point):
        found.asked.append(point)
        if point in found.points:
            found.release.wait()
        return real("/")

    monkeypatch.setattr(os, "statvfs", statvfs)
    yield found
    found.release.set()


def responding(recorded):
    return {series.labels[0][1]: value for series, value in recorded.samples if series.name == "filesystem_responding"}


async def test_the_root_filesystem_agrees_with_statvfs(collector_context):
    """Tolerance: 1 % of the size, for what is written in between."""
    config = FilesystemConfig(include_types=("overlay", "tmpfs"))
    values = (await collect(Filesystems(config, collector_context))).values
    stat = os.statvfs("/")
    size_bytes = stat.f_blocks * stat.f_frsize
    assert values['filesystem_total_bytes{mount="/"}'] == size_bytes
    used_bytes = size_bytes - stat.f_bfree * stat.f_frsize
    assert isclose(values['filesystem_used_bytes{mount="/"}'], used_bytes, abs_tol=size_bytes / 100)


def test_mount_points_with_spaces_are_unescaped():
    text = b"/dev/sda1 /mnt/my\\040disk ext4 rw 0 0\nshort\n"
    assert list(mounts(text)) == [("/dev/sda1", "/mnt/my disk", "ext4")]


async def test_a_dead_mount_is_not_asked_again_until_it_answers(tmp_path, monkeypatch, collector_context):
    alive, dead = tmp_path / "alive", tmp_path / "dead"
    alive.mkdir()
    dead.mkdir()
    release, asked, real = threading.Event(), [], os.statvfs

    def statvfs(path):
        asked.append(path)
        if path == str(dead):
            release.wait()
        return real(path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    lines = f"/dev/a {alive} ext4 rw 0 0\nserver:/x {dead} nfs4 rw 0 0\n"
    proc = write(tmp_path / "proc", {"self/mounts": lines})
    config = FilesystemConfig(proc_dir=proc, mount_deadline_s=0.4, skip_mounts=())
    filesystems = Filesystems(config, collector_context)
    is_alive, is_dead = (f'filesystem_responding{{mount="{path}"}}' for path in (alive, dead))
    for _ in range(2):
        values = (await collect(filesystems)).values
        assert (values[is_alive], values[is_dead]) == (1, 0)
    assert asked.count(str(dead)) == 1
    release.set()
    while not (await collect(filesystems)).values[is_dead]:
        await asyncio.sleep(0)
    await filesystems.close()


async def test_closing_does_not_wait_for_a_dead_mount(tmp_path, monkeypatch, collector_context):
    release = threading.Event()
    monkeypatch.setattr(os, "statvfs", lambda _path: release.wait())
    proc = write(tmp_path, {"self/mounts": "/dev/a /x ext4 rw 0 0\n"})
    filesystems = Filesystems(FilesystemConfig(proc_dir=proc, mount_deadline_s=0.01), collector_context)
    await collect(filesystems)
    await filesystems.close()
    release.set()


async def test_a_mount_that_fails_shows_as_not_responding_and_a_device_shows_once(tmp_path, collector_context):
    found = (f"/dev/a {tmp_path}/nowhere ext4", "/dev/b / ext4", f"/dev/b {tmp_path} ext4", "proc /proc proc")
    proc = write(tmp_path, {"self/mounts": "".join(f"{line} rw 0 0\n" for line in found)})
    config = FilesystemConfig(proc_dir=proc, skip_mounts=())
    values = (await collect(Filesystems(config, collector_context))).values
    responding = {name: value for name, value in values.items() if name.startswith("filesystem_responding")}
    assert responding == {
        f'filesystem_responding{{mount="{tmp_path}/nowhere"}}': 0,
        'filesystem_responding{mount="/"}': 1,
    }


async def test_a_mount_that_is_known_to_hang_is_not_waited_for_again(mounted, hanging, monkeypatch):
    hanging.points = {"/dead"}
    filesystems = mounted("/dev/a / ext4", "server:/x /dead nfs4", mount_deadline_s=0.4)
    assert responding(await collect(filesystems)) == {"/": 1, "/dead": 0}
    monkeypatch.setattr(filesystems, "_deadline_s", None)
    assert responding(await collect(filesystems)) == {"/": 1, "/dead": 0}


async def test_half_the_interval_is_the_longest_wait(collector_context):
    collector_context.interval_s = 0.2
    assert Filesystems(FilesystemConfig(), collector_context)._deadline_s == 0.1


async def test_a_mount_that_was_taken_away_while_it_hung_is_asked_when_it_comes_back(mounted, hanging):
    hanging.points = {"/dead"}
    lines = ("/dev/a / ext4", "server:/x /dead nfs4")
    filesystems = mounted(*lines, mount_deadline_s=0.4)
    await collect(filesystems)
    mounted(lines[0])
    assert responding(await collect(filesystems)) == {"/": 1}
    hanging.points = set()
    mounted(*lines)
    assert responding(await collect(filesystems)) == {"/": 1, "/dead": 1}


async def test_a_point_that_is_mounted_over_is_shown_once(mounted, hanging):
    assert responding(await collect(mounted("/dev/a /mnt ext4", "/dev/b /mnt xfs"))) == {"/mnt": 1}
    assert hanging.asked == ["/mnt"]


async def test_the_root_is_shown_whatever_it_is_and_other_overlays_are_not(mounted, hanging):
    lines = ("overlay / overlay", "overlay /x overlay", "tmpfs /tmp tmpfs", "server:/x /nfs nfs4")
    assert responding(await collect(mounted(*lines))).keys() == {"/", "/nfs"}
    assert responding(await collect(mounted(*lines, include_types=("tmpfs",), skip_types=("nfs4",)))).keys() == {
        "/",
        "/tmp",
    }
    assert hanging.asked.count("/x") == 0


@pytest.mark.parametrize("skip", ["/nfs", "/"])
async def test_a_folder_is_left_out_with_all_below_it_and_not_its_neighbour(mounted, hanging, skip):
    lines = ("/dev/a / ext4", "s:/a /nfs nfs", "s:/b /nfs/b nfs", "s:/c /nfsx nfs")
    shown = responding(await collect(mounted(*lines, skip_mounts=(skip,)))).keys()
    assert skip not in hanging.asked
    assert shown == ({"/", "/nfsx"} if skip == "/nfs" else {"/nfs", "/nfs/b", "/nfsx"})


async def test_a_mount_that_may_not_be_looked_at_is_left_out(mounted, monkeypatch):
    def refuse(point):
        raise PermissionError(errno.EACCES, "no", point)

    monkeypatch.setattr(os, "statvfs", refuse)
    assert (await collect(mounted("/dev/fuse /home/u/gvfs fuse"))).samples == []


async def test_without_a_thread_left_a_mount_is_not_responding_and_is_asked_again(
    mounted, collector_context, monkeypatch
):
    filesystems = mounted("/dev/a / ext4")

    async def exhausted(_function):
        raise RuntimeError("all worker threads are stuck")

    with monkeypatch.context() as patched:
        patched.setattr(collector_context, "run_blocking", exhausted)
        assert responding(await collect(filesystems)) == {"/": 0}
    assert responding(await collect(filesystems)) == {"/": 1}


async def test_types_without_inodes_and_without_room_have_no_ratios_of_them(mounted, monkeypatch):
    empty = SimpleNamespace(f_frsize=4096, f_blocks=0, f_bfree=0, f_bavail=0, f_files=0, f_ffree=0, f_flag=os.ST_RDONLY)
    monkeypatch.setattr(os, "statvfs", lambda _point: empty)
    values = (await collect(mounted("/dev/sr0 /media iso9660"))).values
    assert values['filesystem_read_only{mount="/media"}'] == 1
    assert not any("ratio" in name or "inodes" in name for name in values)


async def test_no_more_mounts_are_asked_than_allowed(mounted, hanging):
    lines = [f"/dev/d{number} /m{number} ext4" for number in range(5)]
    assert len(responding(await collect(mounted(*lines, max_mounts=3)))) == 3
