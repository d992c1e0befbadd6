"""Markdown of what was measured."""
import statistics

from scenarios import PEERS, RAW, SCENARIOS, UWS, WIREROOM

# Rows that differ by less count as equal.
TIED = 0.03


def show(runs):
    shares(runs)
    for scenario in SCENARIOS:
        here = [run for run in runs if run["scenario"] == scenario.name]
        if here:
            {"throughput": throughput, "latency": latency, "memory": memory}[scenario.kind](scenario, here)


def peers_of(runs):
    known = [peer.name for peer in PEERS]
    names = dict.fromkeys(run["peer"] for run in runs)
    place = lambda name: known.index(name.split(" ")[0]) if name.split(" ")[0] in known else len(known)
    return sorted(names, key=lambda name: (place(name), name))


def rate(run):
    return run.get("messages_per_cpu_second", 0)


def ratios(runs, peer, base):
    """Of one scenario, round by round: the machine changes its speed between rounds, and so ratios within one count."""
    of_base = {run["round"]: rate(run) for run in runs if run["peer"] == base and "error" not in run}
    own = [run for run in runs if run["peer"] == peer and "error" not in run]
    return [rate(run) / of_base[run["round"]] for run in own if of_base.get(run["round"])]


def base_of(runs):
    there = {run["peer"] for run in runs if "error" not in run}
    for base in (RAW, UWS, f"{UWS} native", WIREROOM, f"{WIREROOM} native"):
        if base in there:
            return base
    return None


def shares(runs):
    measured = [scenario for scenario in SCENARIOS if scenario.kind == "throughput"
                and any(run["scenario"] == scenario.name for run in runs)]
    if not measured:
        return
    peers = [peer for peer in peers_of(runs) if peer != RAW]
    print("\n## Messages per second of server CPU, as a share of the raw TCP echo's in the same round\n")
    print("Medians; compression as a share of uWebSockets'. `<` misses the goal, `~` by no more than 3 %.\n")
    print(f"| scenario | goal | {' | '.join(peers)} |\n|---|---|{'---:|' * len(peers)}")
    for scenario in measured:
        here = [run for run in runs if run["scenario"] == scenario.name]
        base = base_of(here)
        cells = []
        for peer in peers:
            values = ratios(here, peer, base) if base else []
            failed = any(run["peer"] == peer for run in here) and not values
            cell = f"{statistics.median(values):.2f}" if values else "failed" if failed else ""
            cells.append(cell + (misses(scenario, here, peer) if values else ""))
        goal = f"{scenario.goal[1]:.2f} x {scenario.goal[0]}" if scenario.goal else ""
        print(f"| {scenario.title} | {goal} | {' | '.join(cells)} |")


def misses(scenario, runs, peer):
    """Of our own figures."""
    if not peer.startswith("wireroom") or not scenario.goal:
        return ""
    against = next((name for name in (f"{scenario.goal[0]} native", scenario.goal[0])
                    if any(run["peer"] == name and "error" not in run for run in runs)), None)
    values = ratios(runs, peer, against) if against else []
    if not values or statistics.median(values) >= scenario.goal[1]:
        return ""
    return " ~" if statistics.median(values) >= scenario.goal[1] * (1 - TIED) else " <"


def failures(runs):
    for peer in peers_of(runs):
        errors = [run["error"] for run in runs if run["peer"] == peer and "error" in run]
        if errors:
            print(f"\n{peer} failed in {len(errors)} of {sum(run['peer'] == peer for run in runs)} rounds: {errors[0]}")


def medians(runs, peer):
    """The median of each figure, over the rounds."""
    own = [run for run in runs if run["peer"] == peer and "error" not in run]
    names = [name for name, value in own[0].items() if isinstance(value, (int, float))] if own else []
    return {name: statistics.median(run[name] for run in own) for name in names}


def throughput(scenario, runs):
    base = base_of(runs)
    deflates = scenario.mode.startswith("deflate")
    print(f"\n### {scenario.title}\n")
    print(f"| peer | messages per server-CPU-second | share of {base or 'nothing'} (least to most) | user us | system us "
          f"| messages/s | server busy | p50 us | p99 us |{' bytes of a reply |' if deflates else ''}")
    print(f"|---|{'---:|' * (9 if deflates else 8)}")
    figures = {peer: medians(runs, peer) for peer in peers_of(runs)}
    for peer, m in sorted(figures.items(), key=lambda item: -item[1].get("messages_per_cpu_second", 0)):
        if not m:
            continue
        values = ratios(runs, peer, base) if base else []
        share = f"{statistics.median(values):.3f} ({min(values):.2f} to {max(values):.2f})" if values else ""
        print(f"| {peer} | {m['messages_per_cpu_second']:,.0f} | {share} | {m['user_us']:.2f} | {m['system_us']:.2f} "
              f"| {m['messages_per_second']:,.0f} | {m['server_busy']:.0%} | {m['p50_us']:,.0f} | {m['p99_us']:,.0f} |"
              + (f" {m['wire_bytes']:.0f} |" if deflates else ""))
    failures(runs)


def latency(scenario, runs):
    print(f"\n### {scenario.title}\n\nFrom when a message was due; microseconds, medians over the rounds.\n")
    print("| peer | p50 | p90 | p99 | p99.9 | most | server CPU us | messages/s |\n|---|" + "---:|" * 7)
    for peer in peers_of(runs):
        m = medians(runs, peer)
        if m:
            quantiles = " | ".join(f"{m[name]:,.0f}" for name in ("p50_us", "p90_us", "p99_us", "p999_us", "max_us"))
            print(f"| {peer} | {quantiles} | {m['cpu_us']:.2f} | {m['messages_per_second']:,.0f} |")
    failures(runs)


def memory(scenario, runs):
    print(f"\n### {scenario.title}\n\nGrowth of the server's resident bytes, for each connection.\n")
    print("| peer | fresh | after 16 KiB on each | CPU us to connect |\n|---|---:|---:|---:|")
    for peer in peers_of(runs):
        m = medians(runs, peer)
        if m:
            print(f"| {peer} | {m['fresh_bytes']:,.0f} | {m['after_16384_bytes']:,.0f} | {m['connect_cpu_us']:.0f} |")
    failures(runs)
