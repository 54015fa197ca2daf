package archtest

import (
	"encoding/binary"
	"fmt"
)

// Checkpoints of the T5 family.

// t5Config has the sizes under T5's names.
func (c *Checkpoint) t5Config(class string) {
	c.class(class)
	for _, key := range []string{"num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "rms_norm_eps", "rope_theta",
		"max_position_embeddings", "bos_token_id"} {
		delete(c.Config, key)
	}
	c.set("model_type", "t5", "num_layers", Layers, "d_model", width, "d_ff", deep, "d_kv", width/Heads, "num_heads", Heads, "n_positions", 128,
		"relative_attention_num_buckets", 32, "layer_norm_epsilon", 1e-6, "decoder_start_token_id", 0, "pad_token_id", 0, "eos_token_id", 1)
}

// t5Side makes the layers of one side, with a bias for positions in the first of them or in all.
func (c *Checkpoint) t5Side(side string, layers int, gated, biases bool) {
	inner := int64(width)
	for layer := range layers {
		block := fmt.Sprintf("%s.block.%d.layer.", side, layer)
		attention := func(place int, name string) {
			from := fmt.Sprintf("%s%d.", block, place)
			c.add(from+"layer_norm.weight", width)
			for _, x := range []string{"q", "k", "v"} {
				c.add(from+name+"."+x+".weight", inner, width)
			}
			c.add(from+name+".o.weight", width, inner)
			if name == "SelfAttention" && (layer == 0 || biases) {
				c.add(from+name+".relative_attention_bias.weight", 32, Heads)
			}
		}
		attention(0, "SelfAttention")
		network := block + "1."
		if side == "decoder" {
			attention(1, "EncDecAttention")
			network = block + "2."
		}
		c.add(network+"layer_norm.weight", width)
		if gated {
			c.add(network+"DenseReluDense.wi_0.weight", deep, width)
			c.add(network+"DenseReluDense.wi_1.weight", deep, width)
		} else {
			c.add(network+"DenseReluDense.wi.weight", deep, width)
		}
		c.add(network+"DenseReluDense.wo.weight", width, deep)
	}
	c.add(side+".final_layer_norm.weight", width)
}

// t5 is the first T5: no gates, a tied head, the embedding stored three times.
func (c *Checkpoint) t5() {
	c.t5Config("T5ForConditionalGeneration")
	for _, name := range []string{"decoder.embed_tokens", "encoder.embed_tokens", "shared"} {
		c.add(name+".weight", Vocab, width)
	}
	c.t5Side("encoder", Layers, false, false)
	c.t5Side("decoder", Layers, false, false)
	c.spiece("spiece.model")
}

// t5Flan is T5 version 1.1: gates, a head of its own; here with one layer less in the decoder.
func (c *Checkpoint) t5Flan() {
	c.t5Config("T5ForConditionalGeneration")
	c.set("num_decoder_layers", Layers-1, "n_positions", nil, "tie_word_embeddings", false)
	c.add("shared.weight", Vocab, width)
	c.add("lm_head.weight", Vocab, width)
	c.t5Side("encoder", Layers, true, false)
	c.t5Side("decoder", Layers-1, true, false)
	c.spiece("tokenizer.model")
	c.json("added_tokens.json", map[string]int{"<extra_id_0>": Vocab - 1})
}

// umt5 has a bias for positions in every layer.
func (c *Checkpoint) umt5() {
	c.t5Config("UMT5ForConditionalGeneration")
	c.set("model_type", "umt5", "num_decoder_layers", Layers, "tie_word_embeddings", false)
	c.add("shared.weight", Vocab, width)
	c.add("lm_head.weight", Vocab, width)
	c.t5Side("encoder", Layers, true, true)
	c.t5Side("decoder", Layers, true, true)
	c.spiece("spiece.model")
}

func (c *Checkpoint) t5Encoder() {
	c.t5Config("T5EncoderModel")
	c.add("encoder.embed_tokens.weight", Vocab, width)
	c.t5Side("encoder", Layers, true, false)
	c.spiece("spiece.model")
}

// charsmap is a precompiled_charsmap that makes "fi" of U+FB01: the length of a double-array trie, the trie, and the texts
// that its values point to.
func charsmap() []byte {
	trie := make([]uint32, 3*256+1)
	key := "\ufb01"
	base := 0 // where the children of the node stand, each at base ^ its byte
	for i := range len(key) {
		at := base ^ int(key[i])
		base = 256 * (i + 1)
		trie[at] = uint32(at^base)<<10 | uint32(key[i])
		if i == len(key)-1 {
			trie[at] |= 1 << 8 // a key ends here, its value stands at base
		}
	}
	trie[base] = 1 << 31
	out := binary.LittleEndian.AppendUint32(nil, uint32(4*len(trie)))
	for _, unit := range trie {
		out = binary.LittleEndian.AppendUint32(out, unit)
	}
	return append(out, "fi\x00"...)
}
