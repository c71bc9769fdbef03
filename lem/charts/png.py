"""A chart as a picture. What draws it is a package of its own (the extra ``plot``), which brings no
font; two that lie beside the code make the text the same on every machine."""

from pathlib import Path

from lem.errors import EnvironmentFault

FONTS = Path(__file__).parent / "fonts"
FILES = ("LemSans-Regular.ttf", "LemSans-Semibold.ttf")
FAMILY = "Lem Sans"


def png(svg_text: str, scale: float = 2.0, other_fonts: bool = True) -> bytes:
    """The standalone SVG as a PNG, ``scale`` pixels for each of its own. ``other_fonts``: letters
    that Lem Sans lacks, such as Chinese ones, are taken from the machine's fonts, if it has any.

    Raises :class:`EnvironmentFault` where the package is missing.
    """
    try:
        import resvg_py
    except ImportError:
        raise EnvironmentFault(
            "a PNG needs the package resvg-py",
            hint="pip install 'lem-energy[plot]', or write an SVG",
        ) from None
    made = resvg_py.svg_to_bytes(
        svg_string=svg_text,
        zoom=scale,
        skip_system_fonts=not other_fonts,
        font_files=[str(FONTS / name) for name in FILES],
        font_family=FAMILY,
        sans_serif_family=FAMILY,
    )
    return bytes(made)
