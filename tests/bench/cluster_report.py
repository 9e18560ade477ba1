"""The figures of cluster_bench.py as tables, beside the reach that was set for them.

judge() adds "reach"; text() prints everything; absurd() is for the quick run in the test suite: the
sentences about figures that are missing or cannot be. It compares figures of one run only, with
limits so wide that no busy machine crosses them.
"""

from report import table

REACH = (
    # what, how to find the figure, limit (all: at most)
    ("a claim to its route on the other nodes, median, ms",
     lambda r: [f["whole"]["p50"] for f in r["routes"].values()], 100),
    ("ADD with etcd as the store / with pools in place",
     lambda r: [add_ratio(r, "etcd")], 1.1),
    ("system calls of an ADD that reach the network",
     lambda r: [sum(map(len, r["pods"]["network_calls"].values()))], 0),
    ("agent's memory (VmHWM), MiB",
     lambda r: [round(f["VmHWM"] / 1024, 1) for f in r["scale"]["live"].values()], 32),
    ("desired state and BIRD's text, ms",
     lambda r: [round((f["desired_us"] + f["text_us"]) / 1e3, 1)
                for f in r["scale"]["compute"].values()], 100),
    ("a sync that changes nothing, median, ms",
     lambda r: [f["sync_ms"]["p50"] for f in r["scale"]["live"].values()], 200),
    ("BIRD reads its configuration again, median, ms",
     lambda r: [f["configure_ms"]["p50"] for f in r["scale"]["live"].values()], 1000),
    ("the same, with foreign routes in the kernel",
     lambda r: [r["scale"]["foreign"]["after_ms"]["p50"]], 200),
)


def row_of(result, host, verb):
    return next(s for s in result["pods"]["series"] if (s["host"], s["verb"]) == (host, verb))


def add_ratio(result, host):
    return round(row_of(result, host, "ADD")["p50"] / row_of(result, "in place", "ADD")["p50"], 2)


def del_ratio(result):
    many = result["pods"]["many_dels"]
    return round(many["no agent"]["p50"] / many["live agent"]["p50"], 2)


def foreign_ratio(result):
    f = result["scale"]["foreign"]
    return round(f["after_cpu_ms"]["p50"] / f["before_cpu_ms"]["p50"], 2)


def growth(result):
    """Ten times the cluster costs how many times the computing, by mode."""
    compute = result["scale"]["compute"]
    return {mode: round((f["desired_us"] + f["text_us"]) /
                        (compute[f"{mode}, a tenth"]["desired_us"] +
                         compute[f"{mode}, a tenth"]["text_us"]), 1)
            for mode, f in compute.items() if not mode.endswith("a tenth")}


def judge(result):
    result["reach"] = []
    for what, find, limit in REACH:
        try:
            values = find(result)
        except KeyError:  # a part that was not run
            continue
        worst = max(values)
        result["reach"].append({"what": what, "limit": limit, "worst": worst,
                                "met": worst <= limit})


# ---- tables ----

def cell(f):
    return f"{f['p50']:.2f} / {f['p95']:.2f}"


def pods_text(result):
    hosts = ["in place", "file", "etcd", "stopped"]
    names = {"in place": "pools in place, no agent", "file": "file: store", "etcd": "etcd",
             "stopped": "file: store, agent stopped"}
    rows = []
    for h in hosts:
        add, gone = row_of(result, h, "ADD"), row_of(result, h, "DEL")
        rows.append([names[h], cell(add), f"{add_ratio(result, h):.2f}", cell(gone),
                     len(result["pods"]["network_calls"][h])])
    out = table([f"{add['n']} pods, by turns", "ADD, ms", "/ in place", "DEL, ms",
                 "calls that reach the network, fork or sync"], rows)
    rows = [[name, cell(f), f"{f['all_ms']:.0f}", f"{f['links_gone_ms']:.0f}"]
            for name, f in result["pods"]["many_dels"].items()]
    n = result["pods"]["many_dels"]["no agent"]["n"]
    return out + "\n" + table([f"DEL of {n} pods, one after another", "one, ms", "all, ms",
                               "last link gone after, ms"], rows) + \
        f"\nwithout an agent / with: {del_ratio(result):.1f}\n"


def routes_text(result):
    names = {"claim": "wish to claim committed", "kernel": "committed to own kernel",
             "route": "committed to route on another node", "whole": "wish to route on all"}
    head = ["ms, median / 90th percentile", *result["routes"]]
    rows = [[name, *(f"{f[key]['p50']:.1f} / {f[key]['p90']:.1f}"
                     for f in result["routes"].values())] for key, name in names.items()]
    return table(head, rows)


def claims_text(result):
    rows = [[name, f["claims"], f"{f['per_second']:.0f}", f["conflicts"],
             f"{f['median_us'] / 1e3:.1f} / {f['p95_us'] / 1e3:.1f}"]
            for name, f in result["claims"].items()]
    return table(["8 nodes at once", "claims", "claims/s", "conflicts", "one, ms"], rows)


