"""A real association over a real socket, and a real C-STORE by pynetdicom's client."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes.fundus_dicom import dicom_bytes, ophthalmic_photograph, send
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from sall_edge.errors import CameraError, OutputError, UnreadablePhotograph
from sall_edge.fundus.phantom import draw_phantom
from sall_edge.screening.camera import dicom_scp
from sall_edge.screening.camera.dicom_photograph import capture_of_dicom
from sall_edge.screening.camera.dicom_scp import DicomCamera, open_dicom_scp
from sall_edge.screening.camera.source import CameraState, Moment
from sall_edge.spec import Eye

SOON_S = 5.0
STORED, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000


@pytest.fixture(scope="module")
def retina() -> np.ndarray:
    return draw_phantom(np.random.default_rng(3), side_px=320, dr_grade=0, amd_grade=0, eye="R").pixels


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[DicomCamera]:
    with open_dicom_scp(tmp_path / "spool", port=0, address="127.0.0.1") as opened:
        yield opened


def test_a_sent_photograph_arrives_as_the_camera_made_it(camera: DicomCamera, retina: np.ndarray) -> None:
    since, sent = Moment.now(), ophthalmic_photograph(retina, person="4711", eye="L")
    assert send(sent, port=camera.port) == STORED
    capture = camera.capture(since, timeout_s=SOON_S)
    assert capture is not None
    assert capture.suffix == ".jpg"
    assert capture.data == next(generate_frames(sent.PixelData, number_of_frames=1)).rstrip(b"\0")
    assert (capture.origin.person_reference, capture.origin.eye) == ("4711", Eye.LEFT)
    assert capture.origin.details["SOPInstanceUID"] == sent.SOPInstanceUID
    assert capture.origin.details["ManufacturerModelName"] == "Phantom 45"
    assert camera.capture(since, timeout_s=0.6) is None


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_pixels_without_compression_arrive_as_they_are(camera: DicomCamera, retina: np.ndarray, syntax: str) -> None:
    since = Moment.now()
    assert send(ophthalmic_photograph(retina, syntax=syntax), port=camera.port) == STORED
    capture = camera.capture(since, timeout_s=SOON_S)
    assert capture is not None
    assert capture.suffix == ".png"
    decoded = cv2.imdecode(np.frombuffer(capture.data, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(decoded, retina)


def test_the_folder_holds_an_object_until_its_photograph_is_stored(
    camera: DicomCamera, retina: np.ndarray, tmp_path: Path
) -> None:
    since = Moment.now()
    send(ophthalmic_photograph(retina), port=camera.port)
    capture = camera.capture(since, timeout_s=SOON_S)
    assert capture is not None
    (held,) = (tmp_path / "spool").iterdir()
    assert held.stat().st_mode & 0o777 == 0o600
    camera.stored(capture)
    assert not list((tmp_path / "spool").iterdir())


def test_what_was_not_stored_before_a_crash_is_given_again(retina: np.ndarray, tmp_path: Path) -> None:
    since = Moment.now()
    with open_dicom_scp(tmp_path / "spool", port=0, address="127.0.0.1") as camera:
        send(ophthalmic_photograph(retina), port=camera.port)
        assert camera.capture(since, timeout_s=SOON_S) is not None
    with open_dicom_scp(tmp_path / "spool", port=0, address="127.0.0.1") as camera:
        assert camera.capture(since, timeout_s=SOON_S) is not None


def test_whoever_attends_gets_what_a_crash_left_behind_but_no_half_object(retina: np.ndarray, tmp_path: Path) -> None:
    with open_dicom_scp(tmp_path, port=0, address="127.0.0.1") as before:
        assert send(ophthalmic_photograph(retina), port=before.port) == STORED
    (tmp_path / ".1.2.3.abc.dcm").write_bytes(b"half")
    with open_dicom_scp(tmp_path, port=0, address="127.0.0.1") as camera:
        assert camera.capture(camera.awaited_since, timeout_s=SOON_S) is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_an_object_that_is_sent_twice_is_given_once(camera: DicomCamera, retina: np.ndarray) -> None:
    since, sent = Moment.now(), ophthalmic_photograph(retina)
    assert [send(sent, port=camera.port) for _ in range(2)] == [STORED, STORED]
    assert camera.capture(since, timeout_s=SOON_S) is not None
    second = camera.capture(since, timeout_s=1.0)
    assert second is None or second.data == next(generate_frames(sent.PixelData, number_of_frames=1)).rstrip(b"\0")


def test_another_title_is_refused_and_ours_answers_an_echo(camera: DicomCamera, retina: np.ndarray) -> None:
    from pynetdicom import AE

    assert send(ophthalmic_photograph(retina), port=camera.port, ae_title="OTHER") is None
    entity = AE()
    entity.add_requested_context(dicom_scp.VERIFICATION)
    association = entity.associate("127.0.0.1", camera.port, ae_title="SALL_EDGE")
    assert association.send_c_echo().Status == STORED
    association.release()


@pytest.mark.parametrize(("number", "status"), [(28, OUT_OF_RESOURCES), (13, CANNOT_UNDERSTAND)])
def test_what_cannot_be_kept_is_not_said_to_be(
    monkeypatch: pytest.MonkeyPatch, camera: DicomCamera, retina: np.ndarray, number: int, status: int
) -> None:
    def refused(path: Path, *, mode: int) -> None:
        raise OutputError(f"cannot write {path}", "no", "make room") from OSError(number, "no")

    monkeypatch.setattr(dicom_scp, "file_being_written", refused)
    assert send(ophthalmic_photograph(retina), port=camera.port) == status


def test_a_port_that_is_taken_is_said(camera: DicomCamera, tmp_path: Path) -> None:
    assert camera.state is CameraState.READY
    with pytest.raises(CameraError, match="cannot listen on port"):
        open_dicom_scp(tmp_path / "other", port=camera.port, address="127.0.0.1")


def test_a_time_with_a_zone_is_the_trigger_and_one_without_is_not(retina: np.ndarray) -> None:
    arrived, dataset = Moment.now(), ophthalmic_photograph(retina)

    def triggered(value: str) -> Moment:
        dataset.AcquisitionDateTime = value
        return capture_of_dicom(dicom_bytes(dataset), arrived=arrived, camera="c", name="n").triggered

    assert triggered("20260101120000.000000+0100").utc.isoformat() == "2026-01-01T11:00:00+00:00"
    assert triggered("20260101120000+0000").utc.isoformat() == "2026-01-01T12:00:00+00:00"
    assert triggered("20260101120000") == arrived
    assert triggered("20990101120000+0000") == arrived
    earlier = triggered("20260101120000+0000")
    assert arrived.monotonic_s - earlier.monotonic_s == pytest.approx((arrived.utc - earlier.utc).total_seconds())


@pytest.mark.filterwarnings("ignore:End of file reached:UserWarning")  # pydicom says it and raises it
def test_what_is_no_colour_photograph_says_why(retina: np.ndarray) -> None:
    def why(data: bytes) -> str:
        with pytest.raises(UnreadablePhotograph) as problem:
            capture_of_dicom(data, arrived=Moment.now(), camera="c", name="n")
        return problem.value.why

    whole = dicom_bytes(ophthalmic_photograph(retina))
    assert why(b"\xff\xd8 no dicom")
    assert why(whole[: len(whole) // 2])
    grey = ophthalmic_photograph(retina, syntax=ExplicitVRLittleEndian)
    grey.SamplesPerPixel = 1
    assert "1 channels" in why(dicom_bytes(grey))
    del grey.PixelData
    assert why(dicom_bytes(grey)) == "it holds no pixels"


def test_an_instance_uid_cannot_name_another_folder(camera: DicomCamera, retina: np.ndarray, tmp_path: Path) -> None:
    dataset = dcmread(BytesIO(dicom_bytes(ophthalmic_photograph(retina))))
    dataset.SOPInstanceUID = generate_uid()
    event = type("Event", (), {"request": type("R", (), {"AffectedSOPInstanceUID": "../../evil"})()})()
    assert camera._received(event) == CANNOT_UNDERSTAND
    assert not list((tmp_path / "spool").iterdir())


def test_a_jpeg_that_is_rgb_keeps_its_colours(retina: np.ndarray) -> None:
    said = BytesIO()
    Image.fromarray(retina).save(said, "JPEG", keep_rgb=True, quality=95)
    dataset = ophthalmic_photograph(retina)
    dataset.PhotometricInterpretation = "RGB"

    def colours(jpeg: bytes) -> np.ndarray:
        dataset.PixelData = encapsulate([jpeg])
        taken = capture_of_dicom(dicom_bytes(dataset), arrived=Moment.now(), camera="c", name="n").data
        return cv2.imdecode(np.frombuffer(taken, np.uint8), cv2.IMREAD_COLOR_RGB).mean(axis=(0, 1))

    assert colours(said.getvalue()) == pytest.approx(retina.mean(axis=(0, 1)), abs=1)
    assert colours(_not_said(said.getvalue())) == pytest.approx(retina.mean(axis=(0, 1)), abs=1)
    jfif = bytes(cv2.imencode(".jpg", retina[..., ::-1])[1])  # JFIF is YCbCr, whatever the object says
    assert colours(jfif) == pytest.approx(retina.mean(axis=(0, 1)), abs=1)


def _not_said(jpeg: bytes) -> bytes:
    """The JPEG without Adobe's marker, its components numbered as those of YCbCr are."""
    assert jpeg[2:4] == b"\xff\xee"
    bare = jpeg[:2] + jpeg[4 + int.from_bytes(jpeg[4:6], "big") :]
    for number, letter in enumerate(b"RGB", 1):
        bare = bare.replace(bytes([letter, 0x11, 0]), bytes([number, 0x11, 0])).replace(
            bytes([letter, 0]), bytes([number, 0])
        )
    return bare


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what it finds in them
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, ExplicitVRLittleEndian])
def test_whatever_is_broken_in_an_object_it_is_unreadable_and_no_crash(syntax: UID, retina: np.ndarray) -> None:
    whole, rng = dicom_bytes(ophthalmic_photograph(retina[:32, :32], syntax=syntax)), np.random.default_rng(5)
    causes = set()
    for _ in range(2000):
        broken = bytearray(whole)
        for place in rng.integers(132, 900, rng.integers(1, 4)):
            broken[place] = rng.integers(256)
        try:
            capture_of_dicom(bytes(broken), arrived=Moment.now(), camera="c", name="n")
        except UnreadablePhotograph as problem:
            causes.add(type(problem.__cause__))
    assert len(causes) > 4  # among them some that are of pydicom alone
