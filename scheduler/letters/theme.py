"""Colours and inline styles of a letter.

Everything that the light letter needs stands inline, because a third of mail clients drop
<style>; the dark palette is an enhancement that the template adds in a media query.
"""

LIGHT = {
    "ink": "#1d2733",
    "soft": "#4a5766",
    "paper": "#ffffff",
    "ground": "#f3f0ea",
    "tint": "#e4f1ef",
    "line": "#ddd6ca",
    "amber": "#7a4f00",
    "amber_ground": "#fff3d6",
    "red": "#a8231c",
    "red_ground": "#fdecea",
}
DARK = {
    "ink": "#eef1f4",
    "soft": "#b9c3ce",
    "paper": "#1b222b",
    "ground": "#12171d",
    "brand": "#6fd3cb",
    "tint": "#16302c",
    "line": "#36404c",
    "amber": "#f2d9a0",
    "amber_ground": "#2e2717",
    "red": "#ff8f86",
    "red_ground": "#33191a",
}

BODY = "font-size:17px;line-height:1.6"


def styles(ink: str = LIGHT["ink"]) -> dict[str, str]:
    """Inline style for each tag that Markdown makes."""
    return {
        "h2": f"margin:24px 0 8px;font-size:19px;line-height:1.35;font-weight:700;color:{ink}",
        "p": f"margin:0 0 16px;{BODY};color:{ink}",
        "ul": f"margin:0 0 16px;padding:0 0 0 24px;color:{ink}",
        "ol": f"margin:0 0 16px;padding:0 0 0 24px;color:{ink}",
        "li": f"margin:0 0 8px;{BODY};color:{ink}",
        "strong": "font-weight:700",
        "a": "text-decoration:underline",
    }
