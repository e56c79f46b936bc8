"""`workbench tokenize`: shards of pictures into shards of tokens, resumable, by one process or many."""

__all__ = ["app"]

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import Json, print_json, progress_bar

app = typer.Typer(help="Turn shards of pictures into shards of tokens.")


@app.command("tokenize")
def tokenize(
    data: Annotated[list[Path], typer.Option("--data", metavar="PATH", help="A shard or folder; may be repeated.")],
    more: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="More of them.")] = None,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the shards of tokens.")],
    model: Annotated[str | None, typer.Option(help="A bundled name, a folder, or owner/name; see `models`.")] = None,
    square: Annotated[int | None, typer.Option(help="Cut pictures to their centre square of this side.")] = None,
    packed: Annotated[
        bool, typer.Option("--packed/--uint32", help="18 bits an index for 196,560 words, or 32.")
    ] = True,
    batch: Annotated[int, typer.Option(help="Pictures that go through the network together.")] = 16,
    per_shard: Annotated[int, typer.Option(help="Pictures of a folder that make one shard.")] = 1024,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is by default.")] = None,
    json: Json = False,
) -> None:
    """Tokenize pictures so that a generator can train from tokens alone.

    Run it again to go on where it stopped. With `torchrun --nproc-per-node N -m workbench tokenize ...` the
    shards are shared out among N processes.
    """
    from workbench.fit.engine.distributed import joined
    from workbench.models.load import default_tokenizer, load_tokenizer
    from workbench.tasks.tokenize import tokenize_shards

    with joined(device) as world:
        tokenizer = load_tokenizer(model or default_tokenizer())
        with progress_bar("Tokenizing") if world.first else nullcontext(_silent) as progress:
            bulk = tokenize_shards(
                [*data, *(more or [])],
                out,
                tokenizer,
                square=square,
                packed=packed,
                batch_size=batch,
                per_shard=per_shard,
                world=world,
                progress=progress,
            )
    if not world.first:
        return
    if json:
        print_json(bulk.__dict__)
    else:
        typer.echo(
            f"{bulk.tokens:,} tokens of {bulk.pictures:,} pictures in {bulk.shards} shards ({bulk.made} made now): "
            f"{bulk.manifest}"
        )
    if bulk.passed_over:
        typer.echo(f"workbench: {len(bulk.passed_over)} pictures could not be read: see the manifest", err=True)
        raise typer.Exit(1)


def _silent(fraction: float, message: str) -> None:
    """Another process shows it."""
