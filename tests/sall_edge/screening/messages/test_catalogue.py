"""Every language says everything, and nothing that a record or an event can carry is without words."""

import re
import string
import subprocess
import sys
from pathlib import Path

import pytest

from sall_edge import cli, screening
from sall_edge.errors import CatalogueError
from sall_edge.fundus.quality import REASONS
from sall_edge.screening.camera.guidance import HINTS
from sall_edge.screening.camera.source import CameraState, WhySetAside
from sall_edge.screening.examination.programme import load_programme, programme_names
from sall_edge.screening.examination.reasons import (
    PHOTOGRAPH_KEYS,
    NotAssessed,
    eye_keys,
    not_assessed_keys,
    person_keys,
)
from sall_edge.screening.examination.record import Outcome, View
from sall_edge.screening.messages import Catalogue, languages, load_catalogue, load_language
from sall_edge.screening.quality_head import QUALITY_HEAD
from sall_edge.screening.report.content import Standing
from sall_edge.spec import Eye, Task, TaskSet, tasks_from_toml
from trainer.tasks import task_file

ENGLISH = load_language("en")
LANGUAGES = languages()
TASK_FILES = ("retina", "odir")


def _tasks(name: str = "retina") -> tuple[Task, ...]:
    return tasks_from_toml(task_file(name)).tasks


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_english_and_three_more_languages_ship() -> None:
    assert set(LANGUAGES) == {"en", "de", "es", "fr"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_keys_and_placeholders_of_english(language: str) -> None:
    texts = load_language(language).texts
    assert texts.keys() == ENGLISH.texts.keys()
    assert {key: _placeholders(text) for key, text in texts.items()} == {
        key: _placeholders(text) for key, text in ENGLISH.texts.items()
    }


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_a_translation_is_translated(language: str) -> None:
    texts = load_language(language).texts
    same = {key for key, text in texts.items() if text == ENGLISH.texts[key]}
    assert len(same) < len(texts) / 8, sorted(same)
    assert not [key for key in same if key.split(".")[0] in ("outcome", "follow_up", "hint")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_outcome_state_and_place_has_a_text(language: str) -> None:
    catalogue = load_language(language)
    wanted = [f"{section}.{outcome.value}" for section in ("outcome", "follow_up") for outcome in Outcome]
    wanted += [f"camera.{state.value}" for state in CameraState]
    wanted += [f"standing.{standing.value}" for standing in Standing]
    wanted += [f"eye.{eye.value}" for eye in Eye] + [f"view.{view.value}" for view in View]
    wanted += [f"hint.{hint}" for hint in HINTS]
    wanted += [f"set_aside.{why.value}" for why in WhySetAside]
    assert [key for key in wanted if key not in catalogue.texts] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_that_an_examination_can_give_has_a_text(language: str) -> None:
    catalogue, tasks = load_language(language), _tasks()
    names = [task.name for task in tasks]
    for key in eye_keys(names) | person_keys(names) | PHOTOGRAPH_KEYS:
        text = catalogue.reason(key, tasks)
        assert text
        assert "{" not in text
    for key in not_assessed_keys(names):
        assert catalogue.not_assessed(key, tasks)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_of_the_quality_gate_has_a_text(language: str) -> None:
    reasons = [*REASONS, QUALITY_HEAD, "no_field_of_view"]
    assert all(load_language(language).reason(reason, ()) for reason in reasons)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", TASK_FILES)
def test_every_grade_of_the_task_files_that_ship_is_in_the_catalogue(language: str, name: str) -> None:
    texts = load_language(language).texts
    for task in _tasks(name):
        assert f"task.{task.name}" in texts
        assert all(f"grade.{task.name}.{grade}" in texts for grade in task.grades)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_programmes_leave_out_is_in_the_catalogue(language: str) -> None:
    keys = {key.value for name in programme_names() for key in load_programme(name).not_assessed}
    assert keys | {key.value for key in NotAssessed} <= {
        key.partition(".")[2] for key in load_language(language).texts if key.startswith("not_assessed.")
    }


def test_every_text_of_documents_and_prompts_is_asked_for_somewhere() -> None:
    folders = [Path(screening.__file__).parent, Path(cli.__file__).parent]
    code = "".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
    names = [key.split(".") for key in ENGLISH.texts if key.startswith(("document.", "prompt."))]
    assert [name for section, name in names if f'"{name}"' not in code and f"{section}.{name}" not in code] == []


def test_a_number_has_the_decimal_mark_of_its_language() -> None:
    assert {language: load_language(language).number(0.5) for language in LANGUAGES} == {
        "en": "0.50",
        "de": "0,50",
        "es": "0,50",
        "fr": "0,50",
    }


def test_what_a_text_needs_to_say_why_a_photograph_was_set_aside_has_to_be_given() -> None:
    assert ENGLISH.set_aside("eye_not_examined", eye=Eye.LEFT) == "of an eye that is not examined (Left eye)"
    with pytest.raises(CatalogueError, match=r"no value for taken_at of set_aside\.earlier"):
        ENGLISH.set_aside("earlier")
    with pytest.raises(CatalogueError, match=r"no text for set_aside\.nonsense"):
        ENGLISH.set_aside("nonsense")


def test_a_grade_is_found_by_its_name_because_two_scales_share_a_number() -> None:
    german = load_language("de")
    stages, kinds = _tasks("retina")[1], _tasks("odir")[1]
    assert (german.grade(stages, 2), german.grade(kinds, 2)) == ("intermediär", "trocken")


def test_a_task_of_ones_own_keeps_the_words_of_its_file() -> None:
    task = Task(name="glaucoma", title="Glaucoma", column="g", grades=("no", "suspect"), referable_from=1)
    german = load_language("de")
    assert (german.task(task), german.grade(task, 1)) == ("Glaucoma", "suspect")


def test_reasons_read_as_sentences() -> None:
    tasks = _tasks()
    assert ENGLISH.reason("L:referable:dr", tasks) == "Left eye: Diabetic retinopathy needs a referral"
    assert ENGLISH.reason("missing:macula", tasks) == "the photograph of the macula is missing"
    assert (
        load_language("de").reason("conflict:dr:amd", tasks)
        == "Diabetische Retinopathie / Altersabhängige Makuladegeneration: die Ergebnisse widersprechen sich"
    )


def test_a_language_that_does_not_ship_is_an_error_that_names_those_that_do() -> None:
    with pytest.raises(CatalogueError, match="no language 'xx'") as problem:
        load_language("xx")
    assert "de, en, es, fr" in problem.value.why


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("nonsense", "no text for reason.nonsense"),
        ("referable", "no value for task of reason.referable"),
        ("referable:glaucoma", "names glaucoma"),
    ],
)
def test_a_reason_that_nobody_knows_is_an_error(key: str, what: str) -> None:
    with pytest.raises(CatalogueError, match=what):
        ENGLISH.reason(key, _tasks())


