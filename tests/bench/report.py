"""The benchmark's figures as tables, and beside the reach that was set for them.

judge() adds "reach" to a result of bench.py: what was aimed at, what was measured, whether it was
met. text() prints all of it as tables that read well in a terminal and in Markdown.
"""

REACH = (
    # name, what it says, limit, and whether the figure shall be at least or at most that
    ("vs_ptp", "ADD with no pods present: times faster than ptp + host-local", 5.0, "at least"),
    ("vs_ptp_many", "the same with pods present", 7.0, "at least"),
    ("vs_ptp_burst", "the same, 30 at once", 7.0, "at least"),
    ("vs_floor", "ADD: multiple of the floor", 1.35, "at most"),
    ("cpu_vs_floor", "the same in processor time", 1.35, "at most"),
    ("last_vs_first", "the last ADD (most pods present): multiple of the first", 1.2, "at most"),
    ("del_agent", "DEL: times faster beside an agent", 5.0, "at least"),
    ("peak_mib", "peak memory of an ADD, MiB", 3.0, "at most"),
    ("forbidden", "syncs, forks, sleeps and connections of an ADD", 0, "at most"),
)

FAMILIES = {"v4": "IPv4", "dual": "dual stack"}


def find(result, plugin, verb="ADD", family="v4", at_once=1, present=0):
    for row in result["series"]:
        if (row["plugin"], row["verb"], row["family"], row["at_once"], row["present"]) == (
                plugin, verb, family, at_once, present):
            return row
    return None


def ratio(a, b, figure="median_us"):
    """Of two rows' medians; None when one was not measured."""
    return round(a[figure] / b[figure], 2) if a and b else None


def over_all(result, top, bottom, families, present, at_once=1, figure="median_us"):
    """Ratio of two plugins' ADD at each number of pods present, by what to call the figure."""
    found = {}
    for family in families:
        for n in present:
            r = ratio(find(result, top, family=family, at_once=at_once, present=n),
                      find(result, bottom, family=family, at_once=at_once, present=n), figure)
            found[f"{FAMILIES[family]}, {n} pods present"] = r
    return {k: r for k, r in found.items() if r is not None}


def growth(result):
    """ADD with the most pods present, as a multiple of ADD with none. The floor's own growth is the
    kernel's; names in parentheses are shown, not judged."""
    most = result["present"][-1]
    found = {}
    for family, name in FAMILIES.items():
        for plugin, label in (("roost", name), ("floor", f"({name}, the floor)")):
            found[label] = ratio(find(result, plugin, family=family, present=most),
                                 find(result, plugin, family=family))
    found["IPv4, beside an empty host"] = ratio(find(result, "roost", present="beside"),
                                                find(result, "roost-empty", present="beside"))
    return {k: r for k, r in found.items() if r is not None}


def beside_agent(result):
    """DEL without an agent as a multiple of DEL beside one."""
    found = {}
    for family, name in FAMILIES.items():
        for n in result["present"]:
            found[f"{name}, {n} pods present"] = ratio(
                find(result, "roost", "DEL", family, present=n),
                find(result, "roost-agent", "DEL", family, present=n))
    return {k: r for k, r in found.items() if r is not None}


def ratios(result):
    """Every figure that has a reach; of several the worst one is judged."""
    peak = result["peak_kib"].get("roost")
    forbidden = result["forbidden_calls"]
    present = result["present"]
    return {"vs_ptp": over_all(result, "ptp", "roost", ["v4"], present[:1]),
            "vs_ptp_many": over_all(result, "ptp", "roost", ["v4"], present[1:]),
            "vs_ptp_burst": over_all(result, "ptp", "roost", ["v4"], present, at_once=30),
            "vs_floor": over_all(result, "roost", "floor", FAMILIES, present),
            "cpu_vs_floor": over_all(result, "roost", "floor", FAMILIES, present, figure="cpu_us"),
            "last_vs_first": growth(result),
            "del_agent": beside_agent(result),
            "peak_mib": {"roost": round(peak / 1024, 2)} if peak else {},
            "forbidden": {"calls": sum(forbidden.values())} if forbidden else {}}


def judge(result):
    result["ratios"] = ratios(result)
    result["reach"] = []
    for name, what, limit, how in REACH:
        values = [v for k, v in result["ratios"][name].items() if not k.startswith("(")]
        worst = None
        if values:
            worst = min(values) if how == "at least" else max(values)
        met = None if worst is None else (worst >= limit if how == "at least" else worst <= limit)
        result["reach"].append({"name": name, "what": what, "reach": f"{how} {limit}",
                                "measured": worst, "met": met})


def table(head, rows):
    """Columns as wide as they need be; the first one left, the others right."""
    rows = [[str(c) for c in row] for row in rows]
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]

    def line(row):
        cells = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))]
        return "| " + " | ".join(cells) + " |"
    rule = "|" + "|".join(("-" * (w + 1) + (":" if i else "-")) for i, w in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)]) + "\n"


