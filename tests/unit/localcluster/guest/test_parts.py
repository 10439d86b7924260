"""What a guest is made of: mirrors read from apt, kernels by their names, archives, its words."""

import io
import tarfile
from pathlib import Path

from localcluster.guest.apt import (
    AptSource,
    find_source,
    format_source,
    parse_codename,
    parse_sources,
)
from localcluster.guest.cpio import CpioWriter
from localcluster.guest.kernels import CLOUD, ensure_kernel, newest, parse_version
from localcluster.guest.qemu import Emulation, command
from localcluster.guest.trial import parse_facts
from localcluster.progress import Progress

STANZAS = """\
# a comment: with a colon
Types: deb deb-src
URIs: mirror:/list
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /keys/debian.gpg

Types: deb-src
URIs: mirror:/other
Suites: bookworm
Components: main
"""
LINES = """\
deb-src mirror:/a bookworm main
deb [arch=amd64 signed-by=/keys/x.gpg] mirror:/a bookworm contrib main
deb mirror:/b other contrib
"""


def test_sources_of_both_formats_are_read() -> None:
    assert parse_sources(STANZAS) == [
        AptSource(uri="mirror:/list", suite=suite, signed_by="/keys/debian.gpg")
        for suite in ("bookworm", "bookworm-updates")
    ]
    assert parse_sources(LINES) == [
        AptSource(uri="mirror:/a", suite="bookworm", signed_by="/keys/x.gpg")
    ]


def test_a_key_that_is_written_out_is_left_to_apts_own_ring() -> None:
    text = "Types: deb\nURIs: mirror:/a\nSuites: s\nComponents: main\nSigned-By:\n -----BEGIN\n"

    assert parse_sources(text) == [AptSource(uri="mirror:/a", suite="s", signed_by="")]


def test_a_source_is_written_as_it_is_read() -> None:
    source = AptSource(uri="mirror:/a", suite="bookworm-backports", signed_by="/keys/x.gpg")

    assert parse_sources(format_source(source)) == [source]


def test_the_machines_mirror_serves_another_suite(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(STANZAS)

    source = find_source("-backports", root=tmp_path, os_release=release)

    assert parse_codename(release.read_text()) == "bookworm"
    assert (source.uri, source.suite) == ("mirror:/list", "bookworm-backports")


def test_the_newest_kernel_is_chosen_by_number_not_by_letter() -> None:
    names = [
        "linux-image-6.12.9+deb12-cloud-amd64",
        "linux-image-6.12.90+deb12.1-cloud-amd64",
        "linux-image-6.12.90+deb12-cloud-amd64",
        "linux-image-6.12.95+deb12-cloud-amd64-unsigned",
        "linux-image-6.12.95+deb12-rt-amd64",
        "linux-image-cloud-amd64",
    ]

    assert newest(names, "cloud") == "linux-image-6.12.90+deb12.1-cloud-amd64"
    assert newest(["linux-image-6.1.0-56-rt-amd64"], "rt") == "linux-image-6.1.0-56-rt-amd64"
    assert newest([], "cloud") is None
    assert newest(names, "cloud", "6.12") == "linux-image-6.12.90+deb12.1-cloud-amd64"
    assert newest(names, "cloud", "6.1") is None
    assert newest([*names, "linux-image-6.1.0-50-cloud-amd64"], "cloud", "6.1") == (
        "linux-image-6.1.0-50-cloud-amd64"
    )
    assert parse_version("6.1.0-56-cloud-amd64") < (6, 7) < parse_version("6.12.95+deb12-rt-amd64")


def test_the_cache_has_kernels_of_several_series(tmp_path: Path) -> None:
    for name in ("cloud-6.1.0-50", "cloud-6.12.95+deb12", "rt-6.1.0-50"):
        flavour, _, version = name.partition("-")
        boot = tmp_path / "guests" / "kernels" / name / "boot"
        boot.mkdir(parents=True)
        (boot / f"vmlinuz-{version}-{flavour}-amd64").touch()

    def kept(series: str) -> str:
        return ensure_kernel(CLOUD, series=series, cache=tmp_path, progress=Progress()).release

    assert [kept(""), kept("6.12")] == ["6.12.95+deb12-cloud-amd64"] * 2
    assert kept("6.1") == "6.1.0-50-cloud-amd64"


def test_an_archive_holds_files_links_and_the_directories_above_them(tmp_path: Path) -> None:
    tar = tmp_path / "root.tar"
    with tarfile.open(tar, "w") as made:
        member = tarfile.TarInfo("./usr/bin/tool")
        member.size, member.mode = 3, 0o755
        made.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("./bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        made.addfile(link)
    stream = io.BytesIO()
    writer = CpioWriter(stream)

    writer.add_tar(tar)
    writer.close()

    assert stream.tell() % 512 == 0
    assert members(stream.getvalue()) == [
        ("usr", 0o040755, b""),
        ("usr/bin", 0o040755, b""),
        ("usr/bin/tool", 0o100755, b"abc"),
        ("bin", 0o120777, b"usr/bin"),
    ]


def members(archive: bytes) -> list[tuple[str, int, bytes]]:
    """Name, mode and content of each member, as the format's description says."""
    found, at = [], 0
    while True:
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name = archive[at + 110 : at + 110 + fields[11] - 1].decode()
        if name == "TRAILER!!!":
            return found
        start = at + (110 + fields[11] + 3) // 4 * 4
        found.append((name, fields[1], archive[start : start + fields[6]]))
        at = start + (fields[6] + 3) // 4 * 4


def test_a_line_that_is_no_fact_is_left_out() -> None:
    assert parse_facts('{"fact": "a"}\n[1]\nnoise {\n{"fa') == [{"fact": "a"}]


def test_the_console_is_the_first_serial_line_and_results_the_second() -> None:
    emulation = Emulation(
        kernel=Path("/k"), initrd=Path("/i"), memory=640, results=Path("/r"), disks=[Path("/d")]
    )

    words = command(emulation)

    serials = [words[at + 1] for at, word in enumerate(words) if word == "-serial"]
    assert serials == ["stdio", "file:/r"]
    assert "file=/d,format=raw,if=virtio,snapshot=on,cache=unsafe" in words
    assert "-netdev" not in words


def test_a_guest_whose_clock_is_counted_has_the_same_chances_each_time() -> None:
    counted = command(
        Emulation(kernel=Path("/k"), initrd=Path("/i"), memory=640, counted=True, cpus=1)
    )
    other = command(Emulation(kernel=Path("/k"), initrd=Path("/i"), memory=640))

    assert counted[counted.index("-smp") + 1] == "1"
    assert counted[counted.index("-seed") + 1] == "1"
    assert "norandmaps" in counted[counted.index("-append") + 1].split()
    assert {"-icount", "-seed"}.isdisjoint(other)
    assert "norandmaps" not in other[other.index("-append") + 1]
