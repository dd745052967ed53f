"""A picture is known by its content; what is none is named as what it is."""

from __future__ import annotations

import base64
import gzip
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import make_picture
from PIL import Image

from photovision.core.errors import UnreadableImage
from photovision.core.image import SUFFIXES, decode, read_header, to_array
from photovision.core.image_formats import is_picture

PICTURE = make_picture(2, 64).resize((64, 48))
HEIC = {
    "upright": (
        b"0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0004fZDn*}000000000XXk=`10000000000aA{+700000000000000000000B57=I"
        b"V*mgE07O6l0RRC200001p#T8@00000002+`001LtX>Mi!000000RR916=`l}WdZ;I000310BCk&F#rGn01j|zbZr0t000010002}"
        b"X>f9I0002pX>en20001XXm(>m0RwOV0058x000009`FGC{rLC*01pFT0096PKmiN^|NjGU00093kN^M!000939=ZZRVE_RDDnbDP"
        b"18@KU0|1Z!00RI30{|YNAb|yz>g1-mxCm%4AOHXZ10VnZ0{|gn00967L;=Bbz=;3=025<xY;ta6Y<K_x01W^JfB*mh6lrsCWdHyG"
        b"00000KmY&$KmY&$C}V74Z~y=RKmY&$0RR91FaQ7m0RR91000000{{R2@Bjb+0ssI25O8UDX#fBK00RgJ2mk;87-?{AVE_OC00000"
        b"0RRC7fdT^sga7~lSZ!osbN~PVOeg`bSmyuqPXQ{x-6)M|Rk|}kopL|S7}V3a$OdF@@m1rgH1;5;%Iglf-j;iWxjUEH?IjrkZ3xQM"
        b"UiX*!FT-m5BmtVJ&(ea$;{"
    ),
    "turned": (
        b"0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0005LZDn*}000000000XXk=`10000000000aA{+700000000000000000000G-+&a"
        b"V*mgE07O6l0ssL300001;s5~v00000002+`0ssI200J@q0RR9100000Bme*aIB98aW&i*H00062000$fZf0cy000000RRAKc4ILB"
        b"0000LX>Mj^0ssI300IC2MR;ju000004sdC7Z2$lO00031008}IaB^?}007--aAR)(004Gqc4I>U18@KU0FVFx0000U@BsY%`1k+-"
        b"4+CHT0RR|40Sp2E{{wIU00RJ!0009300RIXx&lC90096hLID8-Z~y=U0FVFx0{{R603M(qfd!W8<fgf}2xu@M00096AOHXZ03l)k"
        b"0RRR>0l{;?i2wiq6Ju{|a&BX6cmM$a4FCp!0000KX>)L8000000000$0000$0000eV{Bn?0000$000010000m000010000000002"
        b"|NsB+000020000GaA|mH000000|*ER0000OX>e^}0000000001009Mo0s{qv0000QX>w&|000000000EV`Ot<00IC3009610DNs^"
        b"VRQfh08A(WuUO{)^iKgQz}+Z~X;r#2K%H_w%ox<uxX1=%Z}C;*sWkQ=r^@RNx!#t0gt<GH+3h760&NJ&)n50P`Y*$3{3HRIsL#@Z"
        b"#p3_~00u>PX=VTbO-%qQ000080099K00RI30096700000000"
    ),
}
"""A gradient of 64 x 48 pixels; the second with an orientation of 6 in it."""


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("kind", "worst"), [("AVIF", 4), ("JPEG2000", 0), ("JPEG", 9), ("WEBP", 9)])
@pytest.mark.parametrize("name", ["picture", "picture.dat", "picture.png", "1.2.840.113619"])
def test_the_name_says_nothing_and_the_content_everything(kind: str, worst: float, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(saved(PICTURE, kind))
    image = to_array(decode(tmp_path / name))
    assert np.abs(image.astype(int) - np.asarray(PICTURE)).mean() <= worst
    assert is_picture(tmp_path / name) == (name != "picture.dat")


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".jp2", ".j2k", ".avif", ".heic", ".heif", ".tif", ".JPG"])
def test_suffixes_in_the_wild_are_known(suffix: str) -> None:
    assert suffix.lower() in SUFFIXES
    assert is_picture(f"nowhere{suffix}")
    assert not is_picture("nowhere")


def test_a_pipe_without_suffix_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not is_picture(tmp_path / "pipe")


def test_heic_is_read_and_turned_where_a_library_is_installed() -> None:
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    plain, turned = (base64.b85decode(content) for content in HEIC.values())
    image = to_array(decode(plain)).astype(int)
    y, x = np.mgrid[:48, :64]
    expected = np.stack([x * 4 - x // 16, y * 5, (x + y) * 2], 2) % 256
    assert np.abs(image - expected).mean() < 12
    assert read_header(plain).size == image.shape[:2]
    upright = to_array(decode(turned))
    assert read_header(turned).size == upright.shape[:2]
    assert sorted(upright.shape[:2]) == [48, 64]


def test_heic_is_named_with_what_reads_it_where_none_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photovision.core.image_formats._HEIF_LIBRARIES", ("no_such_library",))
    monkeypatch.setattr(Image, "OPEN", {name: opener for name, opener in Image.OPEN.items() if name != "HEIF"})
    with pytest.raises(UnreadableImage, match=r"is a HEIC picture.*install 'pi-heif>=1.1'"):
        decode(base64.b85decode(HEIC["upright"]))


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", "b")
    return buffer.getvalue()


def array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\0" * 128 + b"DICM" + b"\2\0\0\0UL", "its DICOM header is damaged"),
        (array(), "a NumPy array"),
        (b"8BPS\0\1" + b"\0" * 20, "a Photoshop file"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript file"),
        (b"<?xml version='1.0'?>\n<!-- made --><svg xmlns='http://www.w3.org/2000/svg'/>", "a drawing"),
        (b"II*\0\x10\0\0\0CR\2\0" + b"\0" * 40, "a camera's raw file"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "a camera's raw file"),
        (b"FUJIFILMCCD-RAW 0201", "a camera's raw file"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "a video"),
        (b"RIFF\0\0\0\0AVI LIST", "a video"),
        (archive(), "an archive"),
        (gzip.compress(b"x", mtime=0), "an archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"\xff\x0a\xfa\x7f\1\2", "a JPEG XL picture"),
        (b"\x76\x2f\x31\1\2\0\0\0", "high dynamic range"),
        (b"\x89HDF\r\n\x1a\n", "scientific data"),
        (b"", "is empty"),
        (b"what is this", "not a picture of a known format"),
    ],
)
def test_other_files_are_named_as_what_they_are(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UnreadableImage) as caught:
        decode(tmp_path / "a.jpg")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_raw_file_of_a_camera_does_not_pass_for_its_preview() -> None:
    preview = saved(PICTURE, "TIFF", tiffinfo={254: 1, 330: 100})
    with pytest.raises(UnreadableImage, match="raw file"):
        decode(preview)
