"""Colours and inline styles of a letter.

Everything that the light letter needs stands inline, because a third of mail clients drop
<style>; the dark palette is an enhancement that the template adds in a media query. A clinic owns
one colour, its brand: what is tinted and what is lit up in the dark are made from it, and words in
it must be readable (WCAG 2, 1.4.3).
"""

import re
from colorsys import hls_to_rgb, rgb_to_hls
from functools import lru_cache

TEXT = 4.5
"""The contrast that words need."""
PALETTE = {
    "ink": ("#1d2733", "#eef1f4"),
    "soft": ("#4a5766", "#b9c3ce"),
    "paper": ("#ffffff", "#1b222b"),
    "ground": ("#f3f0ea", "#12171d"),
    "line": ("#ddd6ca", "#36404c"),
    "amber": ("#7a4f00", "#f2d9a0"),
    "amber_ground": ("#fff3d6", "#2e2717"),
    "red": ("#a8231c", "#ff8f86"),
    "red_ground": ("#fdecea", "#33191a"),
}
LIGHT, DARK = ({name: pair[at] for name, pair in PALETTE.items()} for at in (0, 1))
LIT, CALM = 9, 0.55  # the dark brand's contrast and saturation
BODY, INK = "font-size:17px;line-height:1.6", f"color:{LIGHT['ink']}"
STYLES = {
    "h2": f"margin:24px 0 8px;font-size:19px;line-height:1.35;font-weight:700;{INK}",
    "p": f"margin:0 0 16px;{BODY};{INK}",
    "ul": f"margin:0 0 16px;padding:0 0 0 24px;{INK}",
    "ol": f"margin:0 0 16px;padding:0 0 0 24px;{INK}",
    "li": f"margin:0 0 8px;{BODY};{INK}",
    "strong": "font-weight:700",
    "a": "text-decoration:underline",
}
"""Inline style for each tag that Markdown makes."""
LARGER = 24 / 17
SIZES = re.compile(r'((?:font-size|line-height)(?:=")?:?)(\d\d)px')


def enlarged(mjml: str) -> str:
    """The same letter in large print: what is 17 px wide type becomes 24, that is 18 points."""
    return SIZES.sub(lambda size: f"{size[1]}{round(int(size[2]) * LARGER)}px", mjml)


@lru_cache(maxsize=64)
def palettes(brand: str) -> tuple[dict[str, str], dict[str, str]]:
    """The light and the dark colours of a clinic's letters."""
    hue, light, saturation = rgb_to_hls(*channels(brand))
    lit = suggestion(_written(hls_to_rgb(hue, light, min(saturation, CALM))), DARK["paper"], LIT)
    return (
        {**LIGHT, "brand": brand.lower(), "tint": _mixed(brand, LIGHT["paper"], 0.11)},
        {**DARK, "brand": lit, "tint": _mixed(brand, DARK["ground"], 0.22)},
    )


def ratio(one: str, other: str) -> float:
    """WCAG's contrast of two colours, from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def suggestion(colour: str, ground: str, least: float) -> str:
    """The nearest colour of the same hue, darker or lighter, that can be read on the ground.

    Black or white can be read on every ground, so there is one up to 4.58 : 1; above that, the
    better of the two.
    """
    hue, light, saturation = rgb_to_hls(*channels(colour))
    tried = [
        _written(hls_to_rgb(hue, min(max(light + way * step / 255, 0), 1), saturation))
        for step in range(256)
        for way in (-1, 1)
    ]
    readable = (each for each in tried if ratio(each, ground) >= least)
    return next(readable, None) or max(tried, key=lambda each: ratio(each, ground))


@lru_cache(maxsize=1024)
def luminance(colour: str) -> float:
    """WCAG's relative luminance, from 0 to 1."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB
        for part in channels(colour)
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def channels(colour: str) -> tuple[float, float, float]:
    """Red, green and blue of #rrggbb, from 0 to 1."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _written(parts: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def _mixed(colour: str, ground: str, share: float) -> str:
    pairs = zip(channels(colour), channels(ground), strict=True)
    red, green, blue = (share * one + (1 - share) * other for one, other in pairs)
    return _written((red, green, blue))
