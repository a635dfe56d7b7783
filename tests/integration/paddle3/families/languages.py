"""Models of texts from PaddleNLP, small, with a free batch and length."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import paddle
from families.weights import RANDOM, begin, settled

ANY_LENGTH = {0: [0, 1], 1: [0, 1]}
SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}
NETWORKS = {
    "ernie": ("Ernie", "ErnieModel", {"use_task_id": True}),
    "ernie, classifier": ("Ernie", "ErnieForSequenceClassification", {"use_task_id": False}),
    "ernie, tokens": ("Ernie", "ErnieForTokenClassification", {"use_task_id": False}),
    "ernie, answers": ("Ernie", "ErnieForQuestionAnswering", {"use_task_id": False}),
    "bert": ("Bert", "BertModel", {}),
    "roberta": ("Roberta", "RobertaModel", {}),
    "electra": ("Electra", "ElectraModel", {}),
}


def every() -> Mapping[str, Any]:
    begin()
    return {name: partial(_case, *network) for name, network in NETWORKS.items()}


def _case(family: str, kind: str, options: Mapping[str, Any]) -> Any:
    from paddlenlp import transformers

    config = getattr(transformers, f"{family}Config")(
        vocab_size=100, max_position_embeddings=64, **SMALL, **options
    )
    network = getattr(transformers, kind)(config)
    ids = RANDOM.integers(1, 100, (2, 12)) * (np.arange(12) < [[12], [7]])
    inputs = [ids, np.zeros_like(ids)]

    ask = _ask_with_task if options.get("use_task_id") else _ask
    return settled(network, ask, inputs), inputs, ANY_LENGTH


def _ask(network: Any, ids: Any, kinds: Any) -> Any:
    """Paddle 3 refuses the positions that the networks make themselves of a free length."""
    ones = paddle.ones_like(ids)
    places = paddle.cumsum(ones, axis=1) - ones
    return network(ids, token_type_ids=kinds, position_ids=places)


def _ask_with_task(network: Any, ids: Any, kinds: Any) -> Any:
    """The same for a network that reads the kind of its task besides."""
    ones = paddle.ones_like(ids)
    places = paddle.cumsum(ones, axis=1) - ones
    return network(ids, token_type_ids=kinds, position_ids=places, task_type_ids=paddle.zeros_like(ids))
