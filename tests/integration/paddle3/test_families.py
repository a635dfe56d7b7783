"""Networks of Paddle's model zoos: Paddle 3 exports each and answers, Paddle 2.6 gives the same answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import pytest

from tests.integration.paddle3.environment import OLDER_FORM, ZOOS
from tests.integration.paddle3.run import Outcome
from tests.integration.paddle3.test_networks import MOST

pytestmark = [pytest.mark.paddle, pytest.mark.sweep, pytest.mark.timeout(3600)]
PIR: Mapping[str, str] = {}
NETWORKS = {
    "classifiers": (
        *("PPLCNet_x0_25", "PPLCNet_x1_0", "PPLCNetV2_small", "PPLCNetV2_base", "PPHGNet_tiny"),
        *("PPHGNet_small", "PPHGNetV2_B0", "PPHGNetV2_B4", "ESNet_x0_25", "GhostNet_x0_5"),
        *("MobileNetV1_x0_25", "MobileNetV3_small_x0_35", "ShuffleNetV2_x0_25", "EfficientNetB0"),
        *("ResNet18_vd", "SE_ResNet18_vd", "ResNeSt50_fast_1s1x64d", "RepVGG_A0", "Res2Net50_26w_4s"),
        *("CSPDarkNet53", "DLA34", "DPN68", "RegNetX_4GF", "ReXNet_1_0", "ConvNeXt_tiny", "StarNet_S1"),
        *("FasterNet_T0", "VAN_B0", "HarDNet39_ds"),
    ),
    "transformers": (
        *("ViT_small_patch16_224", "DeiT_tiny_patch16_224", "SwinTransformer_tiny_patch4_window7_224"),
        *("CSWinTransformer_tiny_224", "CvT_13_224", "LeViT_128S", "MobileViT_XXS", "MobileViTV3_XXS"),
        *("NextViT_small_224", "PVT_V2_B0", "TNT_small", "alt_gvt_small", "pcpvt_small"),
    ),
    "segmenters": (
        *("pp-liteseg, stdc1", "pp-liteseg, stdc2", "pp-humanseg lite", "deeplabv3p", "fcn"),
        *("segformer", "bisenetv2", "unet"),
    ),
    "detectors": (
        *("picodet", "picodet bare", "picodet raw", "ppyoloe", "ppyoloe plus", "ppyoloe bare", "ppyoloe raw"),
        *("ppyolo tiny", "ppyolo tiny, matrix"),
    ),
    "readers": (
        *("pp-ocrv5 mobile det", "pp-ocrv5 server det", "pp-ocrv6 small det", "pp-ocrv6 medium det"),
        *("pp-ocrv5 mobile rec", "pp-ocrv5 server rec", "pp-ocrv6 small rec", "pp-ocrv6 tiny rec", "uvdoc"),
    ),
    "languages": (
        *("ernie", "ernie, classifier", "ernie, tokens", "ernie, answers", "bert", "roberta", "electra"),
    ),
}
EVERY = [(group, network) for group, networks in NETWORKS.items() for network in networks]


@pytest.fixture(scope="module")
def found(outcomes: Callable[..., Mapping[str, Outcome]]) -> Callable[..., Mapping[str, Outcome]]:
    """The outcomes of a group of networks, in PIR or in the older form."""

    @cache
    def of(group: str, *, older: bool) -> Mapping[str, Outcome]:
        return outcomes(f"families.{group}", OLDER_FORM if older else PIR, ZOOS)

    return of


@pytest.mark.parametrize(("group", "network"), EVERY)
def test_network_answers_in_paddle26_as_in_paddle3(
    found: Callable[..., Mapping[str, Outcome]], group: str, network: str
) -> None:
    outcome = found(group, older=False)[network]
    assert outcome.error == ""
    assert outcome.of_greatest <= MOST


@pytest.mark.parametrize("group", NETWORKS)
def test_every_network_that_is_exported_is_looked_at(
    found: Callable[..., Mapping[str, Outcome]], group: str
) -> None:
    assert set(found(group, older=False)) == set(NETWORKS[group])


@pytest.mark.parametrize("group", NETWORKS)
def test_networks_that_paddle3_exports_in_the_older_form_answer_alike(
    found: Callable[..., Mapping[str, Outcome]], group: str
) -> None:
    exported = found(group, older=True)
    assert not {name: each for name, each in exported.items() if each.error or not each.of_greatest <= MOST}
