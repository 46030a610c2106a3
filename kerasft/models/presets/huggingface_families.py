"""What the families of transformers have in config.json, and what KerasHub's model of each is built with.

A key is read by KerasHub's converter or given to its layers; or KerasHub has one value for it; or it is of no effect on
what the backbone computes. Defaults are those of transformers 5.24, KerasHub's values those of 0.32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class HuggingFaceFamily(NamedTuple):
    """One `model_type`.

    Attributes:
        sizes: key -> argument of KerasHub's backbone, or None where its converter reads the key; each is needed.
        defaults: key -> transformers' value where config.json lacks it.
        fixed: key -> the values that KerasHub's backbone is like.
        activation: key of the activation, and KerasHub's own.
        epsilon: key of the epsilon of every normalisation, and KerasHub's own.
        epsilon_argument: whether KerasHub's constructor takes the epsilon for all of them.
        rates: kind of dropout layers (`hidden`, `attention`, `embeddings`) -> key of their rate.
        unbuilt_rates: keys of dropout where KerasHub's backbone has none.
        prefix: of names of weights, in models with a head.
        anchor: name behind the prefix of the table of token embeddings.
        optional: beginnings of names of weights that a file may lack, and what they are of.
        rotary: whether positions are rotary, told by `rope_theta`, `rope_scaling` or `rope_parameters`.
        tied: whether the backbone's output layer is always the token embedding; None: it is as the config says.
    """

    sizes: Mapping[str, str | None]
    defaults: dict[str, Any]
    fixed: dict[str, tuple[Any, ...]]
    activation: tuple[str, str]
    epsilon: tuple[str, float] | None
    rates: dict[str, str]
    epsilon_argument: bool = False
    unbuilt_rates: tuple[str, ...] = ()
    prefix: str = "model."
    anchor: str = "embed_tokens.weight"
    optional: dict[str, str] = {}
    rotary: bool = False
    tied: bool | None = True


# Keys without an effect on the backbone: names, notes, ids (the tokenizer has its own), heads, generation, training.
IGNORED = frozenset(
    "architectures model_type transformers_version torch_dtype dtype _name_or_path name_or_path id2label label2id "
    "num_labels problem_type finetuning_task task_specific_params bos_token_id eos_token_id sep_token_id pad_token_id "
    "cls_token_id mask_token_id unk_token_id decoder_start_token_id forced_bos_token_id forced_eos_token_id "
    "initializer_range initializer_factor init_std use_cache gradient_checkpointing output_attentions output_past "
    "output_hidden_states return_dict classifier_dropout classifier_dropout_prob classif_dropout seq_classif_dropout "
    "qa_dropout is_encoder_decoder tokenizer_class prefix torchscript chunk_size_feed_forward pretraining_tp "
    "tie_encoder_decoder tie_word_embeddings tie_weights_ cross_attention_hidden_size use_bfloat16 language "
    "directionality max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty "
    "temperature top_k "
    "top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids "
    "num_return_sequences output_scores return_dict_in_generate remove_invalid_values suppress_tokens "
    "begin_suppress_tokens exponential_decay_length_penalty tf_legacy_loss attn_implementation _attn_implementation "
    "attention_type gap_size net_structure_type down_scale_factor num_memory_blocks layers_to_keep pooler_fc_size "
    "pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type sinusoidal_pos_embds "
    "summary_type summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout n_ctx "
    "reorder_and_upcast_attn add_bias_logits add_final_layer_norm normalize_before normalize_embedding "
    "static_position_embeddings extra_pos_embeddings scale_attention_softmax_in_fp32 max_window_layers "
    "use_mems_eval use_mems_train embedding_dropout router_aux_loss_coef router_jitter_noise output_router_logits "
    "cache_implementation no_rope_layer_interval _sliding_window_pattern sliding_window_pattern eos_token_ids "
    "unsloth_version unsloth_fixed is_local local_files_only custom_pipelines sentence_transformers".split()
)
# Keys that no family here has, each with the values that change nothing.
FIXED_EVERYWHERE: dict[str, tuple[Any, ...]] = {
    "quantization_config": (None,),
    "compression_config": (None,),
    "auto_map": (None,),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "pruned_heads": ({}, None),
    "position_embedding_type": ("absolute", None),
    "partial_rotary_factor": (1.0, None),
    "use_bidirectional_attention": (False, None),
}

_BERT_SIZES: dict[str, str | None] = {
    "vocab_size": None,
    "hidden_size": None,
    "num_hidden_layers": None,
    "num_attention_heads": None,
    "intermediate_size": None,
    "max_position_embeddings": None,
}
_BERT_RATES = {"hidden": "hidden_dropout_prob", "attention": "attention_probs_dropout_prob"}
_BERT_DEFAULTS = {
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}
_BERT = HuggingFaceFamily(
    sizes={**_BERT_SIZES, "type_vocab_size": "num_segments"},
    defaults=_BERT_DEFAULTS,
    fixed={},
    activation=("hidden_act", "gelu_approximate"),
    epsilon=("layer_norm_eps", 1e-12),
    rates=_BERT_RATES,
    prefix="bert.",
    anchor="embeddings.word_embeddings.weight",
    optional={"pooler.": "pooler"},
)
_ROBERTA = _BERT._replace(
    sizes={**_BERT_SIZES, "type_vocab_size": None},
    defaults={**_BERT_DEFAULTS, "pad_token_id": 1},
    fixed={"pad_token_id": (1,)},  # positions are counted from the one behind it
    activation=("hidden_act", "gelu"),
    epsilon=("layer_norm_eps", 1e-5),
    prefix="roberta.",
    optional={},
)
_ROPE_DEFAULTS = {
    "max_position_embeddings": 2048,  # of no effect: nothing is as long as positions that are turned
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "attention_dropout": 0.0,
    "tie_word_embeddings": False,
}
_LLAMA_SIZES = {key: None for key in (*_BERT_SIZES, "num_key_value_heads") if key != "max_position_embeddings"}
_LLAMA = HuggingFaceFamily(
    sizes=_LLAMA_SIZES,
    defaults=_ROPE_DEFAULTS,
    fixed={"attention_bias": (False,), "mlp_bias": (False,)},
    activation=("hidden_act", "silu"),
    epsilon=("rms_norm_eps", 1e-6),
    rates={},
    epsilon_argument=True,
    unbuilt_rates=("attention_dropout",),
    optional={"lm_head.": "output layer"},
    rotary=True,
    tied=None,
)
_GEMMA = _LLAMA._replace(
    sizes={**_LLAMA_SIZES, "head_dim": None},
    defaults={**_ROPE_DEFAULTS, "hidden_act": "gelu_pytorch_tanh", "tie_word_embeddings": True},
    fixed={"attention_bias": (False,), "tie_word_embeddings": (True,), "rope_theta": (10000.0, 10000)},
    activation=("hidden_act", "gelu_approximate"),
    epsilon_argument=False,  # KerasHub's decoder blocks are not given it
    optional={},
    tied=True,
)

FAMILIES: dict[str, HuggingFaceFamily] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "distilbert": HuggingFaceFamily(
        sizes=dict.fromkeys(("vocab_size", "dim", "n_layers", "n_heads", "hidden_dim", "max_position_embeddings")),
        defaults={"activation": "gelu", "dropout": 0.1, "attention_dropout": 0.1},
        fixed={},
        activation=("activation", "gelu"),
        epsilon=None,
        rates={"hidden": "dropout", "attention": "attention_dropout"},
        prefix="distilbert.",
        anchor="embeddings.word_embeddings.weight",
    ),
    "albert": _BERT._replace(
        sizes={**_BERT_SIZES, "embedding_size": None, "num_hidden_groups": None, "inner_group_num": None}
        | {"type_vocab_size": None},
        defaults={**_BERT_DEFAULTS, "hidden_act": "gelu_new", "num_hidden_groups": 1, "inner_group_num": 1}
        | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        prefix="albert.",
    ),
    "gpt2": HuggingFaceFamily(
        sizes={"vocab_size": None, "n_embd": None, "n_layer": None, "n_head": None, "n_positions": None}
        | {"n_inner": "intermediate_dim"},
        defaults={"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5}
        | {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1},
        fixed={"scale_attn_weights": (True,), "scale_attn_by_inverse_layer_idx": (False,)}
        | {"tie_word_embeddings": (True,)},
        activation=("activation_function", "gelu_approximate"),
        epsilon=("layer_norm_epsilon", 1e-5),
        rates={"hidden": "resid_pdrop", "attention": "attn_pdrop", "embeddings": "embd_pdrop"},
        prefix="transformer.",
        anchor="wte.weight",
    ),
    "bart": HuggingFaceFamily(
        sizes={"vocab_size": None, "d_model": None, "encoder_layers": "num_layers", "encoder_attention_heads": None}
        | {"encoder_ffn_dim": None, "decoder_layers": None, "decoder_attention_heads": None}
        | {"decoder_ffn_dim": None, "max_position_embeddings": None},
        defaults={"activation_function": "gelu", "dropout": 0.1, "attention_dropout": 0.0},
        fixed={"scale_embedding": (False,), "tie_word_embeddings": (True,)},
        activation=("activation_function", "gelu"),
        epsilon=None,
        rates={"hidden": "dropout", "attention": "attention_dropout"},
        unbuilt_rates=("activation_dropout", "encoder_layerdrop", "decoder_layerdrop"),
        anchor="shared.weight",
    ),
    "llama": _LLAMA,
    "mistral": _LLAMA._replace(
        defaults={**_ROPE_DEFAULTS, "sliding_window": 4096},
        fixed={"tie_word_embeddings": (False,)},
        tied=False,
    ),
    "mixtral": _LLAMA._replace(
        sizes={**_LLAMA_SIZES, "num_local_experts": None, "num_experts_per_tok": None},
        defaults={**_ROPE_DEFAULTS, "rms_norm_eps": 1e-5, "rope_theta": 1000000.0, "sliding_window": None}
        | {"output_router_logits": False, "num_local_experts": 8, "num_experts_per_tok": 2},
        fixed={"tie_word_embeddings": (False,)},
        tied=False,
    ),
    "qwen2": _LLAMA._replace(
        defaults={**_ROPE_DEFAULTS, "use_sliding_window": False, "sliding_window": None},
        fixed={"use_sliding_window": (False,)},
    ),
    "qwen3": _LLAMA._replace(
        sizes={**_LLAMA_SIZES, "head_dim": None},
        defaults={**_ROPE_DEFAULTS, "use_sliding_window": False, "sliding_window": None},
        fixed={"use_sliding_window": (False,), "attention_bias": (False,)},
    ),
    "gemma": _GEMMA,
    "gemma2": _GEMMA._replace(
        defaults={**_GEMMA.defaults, "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 256}
        | {"sliding_window": 4096, "final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0},
        activation=("hidden_activation", "gelu_approximate"),
    ),
    "gemma3_text": _GEMMA._replace(
        defaults={**_GEMMA.defaults, "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 256}
        | {"sliding_window": 4096, "final_logit_softcapping": None, "attn_logit_softcapping": None},
        fixed={"attention_bias": (False,), "tie_word_embeddings": (True,)},
        activation=("hidden_activation", "gelu_approximate"),
        rotary=False,
    ),
    "smollm3": _LLAMA._replace(
        defaults={**_ROPE_DEFAULTS, "rope_theta": 2000000.0, "attention_bias": False, "mlp_bias": False}
        | {"tie_word_embeddings": True, "sliding_window": None, "use_sliding_window": False},
        fixed={"use_sliding_window": (False,), "tie_word_embeddings": (True,)},
        unbuilt_rates=(),
        optional={},
        tied=True,
    ),
}