def test_a_clinic_changes_what_it_wants_and_keeps_the_rest(tmp_path: Path) -> None:
    own = 'language = "en"\nname = "Ours"\nbased_on = "en"\n[outcome]\nreferral = "Call Dr Example"\n'
    catalogue = load_catalogue(_write(tmp_path / "ours.toml", own + '[grade.glaucoma]\nsuspect = "likely"\n'))
    assert catalogue.text("outcome.referral") == "Call Dr Example"
    assert catalogue.text("outcome.no_referral") == ENGLISH.text("outcome.no_referral")
    assert catalogue.texts["grade.glaucoma.suspect"] == "likely"


def test_a_whole_catalogue_of_ones_own_needs_no_base(tmp_path: Path) -> None:
    shipped = Path(sys.modules[Catalogue.__module__].__file__ or "").with_name("fr.toml")
    assert load_catalogue(_write(tmp_path / "fr.toml", shipped.read_text())).texts == load_language("fr").texts


HEAD = 'language = "en"\nname = "Ours"\nbased_on = "en"\n'


@pytest.mark.parametrize(
    ("text", "what", "why"),
    [
        ('name = "Ours"\nbased_on = "en"\n', "does not say its language", "every catalogue does"),
        ('language = "en"\nname = "Ours"\n', "has no text for ", "may not be missing"),
        (HEAD + '[outcome]\nreferal = "Refer"\n', "has outcome.referal", "nothing asks for it"),
        (HEAD + '[outcome]\nreferral = " "\n', "empty text for outcome.referral", "nobody could read it"),
        (HEAD + "[outcome]\nreferral = 3\n", "has 3 for outcome.referral", "has to be a text"),
        (HEAD + '[reason]\nreferable = "{desease}"\n', "for reason.referable", r"it has to hold \{task\}"),
        (HEAD + '[outcome]\nreferral = "{task}"\n', "for outcome.referral", "no placeholder"),
        (HEAD + '[reason]\nreferable = "{task"\n', "has '{task'", "expected '}'"),
        ('based_on = "xx"\n', "no language 'xx'", "these languages ship"),
        ("=", "is not TOML", "line 1"),
    ],
)
def test_a_catalogue_that_breaks_a_rule_does_not_open(tmp_path: Path, text: str, what: str, why: str) -> None:
    with pytest.raises(CatalogueError, match=re.escape(what)) as problem:
        load_catalogue(_write(tmp_path / "ours.toml", text))
    assert re.search(why, problem.value.why)


def test_a_catalogue_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot read") as problem:
        load_catalogue(tmp_path / "none.toml")
    assert problem.value.why == "No such file or directory"


def test_texts_load_no_library_that_makes_documents() -> None:
    code = "import sys, sall_edge.screening.messages; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"typst", "pydicom", "highdicom", "fhir", "cv2", "openvino"} & set(done.stdout.split())


def test_the_task_files_are_those_that_ship() -> None:
    folder = task_file("retina").parent
    diseases = {path.stem for path in folder.glob("*.toml")} - {"quality"}
    with_quality = {path.stem for path in folder.glob("*.toml") if "quality" in _names(path)}
    assert set(TASK_FILES) == diseases - with_quality


def _names(path: Path) -> set[str]:
    tasks: TaskSet = tasks_from_toml(path)
    return {task.name for task in tasks.tasks}
