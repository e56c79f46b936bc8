"""What somebody else writes against the package; pyright checks it in strict mode, nobody runs it.

`reveal_type` would only print: each name is put where its type must fit.
"""

import numpy as np
import torch

import workbench
from workbench import (
    Code,
    Codec,
    Generator,
    Quantizer,
    Tokenizer,
    WorkbenchError,
    decode,
    encode,
    generate,
    make_code,
    make_quantizer,
    nearest,
    reconstruct,
)
from workbench.coding import Container, pack, unpack
from workbench.images import read_image
from workbench.lattices import make_code as make_code_again
from workbench.metrics import psnr
from workbench.models import GridTokenizer, Pair, PyramidTokenizer, load_generator, load_tokenizer
from workbench.quantizers import ForeignQuantizer, register_quantizer
from workbench.tasks import compress_image, decompress_image


def codes(points: torch.Tensor) -> torch.Tensor:
    code: Code = workbench.make_code("leech")
    size: int = make_code("e8").size + make_code_again("e8").size + code.size
    indices: torch.Tensor = nearest(points, code)
    return indices % size


def quantizers(points: torch.Tensor) -> torch.Tensor:
    quantizer: Quantizer = make_quantizer("bsq", dimension=18)
    quantized, indices, loss = quantizer(points)
    name: str = quantizer.name
    register_quantizer("mine", lambda: ForeignQuantizer(torch.nn.Identity(), name="x", dimension=4, size=2))
    del name, indices, loss
    return quantized


def models() -> tuple[torch.Tensor, Generator]:
    tokenizer: Tokenizer = Tokenizer.from_pretrained("photo-leech")
    grid: GridTokenizer = GridTokenizer.from_pretrained("photo-leech")
    pyramid: PyramidTokenizer = load_tokenizer("flowers-64-tokenizer", PyramidTokenizer)
    any_kind: Tokenizer = load_tokenizer("photo-leech")
    pair: Pair = load_generator("flowers-64")
    bits: float = tokenizer.describe().bits_per_pixel + grid.bits_per_token + any_kind.bits_per_token
    tokens: torch.Tensor = pyramid.tokenize(torch.rand(1, 3, pyramid.side, pyramid.side))
    return tokens + int(bits), pair.generator


def verbs(path: str) -> np.ndarray:
    pixels: np.ndarray = read_image(path)
    score: float | None = psnr(pixels, reconstruct(path, effort=2).image)
    pictures: np.ndarray = generate(["daisy", 1], seed=3).images
    data: bytes = encode(pixels)
    container: Container = unpack(data)
    try:
        image: np.ndarray = decode(pack(container))
    except WorkbenchError as error:
        raise SystemExit(str(error)) from error
    del score, pictures
    return image


def codecs(pixels: np.ndarray, codec: Codec) -> np.ndarray:
    return decompress_image(compress_image(pixels, codec).data, codec=codec).image
