import pytest
import torch

from trainer.augment import Augmentation, augment

NOTHING = Augmentation(
    rotation_degrees=0.0, zoom=0.0, shift=0.0, brightness=0.0, contrast=0.0, saturation=0.0, gamma=0.0,
    colour_cast=0.0, shading=0.0, sharpness=0.0, noise=0.0,
)  # fmt: skip

ROUNDING = 0.01
"""Of 255: float32 arithmetic of a dozen operations."""


def discs(count: int = 4, side: int = 64) -> torch.Tensor:
    """Grey discs with a brighter left half and some texture, black outside."""
    ramp = torch.linspace(-1, 1, side)
    inside = (ramp[:, None] ** 2 + ramp[None, :] ** 2) < 0.8
    grey = torch.where(ramp[None, :] < 0, 160, 90).expand(side, side) * inside
    texture = torch.randint(0, 20, (side, side), generator=torch.Generator().manual_seed(1)) * inside
    return (grey + texture).to(torch.uint8)[None, :, :, None].repeat(count, 1, 1, 3)


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_shape_and_range_are_those_of_pixels() -> None:
    images = augment(discs(), Augmentation(), seeded())
    assert images.shape == (4, 64, 64, 3)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 255


def test_without_limits_only_flips_remain() -> None:
    originals = discs(16).float()
    images = augment(discs(16), NOTHING, seeded())
    seen = set()
    for image, original in zip(images, originals, strict=True):
        kinds = {
            dims: torch.allclose(image, original.flip(dims) if dims else original, atol=ROUNDING)
            for dims in ((), (0,), (1,), (0, 1))
        }
        assert sum(kinds.values()) == 1
        seen |= {dims for dims, is_it in kinds.items() if is_it}
    assert len(seen) == 4


def test_black_outside_the_field_stays_black() -> None:
    images = augment(discs(), Augmentation(rotation_degrees=180.0, zoom=0.0, shift=0.0), seeded())
    corners = images[:, :6, :6], images[:, -6:, :6], images[:, :6, -6:], images[:, -6:, -6:]
    assert all(corner.abs().max() == 0 for corner in corners)
    assert (images[:, 24:40, 24:40].amax(dim=(1, 2, 3)) > 20).all()


def test_the_generator_alone_decides() -> None:
    torch.manual_seed(1)
    first = augment(discs(), Augmentation(), seeded(5))
    torch.manual_seed(2)
    assert torch.equal(first, augment(discs(), Augmentation(), seeded(5)))
    assert not torch.equal(first, augment(discs(), Augmentation(), seeded(6)))


def test_every_image_of_a_batch_is_changed_in_its_own_way() -> None:
    images = augment(discs(8), Augmentation(), seeded())
    assert len({round(image.mean().item(), 3) for image in images}) == 8


@pytest.mark.parametrize("name", [name for name in Augmentation.__dataclass_fields__ if name != "rotation_degrees"])
def test_every_limit_changes_pixels(name: str) -> None:
    values = dict.fromkeys(Augmentation.__dataclass_fields__, 0.0)
    still = augment(discs(), Augmentation(**values), seeded())
    images = discs().clone()
    images[..., 0] //= 2  # saturation needs colour
    values_with = values | {name: 0.3}
    moved = augment(images, Augmentation(**values_with), seeded())
    reference = augment(images, Augmentation(**values), seeded())
    assert still.shape == moved.shape
    assert (moved - reference).abs().mean() > 0.1


def test_brightness_is_a_ratio_that_balances() -> None:
    images = augment(discs(256, 16), Augmentation(**{**_zeros(), "brightness": 0.3}), seeded())
    plain = augment(discs(256, 16), NOTHING, seeded())
    ratios = (images.mean(dim=(1, 2, 3)) / plain.mean(dim=(1, 2, 3))).log()
    limit = torch.tensor(1.3).log()
    assert ratios.abs().max() <= limit + 1e-3
    assert ratios.mean().abs() < 0.05  # five standard errors of 256 uniform draws


def _zeros() -> dict[str, float]:
    return dict.fromkeys(Augmentation.__dataclass_fields__, 0.0)
