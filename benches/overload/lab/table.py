"""Figures of many runs as tables: the median of the rounds, with the least and the most."""

from statistics import median

LATE_MS = 20.0  # a driver whose sends are later than this (99th percentile) could not offer its load
BUSY = 0.95  # share of the machine's cores from which on a figure says more about the machine than about a gateway
STRANGERS = 0.3  # cores that other programs may have before a row says so


def tables(columns, gateways, runs, cores):
    """Markdown: the headline, the details, the seconds. `runs[column][gateway]` is a list, one for each round."""
    parts = [headline(columns, gateways, runs), details(columns, gateways, runs, cores)]
    parts += [seconds(column, gateways, runs) for column in columns if column.phases]
    return "\n".join(parts)


def headline(columns, gateways, runs):
    head = ["in front", *(column.title for column in columns)]
    rows = [
        [name, *(spread([goodput(column, run) for run in runs[column.key][name]]) for column in columns)]
        for name in gateways
    ]
    note = (
        "Goodput as a share of capacity: answers in time over what the workers can do at best. Of critical columns: "
        "the share of critical requests that were answered in time. Of the halving: of the half."
    )
    return f"{note}\n\n{markdown(head, rows)}"


def details(columns, gateways, runs, cores):
    head = ["column", "in front", "goodput", "p50 ms", "p99 ms", "refused", "timed out", "broken"]
    head += ["to the backend", "gateway cores", "remarks"]
    rows = []
    for column in columns:
        for name in gateways:
            of = runs[column.key][name]
            rows.append(
                [
                    column.title,
                    name,
                    spread([total(column, run) for run in of]),
                    spread([run["all"]["p50_ms"] for run in of], 0),
                    spread([run["all"]["p99_ms"] for run in of], 0),
                    spread([100 * part(run["all"], "shed") for run in of], 1, " %"),
                    spread([100 * part(run["all"], "timed_out") for run in of], 1, " %"),
                    spread([100 * part(run["all"], "broken") for run in of], 1, " %"),
                    spread([run["arrived"] and run["arrived"] / column.capacity for run in of]),
                    spread([run["cores"]["gateway"] or None for run in of]),
                    remarks(column, of, cores),
                ]
            )
    note = (
        "All requests of a column together. p50 and p99: of the answered, from when they should have been sent. "
        "To the backend: requests that reached it, as a share of capacity. Below capacity every refusal is a false one."
    )
    return f"\n{note}\n\n{markdown(head, rows)}"


def seconds(column, gateways, runs):
    """Goodput in each second after a step, as a share of what the workers can do in that second."""
    blocks = []
    for title, begin, length, capacity in column.phases:
        head = ["in front", *(str(second + 1) for second in range(length))]
        rows = [
            [
                name,
                *(
                    spread([good_in(run, begin + second) / capacity for run in runs[column.key][name]])
                    for second in range(length)
                ),
            ]
            for name in gateways
        ]
        blocks.append(f"\n{column.titled()}, {title}, second by second:\n\n{markdown(head, rows)}")
    return "\n".join(blocks)


def goodput(column, run):
    if column.headline == "all":
        return total(column, run)
    return part(run["kinds"][column.headline], "good")


def total(column, run):
    return run["all"]["good"] / run["span"] / column.capacity


def part(sums, what):
    return sums[what] / sums["offered"] if sums["offered"] else 0.0


def good_in(run, second):
    """Good answers to the requests due in the second that begins there."""
    per = round(1 / run["bucket"])
    first = round(second * per)
    return sum(bucket["good"] for bucket in run["series"][first : first + per])


def remarks(column, runs, cores):
    """What a reader of the row must know."""
    said = []
    offered = median([run["all"]["offered"] / run["span"] for run in runs]) / column.capacity
    refused = [run["all"]["shed"] for run in runs]
    if offered < 0.95 and any(refused):
        said.append(f"{spread(refused, 0)} falsely refused")
    late = max(run["late_send_p99_ms"] or 0.0 for run in runs)
    if late > LATE_MS:
        said.append(f"driver late by {late:.0f} ms")
    own = [sum(run["cores"][who] for who in ("gateway", "backends", "driver")) for run in runs]
    if max(own) > BUSY * cores:
        said.append("machine full")
    strangers = max(run["cores"]["machine"] - mine for run, mine in zip(runs, own))
    if strangers > STRANGERS:
        said.append(f"other programs had {strangers:.1f} cores")
    if not all(run["all_ended"] for run in runs):
        said.append("clients left over")
    resent = median([run["resent"] for run in runs])
    if resent > 0.001 * median([run["all"]["offered"] for run in runs]):
        said.append(f"{resent:.0f} sent again: connection closed under them")
    return "; ".join(said)


def spread(values, digits=2, unit=""):
    """`0.94 (0.93 to 0.95)`; a dash where nothing was seen."""
    seen = [value for value in values if value is not None]
    if not seen:
        return "–"
    middle, least, most = (f"{value:.{digits}f}" for value in (median(seen), min(seen), max(seen)))
    return f"{middle}{unit}" if least == most else f"{middle}{unit} ({least} to {most})"


def markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
