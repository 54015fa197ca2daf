package forward

import (
	"regexp"
	"strconv"
)

// unneeded is what a text's logits don't depend on: what the model sees and hears with, layers that predict the tokens
// after the next, and numbers that older checkpoints store and transformers computes. Nor do the vectors of an encoder depend on
// its pooler, its heads for masked tokens, or the adapters for tasks that none is asked for.
var unneeded = regexp.MustCompile(`(^|\.)(vision_tower|vision_model|vision_encoder|vision_adapter|multi_modal_projector|visual|connector|mlp1|embed_vision|audio_tower|patch_merger)\.` +
	`|(^|\.)image_newline$|^mtp\.|\.mtp_|rotary_(emb|pos_emb)\.inv_freq$|\.masked_bias$` +
	`|(^|\.)pooler\.dense\.|^vocab_(transform|layer_norm|projector)\.|^cls\.predictions\.|^head\.(dense|norm)\.|^decoder\.(weight|bias)$|\.lora_[AB]$|\.mlp\.experts\.bias$` +
	`|^(en|de)coder\.embed_tokens\.weight$`) // T5's copies of shared.weight

var layerNumber = regexp.MustCompile(`(?:^|\.)layers\.(\d+)\.`)

// unread are the tensors that the pass should have read and has not.
func (m *model) unread() []string {
	var names []string
	for _, t := range m.weights.from.Tensors {
		if m.weights.read[t.Name] || unneeded.MatchString(t.Name) {
			continue
		}
		if n := layerNumber.FindStringSubmatch(t.Name); n != nil {
			if i, _ := strconv.Atoi(n[1]); i >= m.layerCount() {
				continue
			}
		}
		if m.flag("tie_word_embeddings", false) && t.Name == "lm_head.weight" {
			continue
		}
		names = append(names, t.Name)
	}
	return names
}
