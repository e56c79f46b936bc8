"""The grid tokenizer: a picture of any size as one grid of tokens, one call owning colour, range, padding and cropping.

    images ─ pad ─ encoder ─▶ z ─ quantizer ─▶ indices ─ lookup ─▶ q ─ decoder ─ crop ─▶ images

`h = ⌈H/f⌉` and `w = ⌈W/f⌉` are the sides of the token grid. Indices have the shape (B, h, w), one token a patch. A
residual quantizer of depth `d` gives d tokens a patch, coarse to fine on a last axis: (B, h, w, d).
Sides that are no multiple of `f` are padded by repeating the last row and column, and the answer is cropped, so the
picture that comes back has the size of the one that went in.
"""

__all__ = ["GridTokenizer"]

from typing import cast

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from workbench.errors import InputError
from workbench.models.conv import ConvDecoder, ConvEncoder
from workbench.models.refine import check_effort, refine
from workbench.models.tiling import blend_windows, cut_windows, map_tiles, window_starts
from workbench.models.tokenizer import Description, Picture, Tokenizer, as_images, as_picture, check_images
from workbench.progress import Progress, no_progress

TILE = 64  # patches a side that one application of a local body keeps: 512 pixels at f = 8
OVERLAP = 4  # patches that windows of a windowed body share


