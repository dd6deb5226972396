"""The first portraits of an archive on one picture: `python scripts/contact_sheet.py ARCHIVE.zip -o people.jpg --columns 8 --count 32`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from crossrig.data.metadata import DigitalSource, save_picture
from crossrig.data.portrait_set import load_portraits
from crossrig.errors import UserError
from crossrig.sheets import grid


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path, help="ZIP made by `crossrig synth`")
    parser.add_argument("-o", "--output", type=Path, required=True, help="picture to write")
    parser.add_argument("--columns", type=int, default=8, help="portraits in a row (default: 8)")
    parser.add_argument("--count", type=int, default=32, help="portraits in all (default: 32)")
    parser.add_argument("--size", type=int, default=160, help="pixels a side of each (default: 160)")
    options = parser.parse_args()
    try:
        portraits = load_portraits([options.archive], options.size, options.count)
        images = portraits.pictures.float() / 127.5 - 1.0
        save_picture(options.output, grid(images, options.columns), DigitalSource.TRAINED, overwrite=True)
    except UserError as error:
        print(f"contact_sheet: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
