"""The stylesheet's colours can be read and told apart, by everybody, in light and dark."""

from __future__ import annotations

import math
import re
from importlib.resources import files
from itertools import combinations

import pytest

from flask_llm_cost import dashboard

CSS = files(dashboard).joinpath("static", "llm_cost.css").read_text("utf-8")
COLOUR = re.compile(r"--([\w-]+):\s*(#[0-9a-f]{6});")
Triple = tuple[float, float, float]

#: How the light of the screen meets eyes without one kind of cone: Machado, Oliveira and Fernandes (2009),
#: severity 1.0, for linear RGB.
EYES: dict[str, tuple[Triple, Triple, Triple]] = {
    "trichromat": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanope": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranope": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.01182, 0.04294, 0.968881),
    ),
    "tritanope": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.3039),
    ),
}


def palettes() -> dict[str, dict[str, str]]:
    light, _, rest = CSS.partition("prefers-color-scheme: dark")
    dark = rest.partition("prefers-contrast")[0]
    return {"light": dict(COLOUR.findall(light)), "dark": dict(COLOUR.findall(dark))}


def linear(colour: str) -> Triple:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return red, green, blue


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio."""
    lights = sorted(
        0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in map(linear, (one, other))
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def seen(colour: str, eye: tuple[Triple, Triple, Triple]) -> Triple:
    """The colour in Oklab, where distances are alike to differences that people see."""
    light = linear(colour)
    red, green, blue = (max(sum(a * b for a, b in zip(row, light, strict=True)), 0) for row in eye)
    cones = [
        (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3),
        (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3),
        (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3),
    ]
    rows = ((0.2104542553, 0.793617785, -0.0040720468), (1.9779984951, -2.428592205, 0.4505937099),
            (0.0259040371, 0.7827717662, -0.808675766))  # fmt: skip
    first, second, third = (sum(a * b for a, b in zip(row, cones, strict=True)) for row in rows)
    return first, second, third


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *((text, ground) for text in ("text", "muted", "accent", "bad") for ground in ("ground", "surface")),
        ("warn", "surface"),
        ("warn", "warn-soft"),
        ("text", "warn-soft"),
        ("accent", "accent-soft"),
        ("text", "accent-soft"),
        ("muted", "accent-soft"),
        ("text", "share"),
        ("text", "weekend"),
        ("muted", "weekend"),
        ("surface", "accent"),
    ],
)
def test_text_has_a_contrast_of_4_5(scheme: str, text: str, ground: str) -> None:
    colours = palettes()[scheme]
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("mark", [*(f"series-{rank}" for rank in range(9)), "line-strong", "warn-line"])
def test_marks_have_a_contrast_of_3(scheme: str, mark: str) -> None:
    colours = palettes()[scheme]
    assert contrast(colours[mark], colours["surface"]) >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("eye", EYES)
def test_any_two_series_can_be_told_apart(scheme: str, eye: str) -> None:
    colours = palettes()[scheme]
    series = [seen(colours[f"series-{rank}"], EYES[eye]) for rank in range(9)]
    assert min(math.dist(one, other) for one, other in combinations(series, 2)) >= 0.1


def test_both_schemes_define_the_same_colours() -> None:
    light, dark = palettes()["light"], palettes()["dark"]
    assert set(light) == set(dark)


def test_colours_stand_in_the_theme_only() -> None:
    body = CSS.partition("@layer base {")[2]
    assert re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", body) == []


def test_nothing_is_loaded_from_elsewhere() -> None:
    assert "url(" not in CSS
    assert "@import" not in CSS


@pytest.mark.parametrize(
    "feature",
    [
        "prefers-color-scheme: dark",
        "prefers-reduced-motion",
        "prefers-contrast",
        "forced-colors: active",
        "print",
    ],
)
def test_the_readers_wishes_are_heard(feature: str) -> None:
    assert re.search(rf"@media [^{{]*{re.escape(feature)}", CSS)


def test_the_type_scale_is_kept() -> None:
    assert set(re.findall(r"font(?:-size)?:[^;]*?(\d+)px", CSS)) <= {"12", "13", "14", "16", "20", "28", "36"}
