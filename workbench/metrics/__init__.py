"""Distortion, perceptual and distribution distances, codebook use, rate."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.metrics.distortion import ms_ssim as ms_ssim, psnr as psnr, ssim as ssim
    from workbench.metrics.distribution import frechet_distance as frechet_distance
    from workbench.metrics.perceptual import FeatureDistance as FeatureDistance, load_lpips as load_lpips
    from workbench.metrics.rate import bd_rate as bd_rate, bits_per_pixel as bits_per_pixel
    from workbench.metrics.usage import UsageCounter as UsageCounter

lazy.show(
    globals(),
    {
        "FeatureDistance": "workbench.metrics.perceptual",
        "UsageCounter": "workbench.metrics.usage",
        "bd_rate": "workbench.metrics.rate",
        "bits_per_pixel": "workbench.metrics.rate",
        "frechet_distance": "workbench.metrics.distribution",
        "load_lpips": "workbench.metrics.perceptual",
        "ms_ssim": "workbench.metrics.distortion",
        "psnr": "workbench.metrics.distortion",
        "ssim": "workbench.metrics.distortion",
    },
)