def ms(row):
    return f"{row['median_us'] / 1000:.2f} / {row['p95_us'] / 1000:.2f}" if row else "-"


def times(r):
    return f"{r:.2f}" if r is not None else "-"


def latency(result, verb, family, at_once):
    rows = []
    for n in result["present"]:
        roost, ptp, floor = (find(result, p, verb, family, at_once, n)
                             for p in ("roost", "ptp", "floor"))
        if at_once == 1:
            cells = [ms(roost), ms(ptp), ms(floor)]
        else:
            cells = [f"{ms(r)}, {r['per_second']:.0f}/s" if r else "-" for r in (roost, ptp, floor)]
        rows.append([f"{n} pods present", *cells, times(ratio(ptp, roost)),
                     times(ratio(roost, floor))])
    how = "one at a time" if at_once == 1 else f"{at_once} at once"
    head = [f"{verb}, {FAMILIES[family]}, {how}", "roost", "ptp + host-local", "floor",
            "ptp/roost", "roost/floor"]
    return table(head, rows)


def cpu_table(result):
    """What a busy machine blurs least."""
    rows = []
    for family, at_once in (("v4", 1), ("dual", 1), ("v4", 30)):
        for n in result["present"]:
            found = [find(result, p, "ADD", family, at_once, n) for p in ("roost", "ptp", "floor")]
            how = "one at a time" if at_once == 1 else f"{at_once} at once"
            rows.append([f"{FAMILIES[family]}, {how}, {n} pods present",
                         *(f"{r['cpu_us'] / 1000:.2f}" if r else "-" for r in found),
                         times(ratio(found[1], found[0], "cpu_us")),
                         times(ratio(found[0], found[2], "cpu_us"))])
    return table(["processor time of an ADD, ms", "roost", "ptp + host-local", "floor",
                  "ptp/roost", "roost/floor"], rows)


def agent_table(result):
    rows = []
    for family, name in FAMILIES.items():
        for n in result["present"]:
            cells = []
            for verb in ("DEL", "ADD"):
                alone, beside = (find(result, p, verb, family, present=n)
                                 for p in ("roost", "roost-agent"))
                cells += [ms(alone), ms(beside)]
            rows.append([f"{name}, {n} pods present", *cells,
                         times(result["ratios"]["del_agent"].get(f"{name}, {n} pods present"))])
    return table(["one at a time", "DEL, no agent", "DEL beside an agent", "ADD, no agent",
                  "ADD beside an agent", "DEL ratio"], rows)


def version(result):
    roost, ptp = (find(result, p, "VERSION", "none") for p in ("roost", "ptp"))
    row = ["no pods needed", ms(roost), ms(ptp), times(ratio(ptp, roost))]
    return table(["VERSION", "roost", "ptp", "ptp/roost"], [row])


def growth_table(result):
    rows = [[k, times(v)] for k, v in result["ratios"]["last_vs_first"].items()]
    return table([f"ADD with {result['present'][-1]} pods present / with none", "ratio"], rows)


def memory_and_calls(result):
    rows = []
    for name, calls in result["system_calls"].items():
        peak = result["peak_kib"].get(name)
        rows.append([name, f"{peak / 1024:.2f}" if peak else "-", sum(calls.values())])
    out = table(["one ADD", "peak memory, MiB", "system calls"], rows)
    for name, calls in result["system_calls"].items():
        if name.startswith("roost"):
            out += f"\n{name}: " + ", ".join(f"{k} {v}" for k, v in calls.items()) + "\n"
    if result["forbidden_calls"]:
        out += "\nnever on the way of roost's ADD: " + ", ".join(
            f"{k} {v}" for k, v in result["forbidden_calls"].items()) + "\n"
    return out


def reach(result):
    verdict = {True: "yes", False: "NO", None: "-"}
    rows = [[r["what"], r["reach"], "-" if r["measured"] is None else r["measured"],
             verdict[r["met"]]] for r in result["reach"]]
    return table(["reach", "aimed at", "worst measured", "met"], rows)


def text(result):
    machine = result["machine"]
    parts = [f"Milliseconds, median / 95th percentile; kernel {machine['kernel']}, "
             f"{machine['cpus']} CPUs, load {machine['load']:.1f} when it began (a busy machine "
             "blurs even the ratios).\n"]
    for family, at_once in (("v4", 1), ("dual", 1), ("v4", 8), ("v4", 30)):
        parts += [latency(result, verb, family, at_once) for verb in ("ADD", "DEL")]
    parts += [cpu_table(result), agent_table(result), growth_table(result), version(result),
              memory_and_calls(result), reach(result)]
    return "\n".join(parts)