class GridTokenizer(Tokenizer, kind="tokenizer"):
    """Encoder, quantizer and decoder for pictures of any size; arguments as of :class:`Tokenizer`."""

    # ---- facts

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tokens of a picture of that size in pixels."""
        if self.window is None:
            return -(-height // self.factor), -(-width // self.factor)
        sides = [max(-(-side // self.factor) * self.factor, self.window) for side in (height, width)]
        rows, columns = self._window_grid(*sides, window=self.window)
        return rows * self.window // self.factor, columns * self.window // self.factor

    def describe(self) -> Description:
        """What it takes, and what a picture costs."""
        bits, area = self.bits_per_token, self.factor**2
        each = f"one of {self.words:,} codewords ({bits:.3f} bits)"
        tokens = each if self.depth == 1 else f"{self.depth} tokens, each {each}"
        return Description(
            pictures="at full size",
            tokens=f"{tokens}, for each {self.factor}×{self.factor} pixels",
            bits_per_pixel=self.depth * bits / area,
        )

    # ---- pictures and tokens

    def prepare(self, image: Picture) -> np.ndarray:
        """The picture itself: uint8, shape (H, W, 3).

        Raises:
            InputError: if it is no picture.
        """
        images = as_images(image)
        if images.dtype == torch.uint8:
            return images[0].permute(1, 2, 0).contiguous().cpu().numpy()
        return as_picture(check_images(images)[0])

    def _batch(self, image: Picture) -> Tensor:
        """One picture as a batch; floats stay as fine as they are."""
        return as_images(image)

    @torch.inference_mode()
    def tokenize(self, images: Tensor, *, effort: int = 0, progress: Progress = no_progress) -> Tensor:
        """Return int64 indices of shape (B, h, w), or (B, h, w, d) with a residual quantizer.

        Pictures larger than a tile go through in tiles, in bounded memory. For a body with a window the grid holds
        the tokens of each window, windows in their order.

        Args:
            images: `(B, 3, H, W)`, floats in [0, 1] or uint8, any size from 1×1.
            effort: From 0, the encoder's own choice, to 9, the longest search for codewords that this decoder turns
                into a picture nearer to the original; see :mod:`workbench.models.refine`.
            progress: Told the share done of that search, picture by picture.

        Raises:
            InputError: if the shape, the type, the range or the effort is another, or the body allows no search.
        """
        if check_effort(effort):
            own = self.tokenize(images)
            found = [
                refine(self, image, begin, effort=effort, progress=progress)
                for image, begin in zip(images, own, strict=True)
            ]
            return torch.stack([one.indices for one in found]).to(own.device)
        images = self.padded(images)
        if self.window is None:
            planes = map_tiles(
                lambda x: self._planes(self.encode(x.to(self.device))),
                images,
                unit_in=self.factor,
                unit_out=1,
                halo=cast(ConvEncoder, self.encoder).halo,
                tile=TILE,
            )
            return self.from_planes(planes)
        grid = self._window_grid(*images.shape[-2:], window=self.window)
        windows = cut_windows(images, window=self.window, overlap=OVERLAP * self.factor)
        planes = torch.cat([self._planes(self.encode(x.to(self.device))) for x in windows.split(4)])
        return self.from_planes(rearrange(planes, "(b r c) d h w -> b d (r h) (c w)", r=grid[0], c=grid[1]))

    @torch.inference_mode()
    def detokenize(self, indices: Tensor, *, size: tuple[int, int] | None = None) -> Tensor:
        """Return images `(B, 3, H, W)`, float32 in [0, 1].

        Args:
            indices: Integers of shape (B, h, w) or (B, h, w, d), as :meth:`tokenize` gives them.
            size: Height and width of the picture; None for that of the whole grid.

        Raises:
            InputError: if an index is out of range, or the grid does not belong to a picture of that size.
        """
        stages = self.quantizer.index_shape
        if indices.ndim < 3 or tuple(indices.shape[3:]) != stages:
            shape = ", ".join(("B", "h", "w", *map(str, stages)))
            raise InputError(f"expected indices of shape ({shape}), got {tuple(indices.shape)}")
        size = size or (indices.shape[1] * self.factor, indices.shape[2] * self.factor)
        if tuple(indices.shape[1:3]) != self.grid(*size):
            raise InputError(
                f"a picture of {size[1]}×{size[0]} pixels has a token grid of {self.grid(*size)}, "
                f"got {tuple(indices.shape[1:3])}: pass the size of the picture that was tokenized"
            )
        planes = self.to_planes(indices)
        if self.window is None:
            images = map_tiles(
                self._decoded,
                planes,
                unit_in=1,
                unit_out=self.factor,
                halo=cast(ConvDecoder, self.decoder).halo,
                tile=TILE,
            )
        else:
            height, width = (max(-(-side // self.factor) * self.factor, self.window) for side in size)
            rows, columns = self._window_grid(height, width, window=self.window)
            windows = rearrange(planes, "b d (r h) (c w) -> (b r c) d h w", r=rows, c=columns)
            pixels = torch.cat([self._decoded(x) for x in windows.split(4)])
            images = blend_windows(pixels, height=height, width=width, overlap=OVERLAP * self.factor)
        return images[..., : size[0], : size[1]].clamp(0, 1)

    def code_map(self, indices: Tensor) -> Tensor:
        """Code vectors, float32 (B, D, h, w), of indices (B, h, w) or (B, h, w, d), whose d codewords are added.

        Raises:
            InputError: if an index is out of range.
        """
        return self.quantizer.indices_to_codes(indices.to(self.device), channel_first=True)

    def grids(self, indices: Tensor) -> list[Tensor]:
        """Indices as one grid (B, h, w) a stage of the quantizer."""
        return list(self.to_planes(indices).unbind(1))

    def to_planes(self, indices: Tensor) -> Tensor:
        """Indices (B, h, w) or (B, h, w, d) as one plane a stage: (B, d, h, w), with d = 1 for the former."""
        return indices.movedim(-1, 1) if self.quantizer.index_shape else indices[:, None]

    def from_planes(self, planes: Tensor) -> Tensor:
        """The inverse of :meth:`to_planes`: indices as :meth:`tokenize` gives them."""
        return planes.movedim(1, -1) if self.quantizer.index_shape else planes.squeeze(1)

    # ---- parts

    def padded(self, images: Tensor) -> Tensor:
        """Images `(B, 3, H, W)` as floats in [0, 1] whose sides are multiples of `f`: last rows and columns repeated.

        Raises:
            InputError: if the shape, the type or the range is another.
        """
        images = check_images(images)
        sides = [-(-side // self.factor) * self.factor for side in images.shape[-2:]]
        if self.window is not None:
            sides = [max(side, self.window) for side in sides]
        bottom, right = sides[0] - images.shape[-2], sides[1] - images.shape[-1]
        return F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images

    def _planes(self, latents: Tensor) -> Tensor:
        """Indices of latents (B, D, h, w) as planes (B, d, h, w), the layout in which tiles are joined."""
        return self.to_planes(self.quantizer(latents, channel_first=True).indices)

    def _decoded(self, planes: Tensor) -> Tensor:
        """Images (B, 3, H, W), float32, of planes of indices (B, d, h, w)."""
        return self.decode(self.code_map(self.from_planes(planes))).float()

    def _window_grid(self, height: int, width: int, *, window: int) -> tuple[int, int]:
        overlap = OVERLAP * self.factor
        return len(window_starts(height, window, overlap)), len(window_starts(width, window, overlap))
