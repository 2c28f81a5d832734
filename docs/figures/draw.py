#!/usr/bin/env python3
"""Draws the charts of this folder, for light and for dark pages, from the JSON beside them.

    docs/figures/draw.py             all of them
    docs/figures/draw.py --check     only whether they are what it would draw

NAME.json is what the instruments that measure libraries side by side write with `--json`: a list of what was measured, with
`work` and `lib`, and `size` where the same work has several. NAME.txt is the footnote: machine, date, what else is to be
known. Of them NAME-light.svg and NAME-dark.svg are made, for the names in CHARTS whose JSON is there.
"""

import json
import pathlib
import sys
from xml.sax.saxutils import escape

HERE = pathlib.Path(__file__).parent

THEMES = {
    "light": {"text": "#1f2328", "faint": "#59636e", "ours": "#0969da", "other": "#b7c0c9", "floor": "#bc4c00"},
    "dark": {"text": "#f0f6fc", "faint": "#9198a1", "ours": "#4493f8", "other": "#4d5560", "floor": "#f0883e"},
}

# name of a chart: (its title, its panels in order, as work: (what it is, unit, whether less is better))
CLIENTS = {
    "recv": ("receive {}", "messages/s", False),
    "send": ("send {}, one by one", "messages/s", False),
    "xsend": ("send {}, batched by hand", "messages/s", False),
    "rtt": ("round trip {}, in the callback", "µs", True),
    "brtt": ("round trip {}, blocking", "µs", True),
    "xrtt": ("round trip {}, other thread", "µs", True),
}
SERVERS = {
    "e20": ("echo 20 B, 100 clients", "messages/s", False),
    "e1k": ("echo 1 KiB, 100 clients", "messages/s", False),
    "e16k": ("echo 16 KiB, 100 clients", "messages/s", False),
    "e1m": ("echo 1 MiB, 8 clients", "messages/s", False),
    "p16": ("20 B, 512 clients, 16 on their way", "messages/s", False),
    "connect": ("connect, echo, close", "connections/s", False),
    "b": ("broadcast 64 B to 1,000", "deliveries/s", False),
    "bs": ("the same, beside 10 that never read", "deliveries/s", False),
    "idle": ("idle connection", "bytes each", True),
}
CHARTS = {
    "clients": ("Clients, one connection", CLIENTS),
    "clients-tls": ("Clients over TLS, one connection", CLIENTS),
    "servers": ("Servers, on one processor", SERVERS),
}

WIDTH = 840
GAP = 22
ROW = 15
FONT = 11
# The width of a character, on average, and rather more than less; of a bold one.
LETTER, BOLD = 6.2, 7.2
FIGURES = 88


class Panel:
    """One work, with a bar for each library: those that did it, the best first."""

    def __init__(self, title, unit, less, results):
        self.title, self.unit, self.less = title, unit, less
        self.failed = [r["lib"] for r in results if "value" not in r]
        results = [r for r in results if "value" in r]
        self.floor = next((r["value"] for r in results if r["lib"] == "raw"), None)
        self.bars = sorted((r for r in results if r["lib"] != "raw"), key=lambda r: r["value"], reverse=not less)
        counting = [r["value"] for r in self.bars if r.get("state") != "BUSY"] or [r["value"] for r in self.bars]
        self.best = min(counting) if less else max(counting)
        self.most = max([r.get("high", r["value"]) for r in self.bars] + [self.floor or 0])

    def height(self):
        return 2 * ROW + 4 + ROW * len(self.bars + self.failed)


def main():
    check, wrong = sys.argv[1:] == ["--check"], []
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    for name, (title, works) in CHARTS.items():
        source = HERE / f"{name}.json"
        if not source.exists():
            continue
        panels = read(json.loads(source.read_text()), works)
        note = (HERE / f"{name}.txt").read_text().split("\n\n")
        for theme, colours in THEMES.items():
            target, drawn = HERE / f"{name}-{theme}.svg", draw(title, panels, note, colours)
            if check and (not target.exists() or target.read_text() != drawn):
                wrong.append(target.name)
            elif not check:
                target.write_text(drawn)
    if wrong:
        sys.exit(f"not what docs/figures/draw.py draws of the JSON: {', '.join(wrong)}")


def read(results, works):
    """Gives a panel for each work and size, in the order of `works`."""
    panels = []
    for work, (title, unit, less) in works.items():
        here = [r for r in results if r["work"] == work]
        done = {(r["lib"], r.get("size", 0)) for r in here if "value" in r}
        # One that failed in some rounds has a figure of the others too.
        here = [r for r in here if "value" in r or (r["lib"], r.get("size", 0)) not in done]
        for size in sorted({size for _, size in done}):
            panels.append(Panel(title.format(bytes_of(size)), unit, less, [r for r in here if r.get("size", 0) == size]))
    return panels


