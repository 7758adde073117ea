"""A new project: complete, its own, and never over somebody's files."""

import pytest

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.commands.settings import load_settings
from tradeworthy.apps.commands.starting import init_project
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.core.errors import SettingsInvalid


def test_everything_is_there(tmp_path):
    """Settings, strategy, data and an ignore file are made, and listed as they are on disk."""
    started = init_project(tmp_path / "desk")
    assert started.files == [
        ".github/workflows/gate.yml",
        ".gitignore",
        ".pre-commit-config.yaml",
        "data/BTC.csv",
        "data/ETH.csv",
        "strategy.py",
        "tradeworthy.toml",
    ]
    assert all((tmp_path / "desk" / name).stat().st_size for name in started.files)


def test_it_is_ready(tmp_path):
    """Settings load with every limit set, the strategy loads, and its features read declared instruments only."""
    init_project(tmp_path / "desk")
    settings = load_settings(tmp_path / "desk")
    strategy = load_strategy(tmp_path / "desk" / settings.desk.strategy)
    assert settings.limits.missing() == []
    assert settings.desk.name == "desk"
    assert [instrument.symbol for instrument in settings.instrument if instrument.traded] == ["ETH"]
    assert len(strategy.features) == 20


def test_its_data_is_sound(tmp_path):
    """The bars are those of the wheel: two years of half hours, with stamps that the volume says are opens."""
    init_project(tmp_path / "desk")
    eth, btc = Project(tmp_path / "desk").look().files
    assert (eth.instrument, eth.bars, eth.gaps, eth.missing) == ("ETH", 35_011, 13, 30)
    assert btc.instrument == "BTC"
    assert "agrees" in eth.stamps


def test_an_empty_folder_will_do(tmp_path):
    """A folder that is there and empty is used."""
    (tmp_path / "desk").mkdir()
    init_project(tmp_path / "desk")
    assert (tmp_path / "desk" / "strategy.py").is_file()


def test_nothing_is_written_over(tmp_path):
    """A folder with anything in it is left exactly as it is."""
    (tmp_path / "strategy.py").write_text("mine", "utf-8")
    with pytest.raises(SettingsInvalid, match="is not empty; name a new folder"):
        init_project(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["strategy.py"]
