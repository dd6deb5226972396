"""StyleGAN2 on a processor: our synthesis beside that of the published programs, and what the processor can do at best.

Usage: python benchmarks/synthesis.py [--resolution 1024] [--repeats 3]

Writes benchmarks/results/synthesis.json:

synthesis.speedup_fp32, speedup_bf16   seconds of the published path in float32 by ours, one picture
synthesis.share_of_ceiling             multiplications a second of our float32 path by those of a large convolution in the same run
synthesis.share_of_ceiling_bf16        the same in bfloat16, where the processor has it
synthesis.*_kept                       these where both paths keep the memory that they free
synthesis.agreement_fp32, _bf16        relative L2 distance to the published path
synthesis.memory_ratio                 peak memory above the loaded weights, ours by theirs, each in a process of its own
start.ratio_to_import_torch            seconds of `crossrig sample` for one picture of the shipped generator by those of `import torch`
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from shared.timing import best
from torch import Tensor

from crossrig.gan import ops
from crossrig.gan.generator import Generator, GeneratorConfig, StyledConv, ToRGB
from crossrig.memory import keep_freed_memory

RESULTS = Path(__file__).parent / "results" / "synthesis.json"
#: Channels of configuration F (Karras et al. 2020) from 4 px up.
CONFIGURATION_F = (512, 512, 512, 512, 512, 256, 128, 64, 32)


def configuration(resolution: int) -> GeneratorConfig:
    """Configuration F at a resolution; 74 GMAC at 1024 px as computed (transposed convolutions at the low resolution)."""
    return GeneratorConfig(resolution=resolution, channels=CONFIGURATION_F, mapping_layers=8)


def published(generator: Generator, s: Tensor) -> Tensor:
    """Synthesis as the published programs do it without their CUDA kernels: (B, S) -> (B, 3, R, R).

    Every sample's own weights, grouped (transposed) convolutions, FIR filters as convolutions of every channel, and zeros inserted where
    the picture is enlarged (stylegan2-ada-pytorch: modulated_conv2d and upfirdn2d with impl="ref").
    """
    styles = generator.style_space.split(s)
    batch = len(s)
    x = generator.const.expand(batch, -1, -1, -1)
    image: Tensor | None = None
    for layer in generator.style_space.layers:
        module = generator.get_submodule(f"synthesis.{layer.name}")
        assert isinstance(module, StyledConv | ToRGB)
        gain = module.weight[0].numel() ** -0.5
        w = (module.weight * gain)[None] * styles[layer.name][:, None, :, None, None]  # (B, O, I, k, k)
        if isinstance(module, StyledConv):
            w = w * (w.square().sum(dim=(2, 3, 4), keepdim=True) + ops.DEMODULATION_EPS).rsqrt()
            flat = x.reshape(1, -1, *x.shape[2:])
            if module.up:
                x = F.conv_transpose2d(flat, w.transpose(1, 2).flatten(0, 1), stride=2, groups=batch)
                x = ops.fir(x.reshape(batch, -1, *x.shape[2:]), (1, 1), gain=4.0)
            else:
                x = F.conv2d(flat, w.flatten(0, 1), padding=1, groups=batch).reshape(batch, -1, *x.shape[2:])
            x = ops.leaky_relu(x + module.noise_const * module.noise_strength + module.bias[:, None, None])
        else:
            rgb = F.conv2d(x.reshape(1, -1, *x.shape[2:]), w.flatten(0, 1), groups=batch).reshape(batch, 3, *x.shape[2:])
            rgb = rgb + module.bias[:, None, None]
            image = rgb if image is None else ops.upsample_reference(image) + rgb
    assert image is not None
    return image


def as_published(generator: Generator) -> Generator:
    """The same with its weights in the order in memory that the published programs keep them in, (O, I, k, k); ours has another."""
    other = copy.deepcopy(generator)
    for parameter in other.parameters():
        parameter.data = parameter.data.contiguous()
    return other


def multiplications(config: GeneratorConfig) -> float:
    """Multiply-adds of one synthesis as computed."""
    total = 0.0
    inputs = config.channels[0]
    for level, outputs in enumerate(config.channels):
        resolution = 4 << level
        if level:
            total += 9.0 * inputs * outputs * (resolution // 2) ** 2  # transposed: at the low resolution
        total += 9.0 * outputs * outputs * resolution**2 + 3.0 * outputs * resolution**2
        inputs = outputs
    return total


@torch.no_grad()
def ceiling(dtype: torch.dtype, repeats: int) -> float:
    """Multiply-adds a second of the best of some large 3x3 convolutions."""
    found = []
    for channels, side in ((512, 64), (256, 128), (256, 64), (128, 256)):
        x = torch.randn(1, channels, side, side).to(dtype).contiguous(memory_format=torch.channels_last)
        weight = torch.randn(channels, channels, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
        seconds = best(lambda x=x, weight=weight: F.conv2d(x, weight, padding=1), repeats)  # type: ignore[misc]
        found.append(9.0 * channels**2 * side**2 / seconds)
    return max(found)


def has_bfloat16() -> bool:
    """Whether bfloat16 multiplications are faster than float32 ones here."""
    return ceiling(torch.bfloat16, 2) > 1.2 * ceiling(torch.float32, 2)


def build(resolution: int) -> tuple[Generator, Tensor]:
    """An untrained generator, and a style code for it."""
    torch.manual_seed(0)
    generator = Generator(configuration(resolution)).eval().requires_grad_(False)
    return generator, generator.affine(generator.map(torch.randn(1, generator.config.z_dim)))


@torch.no_grad()
def speed(resolution: int, repeats: int) -> dict[str, float]:
    """Seconds of one picture, as ratios."""
    generator, s = build(resolution)
    other = as_published(generator)
    wanted = published(other, s)
    theirs = best(lambda: published(other, s), repeats)
    figures: dict[str, float] = {}
    work = multiplications(generator.config)
    formats = [("fp32", torch.float32, "")] + ([("bf16", torch.bfloat16, "_bf16")] if has_bfloat16() else [])
    for name, dtype, suffix in formats:
        seconds = best(lambda dtype=dtype: generator.synthesise(s, dtype=dtype), repeats)  # type: ignore[misc]
        made = generator.synthesise(s, dtype=dtype)
        figures |= {
            f"synthesis.speedup_{name}": theirs / seconds,
            f"synthesis.share_of_ceiling{suffix}": work / seconds / ceiling(dtype, repeats),
            f"synthesis.agreement_{name}": float((made - wanted).norm() / wanted.norm()),
        }
    return figures


@torch.no_grad()
def speed_with_memory_kept(resolution: int, repeats: int) -> dict[str, float]:
    """`speed` where both keep the memory that they free (`crossrig.memory`), as our programs do and the published ones do not.

    The setting holds for the rest of the process.
    """
    keep_freed_memory()
    found = speed(resolution, repeats)
    return {f"{name}_kept": value for name, value in found.items() if "agreement" not in name}


def peak_memory(which: str, resolution: int) -> float:
    """Bytes a process needs at most for one picture, above those for the loaded weights (Linux)."""
    words = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import synthesis"
    program = f"{words}; synthesis.remember({which!r}, {resolution})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout)


@torch.no_grad()
def remember(which: str, resolution: int) -> None:
    """Print how far this process's memory rises in one synthesis."""
    generator, s = build(resolution)
    other = as_published(generator) if which == "published" else generator
    small = Generator(GeneratorConfig(resolution=8, channels=(8, 8)))
    small(torch.randn(1, 512))  # load the kernels before anything is measured
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew at what is in use now
    before = memory("VmHWM")
    _ = published(other, s) if which == "published" else generator.synthesise(s)
    print(memory("VmHWM") - before)


