"""Draws the two training logs as one small picture: `python plot.py vae_log.csv transformer_log.csv curve.png`."""

import csv
import math
import sys

from PIL import Image, ImageDraw

SIZE, MARGIN = (360, 220), 34


def column(path, name):
    with open(path) as f:
        rows = [(float(r["seconds"]) / 60, float(r[name])) for r in csv.DictReader(f) if r[name]]
    return [(x, y) for x, y in rows if not math.isnan(y)]


def panel(title, curves):
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    points = [p for _, curve in curves for p in curve]
    right = max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    width, height = SIZE[0] - 2 * MARGIN, SIZE[1] - 2 * MARGIN

    def place(x, y):
        return MARGIN + x / right * width, MARGIN + (high - y) / (high - low + 1e-9) * height

    draw.rectangle([MARGIN, MARGIN, MARGIN + width, MARGIN + height], outline="grey")
    draw.text((MARGIN, 8), title, fill="black")
    draw.text((2, MARGIN - 6), f"{high:.3g}", fill="black")
    draw.text((2, MARGIN + height - 6), f"{low:.3g}", fill="black")
    draw.text((MARGIN + width - 40, MARGIN + height + 6), f"{right:.0f} min", fill="black")
    for colour, curve in curves:
        draw.line([place(*p) for p in curve], fill=colour, width=2)
    return image


def main(vae_log, transformer_log, out):
    panels = [
        panel("VAE, held out: dB whole / in the roto, 384x224", [("steelblue", column(vae_log, "large_db")),
                                                                 ("firebrick", column(vae_log, "large_hero_db"))]),
        panel("transformer: flow loss", [("steelblue", column(transformer_log, "loss"))]),
        panel("where paint is unknown: draft / made, dB", [("grey", column(transformer_log, "large_draft_unknown_db")),
                                                          ("firebrick", column(transformer_log, "large_made_unknown_db"))]),
    ]
    sheet = Image.new("RGB", (SIZE[0] * len(panels), SIZE[1]), "white")
    for k, image in enumerate(panels):
        sheet.paste(image, (k * SIZE[0], 0))
    sheet.save(out, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
