"""What the verbs of ``minihv disk`` do, and what they print."""

import json
import os
import signal
from pathlib import Path

import pytest
from command_line import COMMAND, CommandLine
from images import child, content, dynamic, patch, patch_table, plain, sectors

WRITTEN = {0: sectors(b"a"), 30: sectors(b"b", 4)}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return dynamic(tmp_path / "a.vhd", written=WRITTEN)


@pytest.mark.parametrize(("kind", "size"), [("fixed", "1M"), ("dynamic", "3G")])
def test_new_image_has_the_size_that_was_asked_for(
    minihv: CommandLine, tmp_path: Path, kind: str, size: str
) -> None:
    path = tmp_path / "n.vhd"
    done = minihv("disk", "new", "--kind", kind, "--size", size, path)
    assert (done.status, done.out, done.err) == (0, "", "")
    told = json.loads(minihv("disk", "info", "--json", path).out)
    assert [(one["kind"], one["disk_bytes"]) for one in told] == [
        (kind, {"1M": 1 << 20, "3G": 3 << 30}[size])
    ]


def test_chain_is_told_of_from_the_child_down(minihv: CommandLine, image: Path) -> None:
    above = image.with_name("c.vhd")
    assert minihv("disk", "new", "--kind", "differencing", "--parent", image, above).status == 0
    told = json.loads(minihv("disk", "info", above, "--json").out)
    assert [(one["file"], one["kind"], one["blocks_used"]) for one in told] == [
        (str(above), "differencing", 0),
        (str(image), "dynamic", 3),
    ]
    lines = minihv("disk", "info", above, "--plain").out.splitlines()
    assert lines[0] == str(above) and "disk bytes         32,768" in lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kind", "vhdx"), "A new image is fixed, dynamic or differencing, not 'vhdx': choose one."),
        (
            ("--kind", "differencing"),
            "A differencing image has a parent, and its size: give --parent, and leave --size out.",
        ),
        ((), "A dynamic image has a size and no parent: give --size, and leave --parent out."),
        (("--size", "lots"), "A size is a number with K, M or G behind it, not 'lots': write 64M or 1G."),
    ],
)
def test_new_image_that_cannot_be_is_refused(
    minihv: CommandLine, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = minihv("disk", "new", *arguments, tmp_path / "n.vhd")
    assert (done.status, done.err) == (2, f"minihv: {message}\n") and list(tmp_path.iterdir()) == []


def test_check_says_what_is_wrong_and_repairs_it(minihv: CommandLine, image: Path) -> None:
    assert minihv("disk", "check", image).out == f"{image}: nothing is wrong.\n"
    patch(image, 4, b"x")
    done = minihv("disk", "check", image)
    assert (done.status, done.out) == (
        0,
        "The copy of the footer in front is damaged. --repair writes it again.\n",
    )
    done = minihv("disk", "check", "--repair", image)
    assert done.out == (
        f"The copy of the footer in front is damaged. Repaired: writes it again.\n{image}: nothing is "
        "wrong.\n"
    )


def test_check_of_a_harmed_image_has_a_status_of_its_own(minihv: CommandLine, image: Path) -> None:
    patch_table(image, 0, 0x7FFF_FFFF)
    done = minihv("disk", "check", image, "--json")
    assert done.status == 1
    (found,) = json.loads(done.out)
    assert found["is_damage"] and found["repair"] == "forgets that block, and what it held"


def test_image_is_converted_resized_compacted_and_merged(minihv: CommandLine, image: Path) -> None:
    raw, above = image.with_name("r.img"), child(image.with_name("c.vhd"), image, {8: sectors(b"c")})
    assert minihv("disk", "convert", above, raw, "--kind", "raw").status == 0
    assert raw.read_bytes() == plain(WRITTEN | {8: sectors(b"c")})
    done = minihv("disk", "merge", above)
    assert (done.status, done.out) == (0, f"{above} is merged into {image}, and removed.\n")
    assert minihv("disk", "resize", image, "--size", "64K").status == 0
    done = minihv("disk", "compact", image)
    assert done.status == 0 and done.out.startswith(f"{image}: ")
    assert content(image) == plain(WRITTEN | {8: sectors(b"c")}, 128)


def test_verb_for_images_that_grow_refuses_others(minihv: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "f.vhd"
    minihv("disk", "new", "--kind", "fixed", "--size", "64K", path)
    done = minihv("disk", "compact", path)
    assert (done.status, done.err) == (
        2,
        f"minihv: Compacting is for images that grow, dynamic or differencing, and {path} is none.\n",
    )


def test_map_has_a_sign_for_each_block(minihv: CommandLine, image: Path) -> None:
    lines = minihv("disk", "map", image, "--plain").out.splitlines()
    assert lines == [
        f"{image}: 3 of 8 blocks, 0 MiB in them",
        "one sign for 4 KiB: . nothing, o some, # all",
        "#..##...",
    ]
    told = json.loads(minihv("disk", "map", image, "--json").out)
    assert told["used"] == 3 and [one["first_block"] for one in told["extents"]] == [0, 3]


@pytest.mark.slow
def test_ctrl_c_leaves_no_half_image(tmp_path: Path) -> None:
    import subprocess

    source = tmp_path / "s.img"
    with source.open("wb") as opened:
        for _ in range(400):
            opened.write(os.urandom(1 << 20))
    running = subprocess.Popen(
        [*COMMAND, "disk", "convert", source, tmp_path / "d.vhd"], stderr=subprocess.PIPE, text=True
    )
    while not any(".new" in path.name for path in tmp_path.iterdir()):
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, err = running.communicate()
    assert (running.returncode, err) == (130, "")
    assert list(tmp_path.iterdir()) == [source]
