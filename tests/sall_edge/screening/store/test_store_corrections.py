"""The side of a photograph, corrected in the store: one entry more, and no photograph's row changed."""

import json
from typing import Any

import pytest
from fakes.stored_examination import begun, corrected, ended, put_examination, with_photograph
from sqlalchemy import select

from sall_edge.errors import AuditBroken, StoreError
from sall_edge.screening.examination.record import Examination, Outcome
from sall_edge.screening.store import store as store_module
from sall_edge.screening.store.entries import correction_facts
from sall_edge.screening.store.rows import photograph_row_sha256
from sall_edge.screening.store.store import Store
from sall_edge.screening.store.tables import AuditRow, PhotographRow
from sall_edge.screening.store.verify import verify


def _log(store: Store) -> list[tuple[str, dict[str, Any]]]:
    with store.session() as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.seq))
        return [(row.kind, json.loads(row.payload)) for row in rows]


def _photograph_rows(store: Store) -> set[str]:
    with store.session() as session:
        return {photograph_row_sha256(row) for row in session.scalars(select(PhotographRow))}


def test_a_correction_is_an_entry_of_its_own_that_names_the_decision_it_replaces(either_store: Store) -> None:
    examination = put_examination(either_store)
    rows, (_, finished) = _photograph_rows(either_store), _log(either_store)[-1]
    done = corrected(examination)
    either_store.correct(done)
    kind, facts = _log(either_store)[-1]
    assert kind == "corrected"
    assert (facts["photograph"], facts["eye_was"], facts["eye_is"]) == (done.photographs[0].photograph_id, "R", "L")
    assert facts["replaced_row_sha256"] == finished["row_sha256"]
    assert (facts["replaced_outcome"], facts["outcome"]) == ("referral", "urgent_referral")
    assert "Greta" not in json.dumps(facts)
    assert either_store.examination(examination.examination_id) == done
    assert _photograph_rows(either_store) == rows
    assert verify(either_store).examinations == 1


def test_the_same_correction_is_written_once_and_another_one_takes_it_back(store: Store, stored: Examination) -> None:
    once = corrected(stored)
    for _ in range(2):
        store.correct(once)
    twice = corrected(once)
    store.correct(twice)
    assert [kind for kind, _ in _log(store)].count("corrected") == 2
    assert [one.eye for one in twice.counted] == [one.eye for one in stored.photographs]
    verify(store)


def test_what_changes_more_than_a_correction_is_refused(store: Store, stored: Examination) -> None:
    done = corrected(stored)
    for wrong in (
        corrected(done),  # two at once
        stored.model_copy(update={"outcome": Outcome.NO_REFERRAL}),  # none
        done.model_copy(update={"operator": "somebody else"}),
        done.model_copy(update={"photographs": done.photographs[1:]}),
    ):
        with pytest.raises(StoreError, match="cannot store a correction") as refused:
            store.correct(wrong)
        assert refused.value.why.startswith("it differs from what is stored in more than one correction")
    assert _log(store)[-1][0] == "finished"


def test_an_examination_that_goes_on_keeps_what_was_corrected_meanwhile(store: Store) -> None:
    examination = begun()
    store.begin(examination)
    examination, photograph = with_photograph(examination, b"one")
    store.add_photograph(examination, photograph, b"one")
    store.correct(corrected(examination))
    with pytest.raises(StoreError, match="cannot store a change") as refused:
        store.finish(ended(examination))
    assert refused.value.why == "the side of a photograph was corrected meanwhile"
    store.finish(ended(corrected_as_stored := store.examination(examination.examination_id)))
    assert store.examination(examination.examination_id).corrections == corrected_as_stored.corrections
    verify(store)


def test_the_examination_of_a_photograph_is_found_by_it(store: Store, stored: Examination) -> None:
    assert store.examination_with(stored.photographs[1].photograph_id) == stored
    with pytest.raises(StoreError, match="no photograph x") as refused:
        store.examination_with("x")
    assert refused.value.fix == "sall-edge store show STORE ID names them"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"eye_was": "L", "eye_is": "R"}, "was of R, not L"),
        ({"eye_is": "R"}, "was of R, not R, and is of R"),
        ({"replaced_row_sha256": "0" * 64}, "it replaces another decision than the last one"),
        ({"photograph": "x"}, "KeyError"),
    ],
)
def test_an_entry_that_does_not_follow_from_the_log_is_found(
    store: Store, stored: Examination, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], why: str
) -> None:
    def written(*given: Any) -> dict[str, Any]:
        return correction_facts(*given) | wrong

    monkeypatch.setattr(store_module, "correction_facts", written)
    store.correct(corrected(stored))
    with pytest.raises(AuditBroken, match="broken at entry 8") as said:
        verify(store)
    assert why in said.value.why


def test_deletion_takes_a_corrected_examination_too(store: Store, stored: Examination) -> None:
    store.correct(corrected(stored))
    store.delete(stored.examination_id, why="old")
    assert verify(store).examinations == 0
