"""Encoders of pictures: vision transformers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel.models.encoders.pictures import PictureEncoder

_EPS = 1e-6  # of the layer norms, as in published weights


class Attention(nn.Module):
    """Every patch attends to every patch, in several heads."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        query, key, value = (
            self.qkv(x).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        )  # (B, heads, N, d)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(b, n, d))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, inner), nn.Linear(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and a feed-forward network, each behind a layer norm and beside a shortcut."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, _EPS), Attention(dim, heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, _EPS), FeedForward(dim, 4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class PatchEmbedding(nn.Module):
    """A vector for each square patch of a picture."""

    def __init__(self, channels: int, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)  # type: ignore[no-any-return]


class VisionTransformer(PictureEncoder):
    """A transformer over the patches of a picture; the defaults are ViT-Ti with patches of 16 x 16 pixels.

    Parameters
    ----------
    channels : int, default 3
        Of the pictures.
    dim, depth, heads : int, default 192, 12, 3
        Numbers of each patch, blocks, and heads of each block.
    patch : int, default 16
        Side of a patch in pixels.
    pixels : int, default 224
        Side of the pictures that positions are made for. Those of pictures of another size are interpolated.

    Notes
    -----
    (B, channels, height, width) -> (B, dim), the class token behind the last layer norm; what is left beyond whole
    patches is not looked at. After A. Dosovitskiy et al., *An Image is Worth 16x16 Words*, ICLR 2021, and H. Touvron et
    al., *Training data-efficient image transformers*, ICML 2021; parameters have the names that published weights have.
    """

    def __init__(
        self,
        channels: int = 3,
        dim: int = 192,
        depth: int = 12,
        heads: int = 3,
        patch: int = 16,
        pixels: int = 224,
    ) -> None:
        super().__init__()
        self.grid, self.patch = pixels // patch, patch
        self.out_features, self.channels, self.pixels = dim, channels, pixels
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid**2, dim))
        self.patch_embed = PatchEmbedding(channels, dim, patch)
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, _EPS)
        for parameter in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(parameter, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x)  # (B, dim, rows, columns)
        positions = self._positions(patches.shape[2], patches.shape[3])
        first = self.cls_token.expand(len(x), -1, -1)
        x = torch.cat([first, patches.flatten(2).transpose(1, 2)], 1) + positions  # (B, 1 + N, dim)
        return self.norm(self.blocks(x)[:, 0])  # type: ignore[no-any-return]

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Of the class token and of a grid of patches, (1, 1 + rows * columns, dim)."""
        if rows == columns == self.grid:
            return self.pos_embed
        first, rest = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        square = rest.transpose(1, 2).reshape(1, -1, self.grid, self.grid)
        resized = F.interpolate(square, (rows, columns), mode="bicubic", antialias=True)
        return torch.cat([first, resized.flatten(2).transpose(1, 2)], 1)
