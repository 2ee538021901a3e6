"""Every sequence classifier of the installed transformers runs both ways, is saved and opened, or refused in a line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

import tunebook
from tunebook.errors import TunebookError
from tunebook.tasks import get_task, recipe_class

sys.path.insert(0, str(Path(__file__).parents[3]))
from tiny_models import TYPED, tiny_tokenizer

TASK = get_task("text-classification")
#: Sizes by the names that configurations have for them.
_SIZES: dict[str, Any] = {
    **dict.fromkeys(
        (
            "hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size", "word_embed_proj_dim",
            "moe_intermediate_size", "shared_expert_intermediate_size", "vocab_size_per_layer_input",
        ),
        32,
    ),
    **dict.fromkeys(
        (
            "num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers",
            "num_decoder_layers", "num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads",
            "decoder_attention_heads", "num_key_value_heads", "num_experts_per_tok", "num_buckets", "mamba_expand",
        ),
        2,
    ),
    **dict.fromkeys(
        (
            "intermediate_size", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim", "d_ff", "hidden_dim", "d_inner",
            "n_inner", "max_position_embeddings", "n_positions", "max_seq_len", "ffn_hidden_size",
        ),
        64,
    ),
    **dict.fromkeys(
        ("d_kv", "head_dim", "q_lora_rank", "kv_lora_rank", "v_head_dim", "mamba_d_head", "kv_channels",
         "sliding_window"),
        16,
    ),
    **dict.fromkeys(
        ("attention_window", "block_size", "qk_rope_head_dim", "qk_nope_head_dim", "state_size", "mamba_d_state",
         "hidden_size_per_layer_input", "local_attn_chunk_length", "lsh_attn_chunk_length"),
        8,
    ),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "mamba_n_heads"), 4),
    **dict.fromkeys(("n_shared_experts", "first_k_dense_replace", "n_group", "topk_group"), 1),
    "block_sizes": [1, 1], "axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 8],
    "attn_layers": ["local", "lsh"], "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3,
    "cls_token_id": 2, "decoder_start_token_id": 3, "forced_eos_token_id": None,
}  # fmt: skip
#: Lists with an entry a layer, which are cut to the layers that are left.
_BY_LAYER = ("layer_types", "mlp_layer_types", "layers_block_type", "indexer_types", "num_experts_per_layer")
#: Parameters from which a model that cannot be made small is left out.
_MOST = 3e7
#: What rounding and the draws of models that draw at random may change of a logit.
_CLOSE = 0.02


def _small(kind: str) -> Any:
    """Make a small configuration of a kind; skip those that cannot be made so."""
    made = transformers.CONFIG_MAPPING[kind]
    try:
        base = made()
        values = {name: value for name, value in _SIZES.items() if hasattr(base, name)}
        if kind == "xlnet":
            del values["max_position_embeddings"]
        if "block_sizes" in values:
            values.pop("num_hidden_layers", None)
        for name in _BY_LAYER:
            if isinstance(getattr(base, name, None), list):
                values[name] = list(getattr(base, name))[-2:]
        config = made(**values, vocab_size=len(tiny_tokenizer()))
        with torch.device("meta"):
            model = transformers.AutoModelForSequenceClassification.from_config(config)
    except Exception as error:  # noqa: BLE001 - sizes that do not fit each other raise almost anything
        pytest.skip(f"no small configuration: {type(error).__name__}")
    if sum(parameter.numel() for parameter in model.parameters()) > _MOST:
        pytest.skip("cannot be made small by these names")
    return config


@pytest.mark.long
@pytest.mark.parametrize("kind", list(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES))
def test_an_architecture_says_the_same_alone_in_a_batch_and_after_it_is_saved(kind: str, tmp_path: Path) -> None:
    _small(kind).save_pretrained(tmp_path / kind)
    tiny_tokenizer(typed=kind in TYPED).save_pretrained(tmp_path / kind)
    rows = [(f"the film was {'good' if k % 2 else 'bad'} plot {k} {'very ' * (k % 9)}", "ab"[k % 2]) for k in range(24)]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "t.csv", index=False)
    recipe = recipe_class("text-classification")(
        data=str(tmp_path / "t.csv"), model=str(tmp_path / kind), weights="none", max_length=16, cache="off",
        onnx=False, freeze="none", unfreeze=[], on_problem="drop", device="cpu", precision="fp32", match_case=True,
    )  # fmt: skip
    examples = tunebook.check(tunebook.load_examples(recipe), recipe).resolve("drop")
    try:
        model = tunebook.load_model(recipe, examples)
    except TunebookError as error:
        assert "\n" not in str(error)
        return
    reader = TASK.reader(examples, recipe, model)
    _require_gradients(model, reader, examples.rows("train")[:6])
    _shake(model.module)
    out = tmp_path / "out"
    out.mkdir()
    TASK.export(model, examples.classes, recipe, out)
    saved = transformers.AutoModelForSequenceClassification.from_pretrained(out).eval()
    for rows_together in reader.evaluation_batches(examples.rows("test")):
        with torch.inference_mode():
            together = TASK.logits(model.module, reader.inputs(rows_together))
            alone = torch.cat([TASK.logits(model.module, reader.inputs(np.array([row]))) for row in rows_together])
            again = torch.cat([saved(**reader.inputs(np.array([row]))).logits for row in rows_together])
        torch.testing.assert_close(together, alone, rtol=0, atol=_CLOSE)
        torch.testing.assert_close(again, alone, rtol=0, atol=_CLOSE)


def _require_gradients(model: Any, reader: Any, rows: np.ndarray) -> None:
    """Require that a step can be taken from the examples in the parts in which they are trained on."""
    model.stages.apply("none")
    for part in reader.training_groups(rows):
        logits = TASK.logits(model.module, reader.inputs(part)).float()
        model.objective.loss(logits, reader.targets(part), torch.ones(2), 0.0).backward()
    gradients = [p.grad for p in model.module.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    model.module.zero_grad(set_to_none=True)


def _shake(module: torch.nn.Module) -> None:
    """Let a head that starts even tell texts apart, so that a comparison can fail."""
    module.eval()
    for parameter in module.parameters():
        if parameter.ndim > 1 and not parameter.detach().any():
            torch.nn.init.normal_(parameter)
