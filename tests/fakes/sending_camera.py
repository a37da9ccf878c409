"""A fundus camera in a process of its own, by pynetdicom's client: `sending_camera.py PORT JPEG`.

Sends two eyes of one person after the other, each again until it is told that it arrived, and then prints the SHA-256
of its photograph. A line on stdin makes the person at hand the last one; the number of persons is the last line.
"""

import select
import socket
import sys
import time
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from fakes.fundus_dicom import ophthalmic_photograph, send
from pydicom import Dataset
from pydicom.encaps import encapsulate

__all__ = ["in_other_bytes"]


def in_other_bytes(jpeg: bytes, number: int) -> bytes:
    """The same picture: a comment before the first segment."""
    comment = f"{number:06d}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def _is_promised(dataset: Dataset, port: int) -> bool:
    with socket.socket() as trying:
        if trying.connect_ex(("127.0.0.1", port)) != 0:
            return False
    try:
        return send(dataset, port=port) == 0
    except (AttributeError, RuntimeError):  # killed while it was sent: no answer
        return False


def main() -> None:
    """Until it is told to end."""
    port, jpeg = int(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    persons = sent = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        for eye in "RL":
            photograph = in_other_bytes(jpeg, sent)
            dataset = ophthalmic_photograph(pixels, person=f"P{persons}", eye=eye)
            dataset.PixelData = encapsulate([photograph])
            while not _is_promised(dataset, port):
                time.sleep(0.02)
            sent += 1
            sys.stdout.write(f"{sha256(photograph).hexdigest()}\n")
        persons += 1
    sys.stdout.write(f"{persons}\n")


if __name__ == "__main__":
    main()