def memory(entry: str) -> float:
    """Bytes of an entry of /proc/self/status."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{entry}:"))
    return 1024.0 * int(line.split()[1])


def start_ratio(repeats: int) -> float:
    """`crossrig sample` for one picture by `import torch`, both as processes of their own."""

    def run(words: list[str]) -> None:
        subprocess.run(words, check=True, capture_output=True)

    with tempfile.TemporaryDirectory() as folder:
        sample = [sys.executable, "-m", "crossrig.cli", "sample", "--seeds", "0", "--outdir", folder, "--overwrite"]
        return best(lambda: run(sample), repeats) / best(lambda: run([sys.executable, "-c", "import torch"]), repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=1024, help="px (default: 1024)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the shortest counts (default: 3)")
    options = parser.parse_args()
    figures = speed(options.resolution, options.repeats)
    figures |= speed_with_memory_kept(options.resolution, options.repeats)
    figures["synthesis.memory_ratio"] = peak_memory("ours", options.resolution) / peak_memory("published", options.resolution)
    figures["start.ratio_to_import_torch"] = start_ratio(options.repeats)
    print("\n".join(f"{name:34} {value:.4g}" for name, value in figures.items()))
    print(f"{options.resolution} px, {torch.get_num_threads()} threads, {platform.processor() or platform.machine()}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({name: float(f"{value:.4g}") for name, value in figures.items()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