def scale_text(result):
    s = result["scale"]
    grown = growth(result)
    rows = [[mode, f"{f['desired_us'] / 1e3:.1f}", f"{f['text_us'] / 1e3:.1f}",
             f"{f['blocks_us'] / 1e3:.2f}", f"{f['text_bytes'] / 1024:.0f}",
             f"{f['feed_us'] / 1e3:.0f}", f"{f['replica_kib'] / 1024:.1f}", grown.get(mode, "-")]
            for mode, f in s["compute"].items()]
    parts = [f"{s['nodes']} nodes, {s['blocks']} blocks\n",
             table(["computing, ms", "desired state", "BIRD's text", "block plan", "text, KiB",
                    "reading all documents", "replica, MiB", "/ a tenth of it"], rows)]
    rows = [[mode, f"{f['VmRSS'] / 1024:.1f} ({f['RssAnon'] / 1024:.1f})",
             f"{f['VmHWM'] / 1024:.1f}", cell(f["sync_ms"]), f"{f['sync_cpu_ms']['p50']:.1f}",
             f"{f['idle_cpu_ms']:.1f}", f"{f['start_ms']:.0f}", f["routes"],
             f"{f['configure_ms']['p50']:.0f}"] for mode, f in s["live"].items()]
    parts.append(table(["a live node", "RSS (own), MiB", "at most, MiB", "no-change sync, ms",
                        "its CPU, ms", "idle CPU, ms/s", "start to settled, ms",
                        "BIRD's routes", "BIRD configure, ms"], rows))
    f = s["foreign"]
    rows = [["none", cell(f["before_ms"]), f"{f['before_cpu_ms']['p50']:.2f}"],
            [f["routes"], cell(f["after_ms"]), f"{f['after_cpu_ms']['p50']:.2f}"]]
    parts.append(table(["foreign routes", "no-change sync, ms", "its CPU, ms"], rows))
    parts.append(f"While they were added ({f['added_ms']:.0f} ms) the agent used "
                 f"{f['agent_cpu_while_added_ms']:.1f} ms of CPU.\n")
    return "\n".join(parts)


def reach_text(result):
    rows = [[r["what"], f"at most {r['limit']}", r["worst"], "yes" if r["met"] else "NO"]
            for r in result["reach"]]
    return table(["reach", "aimed at", "worst measured", "met"], rows)


def text(result):
    machine = result["machine"]
    parts = [f"Median / 95th percentile; kernel {machine['kernel']}, {machine['cpus']} CPUs, load "
             f"{machine['load']:.1f} when it began.\n"]
    for name, show in (("pods", pods_text), ("routes", routes_text), ("claims", claims_text),
                       ("scale", scale_text)):
        if name in result:
            parts.append(show(result))
    return "\n".join([*parts, reach_text(result)])


# ---- what cannot be ----

def absurd_pods(result):
    for host, calls in result["pods"]["network_calls"].items():
        if calls:
            yield f"ADD ({host}) makes calls that it must never make: {calls[0]}"
    for host in ("file", "etcd", "stopped"):
        if add_ratio(result, host) > 3:
            yield f"ADD ({host}) takes {add_ratio(result, host)} times an ADD with pools in place"
    if del_ratio(result) < 1.5:
        yield f"DEL with a live agent is only {del_ratio(result)} times faster than without"


def absurd_routes(result):
    for store, f in result["routes"].items():
        if f["claim"]["p50"] <= 0 or f["whole"]["p50"] <= f["claim"]["p50"]:
            yield f"routes ({store}): something happened before its cause"


def absurd_claims(result):
    found = result["claims"]
    for store in ("etcd", "file"):
        own = found[f"{store}, roomy pool"]
        one = found[f"{store}, one starting point"]
        if own["conflicts"] > own["claims"] / 10:
            yield (f"claims ({store}): {own['conflicts']} conflicts on {own['claims']} claims "
                   "of a roomy pool")
        if one["conflicts"] < own["conflicts"]:
            yield f"claims ({store}): starting points of their own bring more conflicts than one"


def absurd_scale(result):
    for mode, times in growth(result).items():
        if times > 60:
            yield f"a cluster of ten times the size takes {times} times the computing ({mode})"
    for mode, f in result["scale"]["live"].items():
        if mode.startswith("static") and f["routes"] != result["scale"]["blocks"]:
            yield f"{f['routes']} routes of {result['scale']['blocks']} blocks are in the kernel"
    foreign = result["scale"]["foreign"]["routes"]
    if foreign_ratio(result) > 3 + foreign / 10000:  # the kernel walks over them
        yield f"{foreign} foreign routes make a pass {foreign_ratio(result)} times as long"


def absurd(result):
    """Sentences; judged is what was measured."""
    found = []
    for name, look in (("pods", absurd_pods), ("routes", absurd_routes),
                       ("claims", absurd_claims), ("scale", absurd_scale)):
        if name in result:
            found += look(result)
    return found
