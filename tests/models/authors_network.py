"""The authors' released topology, written from the method's notes ("authors, exactly") under the authors' names.

Independent of the package: the import of a checkpoint is compared with it pixel by pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv(inputs: int, outputs: int, side: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, side, 1, (side - 1) // 2)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_module1 = nn.Sequential(conv(width, width), nn.LeakyReLU(0.01))
        self.conv_module2 = nn.Sequential(conv(width, width), nn.LeakyReLU(0.01))
        self.conv_module3 = nn.Sequential(conv(width, width), nn.LeakyReLU(0.01))
        self.conv_module4 = nn.Sequential(conv(width, width), nn.LeakyReLU(0.01))
        self.last_conv = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        s1 = x + self.conv_module1(x)
        s2 = x + s1 + self.conv_module2(s1)
        s3 = x + s1 + s2 + self.conv_module3(s2)
        s4 = x + s1 + s2 + self.conv_module4(s3)
        return x + 0.5 * self.last_conv(s4)


class Upsample(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = conv(inputs, outputs)
        self.shuffle = nn.PixelShuffle(2)
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.shuffle(self.conv(x)))


def up(inputs: int, width: int, outputs: int) -> nn.Sequential:
    blocks = nn.Sequential(Block(width), Block(width))
    return nn.Sequential(conv(inputs, width), nn.PReLU(), blocks, conv(width, outputs), nn.PReLU())


class AuthorsNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stage1_eye = nn.Sequential(conv(3, 64, 9), nn.PReLU())
        self.stage1_down1 = nn.Sequential(Block(64), Block(64))
        self.stage1_down2 = nn.Sequential(conv(64, 128), Block(128), Block(128))
        self.stage1_down3 = nn.Sequential(conv(128, 256), Block(256), Block(256))
        self.stage1_bottom = nn.Sequential(
            conv(256, 512), nn.PReLU(), conv(512, 512), nn.PReLU(), conv(512, 256), nn.PReLU()
        )
        self.stage1_up1 = up(512, 256, 128)
        self.stage1_up2 = up(256, 128, 64)
        self.stage1_up3 = up(128, 64, 64)
        self.stage1_upsample = Upsample(64, 256)
        self.stage1_out = conv(64, 3, 7)
        self.stage2_down1 = nn.Sequential(Block(64), nn.PReLU())
        self.stage2_down2 = nn.Sequential(conv(64, 128), nn.PReLU(), Block(128), nn.PReLU())
        self.stage2_upsample = Upsample(128, 512)
        self.stage2_out = conv(128, 3, 9)
        self.pool = nn.AvgPool2d(2)
        self.grow = nn.UpsamplingNearest2d(scale_factor=2)

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        level1 = self.stage1_down1(self.stage1_eye(lr))
        level2 = self.stage1_down2(self.pool(level1))
        level3 = self.stage1_down3(self.pool(level2))
        x = self.stage1_bottom(self.pool(level3))
        x = self.stage1_up1(torch.cat((level3, self.grow(x)), 1))
        x = self.stage1_up2(torch.cat((level2, self.grow(x)), 1))
        x = self.stage1_up3(torch.cat((level1, self.grow(x)), 1))
        features = self.stage1_upsample(x)
        mr = self.stage1_out(features)
        hr = self.stage2_out(self.stage2_upsample(self.stage2_down2(self.stage2_down1(features))))
        return mr, torch.sigmoid(hr)


def lively(seed: int = 0) -> AuthorsNetwork:
    """Make one whose pictures vary over the whole range, and whose every PReLU differs."""
    torch.manual_seed(seed)
    network = AuthorsNetwork().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.25)
                module.weight.mul_(0.5)
                module.bias.uniform_(-0.05, 0.05)
            if isinstance(module, nn.PReLU):
                module.weight.uniform_(0.05, 0.4)
        # Fit the last layers to 0.5 ± 0.25, as pictures are.
        torch.manual_seed(1)
        probe = torch.rand(1, 3, 16, 16)
        for _ in range(2):
            mr, hr = network(probe)
            for out, picture in ((mr, network.stage1_out), (torch.logit(hr, 1e-6), network.stage2_out)):
                spread = 0.25 if picture is network.stage1_out else 1.0
                middle = 0.5 if picture is network.stage1_out else 0.0
                scale = spread / out.std()
                picture.bias.copy_(middle + scale * (picture.bias - out.mean()))
                picture.weight.mul_(scale)
    return network
