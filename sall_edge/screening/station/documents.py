"""The documents of a stored examination: its photographs are taken out of the store and looked at once more."""

from collections.abc import Iterable
from pathlib import Path

from sall_edge.errors import DocumentError, PhotographError
from sall_edge.fundus.prepare import prepare_bytes
from sall_edge.runtime.session import Session
from sall_edge.screening.examination.programme import Programme
from sall_edge.screening.examination.record import Examination, ExaminedPhotograph
from sall_edge.screening.messages import Catalogue
from sall_edge.screening.report.compose import compose
from sall_edge.screening.report.content import Letterhead, Picture
from sall_edge.screening.report.kinds import DocumentKind, Readers
from sall_edge.screening.report.picture import picture_of
from sall_edge.screening.report.write import write_documents
from sall_edge.screening.store.reader import StoreReader
from sall_edge.screening.verdict import Examined

__all__ = ["Documents", "pictures_of"]


class Documents:
    """Writes what leaves the device.

    Args:
        folder: Where the files go.
        kinds: Which.
        catalogue: Their language.
        programme: That the examinations follow.
        letterhead: Whose documents.
        readers: Who may read the files.
    """

    def __init__(
        self,
        folder: Path,
        kinds: Iterable[DocumentKind],
        *,
        catalogue: Catalogue,
        programme: Programme,
        letterhead: Letterhead | None = None,
        readers: Readers = Readers.OWNER,
    ) -> None:
        self._folder = folder
        self._kinds = tuple(kinds)
        self._catalogue = catalogue
        self._programme = programme
        self._letterhead = letterhead
        self._readers = readers

    def write(self, examination: Examination, store: StoreReader, session: Session) -> tuple[Path, ...]:
        """The files of one examination.

        Args:
            examination: As it is stored.
            store: Holds its photographs.
            session: Of the engine that graded them.

        Raises:
            DocumentError: Another engine graded, or a document cannot be made.
            OutputError: The folder cannot be written.
            StoreError: A photograph is missing, or is not the one that was stored.
        """
        pictures = pictures_of(examination, store, session)
        manifest = session.manifest
        content = compose(
            examination, manifest, self._programme, self._catalogue, pictures=pictures, letterhead=self._letterhead
        )
        return write_documents(content, self._folder, self._kinds, readers=self._readers)


def pictures_of(examination: Examination, store: StoreReader, session: Session) -> dict[str, Picture]:
    """By photograph id, the square that the engine saw and where it saw evidence, of those that stand for a view.

    Nothing for what has no square. The others are read too: a report vouches for everything that was stored.

    Raises:
        DocumentError: Another engine, or other squares than this one's, graded a photograph.
        StoreError: A photograph is missing, or is not the one that was stored.
    """
    chosen = {photograph_id for result in examination.eyes.values() for photograph_id in result.chosen.values()}
    pictures = {}
    for photograph in examination.photographs:
        _check_engine(photograph, session)
        data = store.photograph_bytes(photograph.sha256)
        picture = _picture(photograph, data, session) if photograph.photograph_id in chosen else None
        if picture is not None:
            pictures[photograph.photograph_id] = picture
    return pictures


def _picture(photograph: ExaminedPhotograph, data: bytes, session: Session) -> Picture | None:
    try:
        square = prepare_bytes(data, session.manifest.image, name=photograph.photograph_id).square
    except PhotographError:
        return None
    prediction = session.run(square) if photograph.screened.gradable else None
    return picture_of(Examined(result=photograph.screened, square=square, prediction=prediction))


def _check_engine(photograph: ExaminedPhotograph, session: Session) -> None:
    graded_by = photograph.screened.engine_sha256
    if graded_by not in (None, session.engine.sha256):
        raise DocumentError(
            f"photograph {photograph.photograph_id} was graded by the engine {graded_by[:12]}",
            f"this engine is {session.engine.sha256[:12]}: it would draw other evidence than what was decided on",
            "give the engine that graded the examination",
        )
