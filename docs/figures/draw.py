#!/usr/bin/env python3
"""Draws the charts of this folder, for light and for dark pages, from the JSON beside them, and colours its pictures.

    docs/figures/draw.py             all of them
    docs/figures/draw.py --check     only whether they are what it would draw

NAME.json is a list of what was measured, with `work`, `lib` and `value`, and `size` where the same work has several; where
they are known, `low` and `high` of the rounds, and `state` for a mark of the legend's. NAME.txt is the footnote: machine,
date, what else is to be known. Of them are made, for the names in CHARTS whose JSON is there, NAME.svg for the manual, and
for those in README NAME-light.svg and NAME-dark.svg.

The PICTURES are drawn by hand, but for their style, which is put into them. What the manual shows is a part of its pages, where
the theme that the reader has chosen decides about light and dark.
"""

import json
import pathlib
import re
import sys
from xml.sax.saxutils import escape

HERE = pathlib.Path(__file__).parent

THEMES = {
    "light": {"page": "#ffffff", "text": "#1f2328", "faint": "#59636e", "ours": "#0969da", "other": "#b7c0c9", "floor": "#bc4c00"},
    "dark": {"page": "#0d1117", "text": "#f0f6fc", "faint": "#9198a1", "ours": "#4493f8", "other": "#4d5560", "floor": "#f0883e"},
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
# Whom each chart shows in any case, beside ours; of the others it shows the best of a panel. None: everybody.
CHARTS = {
    "clients": ("Clients, one connection", CLIENTS, ["tungstenite"]),
    "servers": ("Servers, on one processor", SERVERS, None),
}

# What the README shows, where what shows it knows the reader's theme.
README = ["clients"]

PICTURES = ["app-life", "message-path"]
# What is drawn in which colours: its fill and its stroke, in light and in dark.
INKS = {
    ".page": (("#ffffff", None), ("#0d1117", None)),
    "text": (("#1f2328", None), ("#f0f6fc", None)),
    ".small": (("#59636e", None), ("#b7bdc8", None)),
    ".box": (("#ffffff", "#818b98"), ("#0d1117", "#656c76")),
    ".loop": (("#ddf4ff", "#54aeff"), ("#051d4d", "#388bfd")),
    ".any": (("#dafbe1", "#4ac26b"), ("#04260f", "#2ea043")),
    ".flusher": (("#fbefff", "#c297ff"), ("#271052", "#a371f7")),
    ".lock": (("#fff1e5", "#fb8f44"), ("#3d1300", "#db6d28")),
    ".way": (("none", "#1f2328"), ("none", "#f0f6fc")),
    ".tip": (("#1f2328", None), ("#f0f6fc", None)),
}
# Where a drawing is dark: in a page of rustdoc's by its theme; elsewhere, or where that is not known, as the system is.
DARK_THEME = "[data-theme=dark] .{}", "[data-theme=ayu] .{}"
DARK_SYSTEM = ":root:not([data-theme]) .{}", ".{}:root"

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

    def show(self, always):
        """Leaves out who is neither ours, nor one of these, nor the best of the others."""
        if always is None:
            return
        named = [r for r in self.bars if is_ours(r) or r["lib"] in always]
        others = [r for r in self.bars if r not in named][:1]
        self.bars = [r for r in self.bars if r in named + others]

    def height(self):
        return 2 * ROW + 4 + ROW * len(self.bars + self.failed)


def main():
    check, wrong = sys.argv[1:] == ["--check"], []
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    for name, (title, works, always) in CHARTS.items():
        source = HERE / f"{name}.json"
        if not source.exists():
            continue
        panels = read(json.loads(source.read_text()), works, always)
        note = (HERE / f"{name}.txt").read_text().split("\n\n")
        styles = {name: style_of_both()}
        if name in README:
            styles |= {f"{name}-{theme}": style_of_chart(colours, "") for theme, colours in THEMES.items()}
        for file, style in styles.items():
            target, drawn = HERE / f"{file}.svg", draw(title, panels, note, style)
            if check and (not target.exists() or target.read_text() != drawn):
                wrong.append(target.name)
            elif not check:
                target.write_text(drawn)
    for name in PICTURES:
        target = HERE / f"{name}.svg"
        drawn = re.sub(r"<style>.*?</style>", f"<style>\n{style_of_pictures()}</style>", target.read_text(), flags=re.S)
        if check and target.read_text() != drawn:
            wrong.append(target.name)
        elif not check:
            target.write_text(drawn)
        if "\n\n" in drawn:
            sys.exit(f"{target.name} has an empty line, which would end it in a page of the manual")
    if wrong:
        sys.exit(f"not what docs/figures/draw.py draws: {', '.join(wrong)}")


def style_of_pictures():
    def inks(tone, wheres):
        for kind, tones in INKS.items():
            fill, stroke = tones[tone]
            ink = "; ".join(f"{what}: {colour}" for what, colour in (("fill", fill), ("stroke", stroke)) if colour)
            yield f"{', '.join(f'{where} {kind}' for where in wheres)} {{ {ink} }}"

    lines = [
        ".picture { max-width: 100%; height: auto }",
        ".picture text { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif }",
        ".picture .small { font-size: 12px }",
        ".picture .name { font-weight: 600 }",
        ".picture .title { font-size: 16px; font-weight: 600 }",
        ".picture .mid { text-anchor: middle }",
        ".picture .way { stroke-width: 1.5; marker-end: url(#tip) }",
        ".picture .maybe { stroke-dasharray: 5 4 }",
        *inks(0, [".picture"]),
        *inks(1, [where.format("picture") for where in DARK_THEME]),
        "@media (prefers-color-scheme: dark) {",
        *(f"  {line}" for line in inks(1, [where.format("picture") for where in DARK_SYSTEM])),
        "}",
    ]
    return "".join(f"    {line}\n" for line in lines) + "  "


def read(results, works, always):
    """Gives a panel for each work and size, in the order of `works`."""
    panels = []
    for work, (title, unit, less) in works.items():
        here = [r for r in results if r["work"] == work]
        done = {(r["lib"], r.get("size", 0)) for r in here if "value" in r}
        # One that failed in some rounds has a figure of the others too.
        here = [r for r in here if "value" in r or (r["lib"], r.get("size", 0)) not in done]
        for size in sorted({size for _, size in done}):
            panel = Panel(title.format(bytes_of(size)), unit, less, [r for r in here if r.get("size", 0) == size])
            panel.show(always)
            panels.append(panel)
    return panels


def draw(title, panels, note, style):
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
    # In a page of the manual with room around it, on a ground of its own.
    edge = 10 if ".chart" in style else 0
    kind = ' class="chart"' if edge else ""
    size = f'viewBox="{-edge} {-edge} {WIDTH + 2 * edge} {height + 2 * edge}" width="{WIDTH + 2 * edge}" height="{height + 2 * edge}"'
    ground = f'<rect class="g" x="{-edge}" y="{-edge}" width="100%" height="100%"/>'
    return "\n".join(
        [
            f'<svg{kind} xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            *([ground] if edge else []),
            f'<text class="t" x="0" y="18">{escape(title)}</text>',
            *body,
            "</svg>\n",
        ]
    )


def style_of_chart(colours, where):
    rules = {
        "text": f"font:{FONT}px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:{colours['text']}",
        ".t": "font-size:16px;font-weight:600",
        ".h": "font-weight:600",
        ".f": f"fill:{colours['faint']}",
        ".n": "text-anchor:end",
        ".u": f"font-weight:600;fill:{colours['ours']}",
        ".b": f"fill:{colours['other']}",
        ".o": f"fill:{colours['ours']}",
        ".e": f"fill:none;stroke:{colours['other']}",
        ".r": f"stroke:{colours['floor']};stroke-width:1.5;stroke-dasharray:3 2",
        ".w": f"stroke:{colours['faint']}",
        ".g": f"fill:{colours['page']}",
    }
    if not where:
        del rules[".g"]
    return "".join(f"{where}{what}{{{rule}}}" for what, rule in rules.items())


def style_of_both():
    def dark(wheres):
        return "".join(style_of_chart(THEMES["dark"], where.format("chart") + " ") for where in wheres)

    light = style_of_chart(THEMES["light"], ".chart ")
    return (
        f".chart{{max-width:100%;height:auto}}{light}{dark(DARK_THEME)}"
        f"@media (prefers-color-scheme: dark){{{dark(DARK_SYSTEM)}}}"
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
