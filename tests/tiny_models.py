"""Small random models of transformers with a tokenizer, one for each way in which libraries build them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SAME: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 37,
    "max_position_embeddings": 64,
}  # fmt: skip
_RELATIVE: dict[str, Any] = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0}
_ENCODER_DECODER: dict[str, Any] = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 37, "decoder_ffn_dim": 37, "max_position_embeddings": 64,
    "eos_token_id": 3, "bos_token_id": 2, "decoder_start_token_id": 3, "forced_eos_token_id": 3,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": _SAME,
    "roberta": _SAME,
    "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 2, "hidden_dim": 37, "max_position_embeddings": 64},
    "deberta": {**_SAME, **_RELATIVE},
    "deberta-v2": {**_SAME, **_RELATIVE, "share_att_key": True, "position_buckets": 16, "norm_rel_ebd": "layer_norm"},
    "modernbert": {**_SAME, "cls_token_id": 2, "sep_token_id": 3},
    "albert": {**_SAME, "embedding_size": 16},
    "electra": {**_SAME, "embedding_size": 16},
    "mpnet": _SAME,
    "xlnet": {"d_model": 32, "n_layer": 3, "n_head": 2, "d_inner": 37},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 2, "n_positions": 64},
    "llama": {**_SAME, "num_key_value_heads": 2},
    "qwen2": {**_SAME, "num_key_value_heads": 1},
    "bart": _ENCODER_DECODER,
    "t5": {
        "d_model": 32,
        "d_kv": 16,
        "d_ff": 37,
        "num_layers": 2,
        "num_heads": 2,
        "eos_token_id": 3,
        "decoder_start_token_id": 0,
    },
    "canine": _SAME,
    "xlm": {"emb_dim": 32, "n_layers": 3, "n_heads": 2, "max_position_embeddings": 64, "n_langs": 1},
}
#: Models that few use, each with something of its own: FNet mixes padding in, DiffLlama refuses dropout of attention.
ODD: dict[str, dict[str, Any]] = {
    "fnet": {**_SAME, "tpu_short_seq_length": 64},
    "diffllama": {**_SAME, "num_key_value_heads": 2},
}
#: Words of the tiny tokenizer.
WORDS = (
    "the", "a", "film", "is", "was", "good", "great", "fine", "bad", "dull", "poor", "and", "not", "very", "it", "plot",
    "actor", "scene", "end",
)  # fmt: skip
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


#: Kinds whose tokenizers make types of tokens.
TYPED = ("bert", "deberta", "deberta-v2", "albert", "electra", "xlnet")


def tiny_tokenizer(words: Sequence[str] = WORDS, *, pads: bool = True, typed: bool = True) -> Any:
    """Make a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: k for k, word in enumerate([*_SPECIAL, *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"unk_token": "[UNK]", "eos_token": "[SEP]", **({"pad_token": "[PAD]"} if pads else {})}
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if typed else [])]
    return PreTrainedTokenizerFast(tokenizer_object=inner, model_input_names=names, **special)


def make_tiny(folder: Path, kind: str = "bert", *, pads: bool = True, seed: int = 0, **changes: Any) -> Path:
    """Save a small random model of a kind with its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModel

    tokenizer = tiny_tokenizer(pads=pads, typed=kind in TYPED)
    pad = {"pad_token_id": 0} if pads else {}
    config = AutoConfig.for_model(kind, **{"vocab_size": len(tokenizer), **pad, **{**CONFIGS, **ODD}[kind], **changes})
    torch.manual_seed(seed)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