def draw(title, panels, note, colours):
    longest = max(len(shown(bar["lib"])) for panel in panels for bar in panel.bars)
    columns = 3 if longest <= 17 else 2
    width = (WIDTH - GAP * (columns - 1)) / columns
    names = 10 + max(len(shown(bar["lib"])) * (BOLD if is_ours(bar) else LETTER) for panel in panels for bar in panel.bars)
    lines = [line for paragraph in note + legend(panels) for line in wrapped(paragraph)]
    body, y = [], 44
    for i in range(0, len(panels), columns):
        row = panels[i : i + columns]
        for j, panel in enumerate(row):
            body += panel_lines(panel, j * (width + GAP), y, width, names)
        y += max(panel.height() for panel in row) + 14
    y -= ROW
    for line in lines:
        y += ROW
        body.append(f'<text class="f" x="0" y="{y}">{escape(line)}</text>')
    height = y + 8
    style = (
        f"text{{font:{FONT}px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:{colours['text']}}}"
        f".t{{font-size:16px;font-weight:600}}.h{{font-weight:600}}.f{{fill:{colours['faint']}}}.n{{text-anchor:end}}"
        f".u{{font-weight:600;fill:{colours['ours']}}}.b{{fill:{colours['other']}}}.o{{fill:{colours['ours']}}}"
        f".e{{fill:none;stroke:{colours['other']}}}.r{{stroke:{colours['floor']};stroke-width:1.5;stroke-dasharray:3 2}}"
        f".w{{stroke:{colours['faint']}}}"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            f'<text class="t" x="0" y="18">{escape(title)}</text>',
            *body,
            "</svg>\n",
        ]
    )


def panel_lines(panel, x, y, width, names):
    """Draws a panel: its title, what is measured, and a bar, a value and a ratio for each library."""
    left, room = x + names, width - names - FIGURES
    unit = f"{panel.unit}, {'less' if panel.less else 'more'} is better"
    drawn = [
        f'<text class="h" x="{x:.1f}" y="{y}">{escape(panel.title)}</text>',
        f'<text class="f" x="{x:.1f}" y="{y + ROW - 1}">{escape(unit)}</text>',
    ]
    top = y + ROW + 8
    for i, bar in enumerate(panel.bars):
        at, ours = top + i * ROW, is_ours(bar)
        length = max(room * bar["value"] / panel.most, 1)
        kind = "e" if bar.get("state") == "BUSY" else "o" if ours else "b"
        text, base = ("u" if ours else ""), at + ROW - 5
        ratio = bar["value"] / panel.best
        ratio_text = "&lt;.01" if ratio < 0.005 else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
        drawn += [
            f'<text class="{text} n" x="{left - 6:.1f}" y="{base}">{escape(shown(bar["lib"]))}</text>',
            f'<rect class="{kind}" x="{left:.1f}" y="{at + 1}" width="{length:.1f}" height="{ROW - 4}" rx="1.5"/>',
            f'<text class="{text} n" x="{x + width - 30:.1f}" y="{base}">{escape(figure(bar, panel))}</text>',
            f'<text class="f n" x="{x + width:.1f}" y="{base}">{ratio_text}</text>',
        ]
        if bar.get("high", bar["value"]) > bar.get("low", bar["value"]):
            ends = [left + room * bar[end] / panel.most for end in ("low", "high")]
            drawn.append(f'<path class="w" d="M{ends[0]:.1f} {at + ROW / 2 - 1}H{ends[1]:.1f}"/>')
    for i, lib in enumerate(panel.failed, len(panel.bars)):
        base = top + (i + 1) * ROW - 5
        drawn += [
            f'<text class="f n" x="{left - 6:.1f}" y="{base}">{escape(shown(lib))}</text>',
            f'<text class="f" x="{left:.1f}" y="{base}">failed</text>',
        ]
    if panel.floor is not None:
        floor = left + room * panel.floor / panel.most
        drawn.append(f'<path class="r" d="M{floor:.1f} {top - 2}V{top + ROW * len(panel.bars)}"/>')
    return drawn


def legend(panels):
    """Says what the marks mean that are there."""
    said = ["The number behind a value is its ratio to that of the best library."]
    states = {bar.get("state") for panel in panels for bar in panel.bars}
    if any(panel.floor is not None for panel in panels):
        said.append("Dashed: a bare socket, which writes prepared frames and does not look at what it reads.")
    if any("low" in bar for panel in panels for bar in panel.bars):
        said.append("Thin line: from the lowest round to the highest.")
    if "LOAD" in states:
        said.append("≥: the load was the limit, not the server.")
    if "part" in states:
        said.append("°: neither had its whole processor to do.")
    if "BUSY" in states:
        said.append("Hollow: something else was running.")
    return [" ".join(said)]


def wrapped(text):
    """Breaks a paragraph into lines that fit."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= WIDTH / LETTER * 1.05:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def figure(bar, panel):
    sign = {"LOAD": "≥ ", "part": "° "}.get(bar.get("state"), "")
    return sign + (f'{bar["value"]:.1f}' if panel.unit == "µs" else number(bar["value"]))


def number(value):
    """Writes three digits of a number, as the manual does."""
    for unit, size in (("M", 1e6), ("k", 1e4)):
        if value >= size * 0.9995:
            scaled = value / (1e6 if unit == "M" else 1e3)
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f} {unit}"
    return f"{value:,.0f}"


def bytes_of(size):
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB" if size >= 1 << 10 else f"{size} B"


def is_ours(bar):
    return bar["lib"].startswith("ours")


def shown(lib):
    if lib.startswith("ours"):
        return lib.replace("ours-", "websocket-app, ").replace("ours", "websocket-app")
    return {"uws": "uWebSockets", "ws": "ws (Node)", "bun": "Bun", "picows": "picows (Python)",
            "websockets": "websockets (Python)"}.get(lib, lib)


if __name__ == "__main__":
    main()
