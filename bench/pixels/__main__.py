"""``python -m bench.pixels``: rendered sequences through the pipeline, measured against their truth.

Words after ``--`` go to ``josh4d reconstruct``: ``... --against josh.json -- --mode josh3r --josh3r-weights FILE``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.sequences import names

from .pool import difference, table
from .run import engine_hash, figures_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pixels", description=__doc__)
    parser.add_argument("--sequences", nargs="+", choices=names(), default=list(names()), metavar="NAME")
    parser.add_argument("--rendered", type=Path, required=True, help="folder that bench.sequences wrote")
    parser.add_argument("--work", type=Path, help="where results are kept (default: RENDERED/pixels)")
    parser.add_argument("--out", type=Path, help="write the figures of every sequence as JSON")
    parser.add_argument("--against", type=Path, help="JSON of an earlier run: print what changed")
    parser.add_argument("--true-lens", action="store_true", help="give the true focal length")
    parser.add_argument("options", nargs="*", metavar="WORD", help="options of josh4d reconstruct, after --")
    arguments = parser.parse_args()
    work = arguments.work or arguments.rendered / "pixels"
    figures = {}
    for name in arguments.sequences:
        figures[name] = figures_of(name, arguments.rendered, work, arguments.options, arguments.true_lens)
        print(f"{name}: {figures[name]['processor_seconds']} s of processor time", flush=True)
    print("\n".join(table(figures)))
    if arguments.out:
        arguments.out.write_text(json.dumps({"engine": engine_hash(), "sequences": figures}, indent=1) + "\n")
    if arguments.against:
        print("\n".join(("", *difference(figures, json.loads(arguments.against.read_text())["sequences"]))))


if __name__ == "__main__":
    main()
