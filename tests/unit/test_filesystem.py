from dingwatch.watch import Kind, Mount, is_steady


def test_inodes_and_ctimes_prove_nothing_as_soon_as_one_mount_beneath_is_odd() -> None:
    """FUSE, network shares and FAT number their files at will; a local disk does not."""
    disk = Mount(1, b"/", Kind("ext4", network=False))
    assert is_steady(b"/srv/share", (disk,))
    for name in ("fuse.sshfs", "fuseblk", "nfs4", "cifs", "exfat", "vfat"):
        odd = Mount(2, b"/srv/share/in", Kind(name, network=name in {"fuse.sshfs", "nfs4", "cifs"}))
        assert not is_steady(b"/srv/share", (disk, odd))
        assert not is_steady(b"/srv/share/in/deep", (disk, odd))
        assert is_steady(b"/srv/other", (disk, odd))
