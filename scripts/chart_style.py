"""Prints the style sheet of charts inside pages, from the themes that charts by themselves carry:
web/src/style/charts.css."""

from lem.charts.theme import DARK, LIGHT, Theme, rules

SCOPE = "svg.chart"


def variables(theme: Theme) -> str:
    return "".join(f"--{name}:{value};" for name, value in _named(theme).items())


def _named(theme: Theme) -> dict[str, str]:
    colours = {f"c-{i}": c for i, c in enumerate((theme.grey, *theme.colours))}
    plain = {"grid": theme.grid, "axis": theme.axis, "chart-band": theme.band}
    return colours | plain


def sheet() -> str:
    dark = variables(DARK)
    values = {value: f"var(--{name})" for name, value in _named(LIGHT).items()}
    # What pages have a colour of their own for.
    values |= {LIGHT.paper: "var(--paper)", LIGHT.ink: "var(--ink)", LIGHT.muted: "var(--muted)"}
    chosen = ':root:not([data-theme="light"])'
    lines = [
        "/* Written by scripts/chart_style.py from lem/charts/theme.py. */",
        f":root{{{variables(LIGHT)}}}",
        f"@media screen and (prefers-color-scheme: dark){{{chosen}{{{dark}}}}}",
        f'@media screen{{:root[data-theme="dark"]{{{dark}}}}}',
    ]
    for name, properties in rules(LIGHT).items():
        said = ";".join(f"{k}:{_value(v, values, name)}" for k, v in properties.items())
        lines.append(f"{SCOPE} .{name}{{{said}}}")
    return "\n".join(lines) + "\n"


def _value(value: str, values: dict[str, str], name: str) -> str:
    if name.startswith("c-"):
        return f"var(--{name})"
    return values.get(value, value)


if __name__ == "__main__":
    print(sheet(), end="")
