"""The judge of adversarial training: one score a patch, and only for local texture.

    x ─ unshuffle 2 ─ [4×4 stride 2 ─ leaky]ⁿ ─ 3×3 ─▶ scores

Every weight is divided by its largest singular value, which keeps the judge's slope bounded without a batch or spatial
norm, so it runs on one crop as on many and needs no statistics shared between processes.
Sources: Isola et al., arXiv:1611.07004 (patches); Miyato et al., arXiv:1802.05957 (spectral norm).
"""

__all__ = ["PatchDiscriminator"]

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Scores of patches: above 0 for real, below for made.

    Args:
        width: Channels of the first stage; each stage doubles them, up to eight times that.
        stages: Halvings after the first unshuffle; the score grid has sides `H / 2^(stages + 1)`.
    """

    def __init__(self, *, width: int, stages: int) -> None:
        super().__init__()
        widths = [12, *(width * min(2**stage, 8) for stage in range(stages))]
        self.stages = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)) for a, b in pairwise(widths))
        self.head = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(B, 3, H, W)` in [0, 1], sides multiples of `2^(stages + 1)`, to scores `(B, 1, h, w)`."""
        x = F.pixel_unshuffle(2 * images - 1, 2)
        for stage in self.stages:
            x = F.leaky_relu(stage(x), 0.2)
        return self.head(x)
