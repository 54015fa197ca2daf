package arch

// textDefaults are the values that transformers' configuration classes have for a text_config without them, by its
// model_type. Such configs often state little more than what differs.
var textDefaults = map[string]map[string]any{
	"llama": {
		"vocab_size": 32000.0, "hidden_size": 4096.0, "intermediate_size": 11008.0, "num_hidden_layers": 32.0, "num_attention_heads": 32.0,
		"max_position_embeddings": 2048.0, "rms_norm_eps": 1e-6,
	},
	"mistral": {
		"vocab_size": 32000.0, "hidden_size": 4096.0, "intermediate_size": 14336.0, "num_hidden_layers": 32.0, "num_attention_heads": 32.0,
		"num_key_value_heads": 8.0, "max_position_embeddings": 131072.0, "rms_norm_eps": 1e-6,
	},
	"qwen2": {
		"vocab_size": 151936.0, "hidden_size": 4096.0, "intermediate_size": 22016.0, "num_hidden_layers": 32.0, "num_attention_heads": 32.0,
		"num_key_value_heads": 32.0, "max_position_embeddings": 32768.0, "rms_norm_eps": 1e-6,
	},
}
