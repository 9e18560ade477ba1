"""What the two benches of clusters have in common: options, the world they run in, and the ending."""

import argparse
import json
import os
import platform
import sys

import bench
import world


def run(doc, parts, sizes, text, absurd, options=lambda parser: None, prepare=lambda args: {}):
    """parts: {name: function of the arguments and the sample size}; sizes: of a full and a quick run.
    text(result) is printed; what absurd(result) finds is a failure. prepare: more of the result."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small samples; judges the ratios")
    parser.add_argument("--bin", default=os.environ.get("ROOST_BIN", bench.BIN), metavar="DIR")
    parser.add_argument("--only", default=",".join(parts), metavar="PARTS")
    parser.add_argument("--size", default="{}", metavar="JSON", help="figures of the sample size "
                        "to replace (see FULL)")
    parser.add_argument("-o", dest="output", metavar="FILE", help="write the figures as JSON")
    options(parser)
    args = parser.parse_args()
    args.bin = os.path.abspath(args.bin)
    args.tools = os.path.abspath(f"{args.bin}/../tests/bench")
    os.environ["ROOST_BIN"] = args.bin
    world.enter()
    os.makedirs(bench.WORK)
    full, quick = sizes
    size = {**(quick if args.quick else full), **json.loads(args.size)}
    result = {"machine": {"kernel": platform.release(), "cpus": os.cpu_count(),
                          "load": os.getloadavg()[0]}, "quick": args.quick, **prepare(args)}
    for name, part in parts.items():
        if name in args.only.split(","):
            result[name] = part(args, size)
    print(text(result))
    if args.output:
        with open(args.output, "w") as f:
            f.write(json.dumps(result, indent=1) + "\n")
    said = absurd(result)
    for sentence in said:
        print(f"FAIL - {sentence}")
    sys.exit(bool(said))
