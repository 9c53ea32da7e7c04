"""Draws `docs/pictures/NAME.svg`: public series replayed through the detectors, as docs/knowing.md shows them.

python benchmarks/knowing_pictures.py --data nab_dev.zip [--out docs/pictures]
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

from agent.config.load import load_agent_config
from agent.config.loaded import LoadedConfig
from agent.model import Series
from agent.replay.csv_history import CsvHistory, read_history
from agent.replay.picture import picture
from agent.replay.run import replay

SETTINGS = {"seasonal": "[detectors.seasonal]\nperiod_count = 288\n"}
PICTURES = (
    ("rebellion", "artificialWithAnomaly/art_daily_jumpsup"),
    ("rebellion", "artificialWithAnomaly/art_daily_flatmiddle"),
    ("rebellion", "artificialWithAnomaly/art_daily_nojump"),
    ("rebellion", "realAWSCloudwatch/rds_cpu_utilization_cc0c53"),
    ("robust", "realAWSCloudwatch/rds_cpu_utilization_cc0c53"),
    ("seasonal", "artificialWithAnomaly/art_daily_nojump"),
    ("zscore", "artificialWithAnomaly/art_daily_jumpsup"),
)


def history(archive: ZipFile, member: str, folder: Path) -> CsvHistory:
    """One series of the archive; its name is for the reader of the picture, no detector is told it."""
    read = read_history(Path(archive.extract(f"{member}.csv", folder)))
    return replace(read, series=(Series(Path(member).name),))


def configuration(detector: str, folder: Path) -> LoadedConfig:
    path = folder / f"{detector}.toml"
    path.write_text(f'[transformer]\ndetector = "{detector}"\n{SETTINGS.get(detector, "")}')
    return load_agent_config([path], {"STATE_DIRECTORY": str(folder)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="nab_dev.zip")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "docs" / "pictures")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, ZipFile(arguments.data) as archive:
        folder = Path(scratch)
        for detector, member in PICTURES:
            seen = replay(configuration(detector, folder), history(archive, member, folder), keeps_averages=True)
            path = arguments.out / f"{detector}-{Path(member).name}.svg"
            path.write_text(picture(seen))
            print(f"{path.name}: {len(seen.alerts)} alerts in {len(seen.history.times_s)} rows")


if __name__ == "__main__":
    main()
