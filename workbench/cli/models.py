"""`workbench models`: which tokenizers are at hand, bundled with the program, in the cache or trained here."""

__all__ = ["app"]

import typer

from workbench.cli import Json, print_json, print_table

app = typer.Typer(help="List the models at hand.")


@app.command("models")
def models(json: Json = False) -> None:
    """List the models at hand: where each lies, its codebook, bits a token, tokens a patch, its side, size on disk."""
    from workbench.models.load import models_at_hand

    rows = [entry.row() for entry in models_at_hand()]
    if json:
        print_json({"models": rows})
        return
    lines: list[tuple[str, ...]] = [("name", "kind", "place", "quantizer", "bits/token", "depth", "factor", "MB")]
    for row in rows:
        bits = "-" if row["bits_per_token"] is None else f"{row['bits_per_token']:.3f}"
        texts = (row["name"], row["kind"], row["place"], row["quantizer"] or "-", bits)
        numbers = (row["depth"] or "-", row["factor"] or "-")
        lines.append((*map(str, (*texts, *numbers)), f"{row['bytes'] / 1e6:.1f}"))
    print_table(lines, left=len(lines[0]), narrowest=24)  # names are there to be typed
