from pathlib import Path

from typer.testing import CliRunner

from sall_edge.cli import command_line


def _labels(folder: Path) -> Path:
    lines = [f"{n}.jpg,P{n},{'good' if n % 3 else 'reject'}" for n in range(60)]
    (folder / "labels.csv").write_text("\n".join(["image,patient_id,quality", *lines]), encoding="utf-8")
    return folder / "labels.csv"


def test_split_says_how_many_photographs_each_split_has(tmp_path: Path) -> None:
    target = tmp_path / "split.csv"
    result = CliRunner().invoke(command_line(), ["split", str(_labels(tmp_path)), "--by", "quality", "-o", str(target)])
    assert result.exit_code == 0, result.output
    counts = {name: int(number) for number, name in (part.split() for part in result.stdout.split(": ")[1].split(", "))}
    assert sum(counts.values()) == 60
    assert set(counts) == {"train", "val", "test"}


def test_shares_that_leave_nothing_to_train_on_are_a_usage_error(tmp_path: Path) -> None:
    arguments = ["split", str(_labels(tmp_path)), "--val", "0.5", "--test", "0.5", "-o", str(tmp_path / "split.csv")]
    result = CliRunner().invoke(command_line(), arguments)
    assert result.exit_code == 2
    assert not (tmp_path / "split.csv").exists()
