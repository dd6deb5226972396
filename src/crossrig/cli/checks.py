"""`crossrig doctor` and `demo`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from crossrig.cli.parser import add, check_device, make_folder, show_progress


def doctor_command(commands: Any) -> None:
    parser = add(commands, "doctor", _doctor, "Say what is installed, what is missing and how to get it.")
    parser.add_argument("--json", action="store_true", help="print one object")


def _doctor(options: argparse.Namespace) -> None:
    from crossrig.doctor import diagnose, report

    diagnosis = diagnose()
    print(json.dumps(diagnosis.to_json(), indent=2) if options.json else report(diagnosis))


def demo_command(commands: Any) -> None:
    parser = add(commands, "demo", _demo, "Edit a photograph and two drawings and write a contact sheet.")
    parser.add_argument("--outdir", type=Path, default=Path("demo"), help="folder for sheet.png (default: demo)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def _demo(options: argparse.Namespace) -> None:
    from crossrig.demo import make_sheet
    from crossrig.memory import keep_freed_memory

    keep_freed_memory()
    print(make_sheet(make_folder(options.outdir), check_device(options.device), show_progress))
