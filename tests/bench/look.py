#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a look at the pods of a node costs: processor time of roostctl ipam check, which takes the same look
as the agent (lib/wiring.h), with one pod and with many. Their difference is the look, the comparison, and the
records of the node state.

    look.py [PODS]      dual stack, 250 when none is said
"""
import os
import resource
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), f"{os.path.dirname(HERE)}/netns"]
sys.dont_write_bytecode = True
import world

ROUNDS = 21


def cpu_ms(lab, inside, program):
    """Of one check: user and system time."""
    def spent():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return 1000 * (used.ru_utime + used.ru_stime)
    times = []
    for _ in range(ROUNDS):
        before = spent()
        with inside(lab.host.path):
            subprocess.run([program, "--state-dir", lab.state, "ipam", "check"], check=True, stdout=subprocess.DEVNULL)
        times.append(spent() - before)
    return statistics.median(times)


def main():
    world.enter()
    from roostlab import BIN, Lab, inside  # after the world is private
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 250
    lab = Lab()
    conf = lab.conf(pools=["10.66.0.0/20", "fd66::/112"])
    lab.add(lab.pod(), conf)
    few = cpu_ms(lab, inside, f"{BIN}/roostctl")
    for _ in range(many - 1):
        lab.add(lab.pod(), conf)
    much = cpu_ms(lab, inside, f"{BIN}/roostctl")
    print(f"ipam check: {few:.2f} ms of processor time with one pod, {much:.2f} ms with {many}; "
          f"a look at {many} pods: {much - few:.2f} ms")
    lab.close()


if __name__ == "__main__":
    main()
