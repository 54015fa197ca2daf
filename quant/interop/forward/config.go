package forward

// config is a config.json, or the part of it that is the text model's.
type config map[string]any

// num is a number that has to be there under one of the names.
func (c config) num(keys ...string) float64 {
	for _, key := range keys {
		if v, ok := c[key].(float64); ok {
			return v
		}
	}
	fail("config: no number under %q", keys)
	return 0
}

func (c config) numOr(key string, otherwise float64) float64 {
	if v, ok := c[key].(float64); ok {
		return v
	}
	return otherwise
}

func (c config) int(keys ...string) int { return int(c.num(keys...)) }

func (c config) intOr(key string, otherwise int) int { return int(c.numOr(key, float64(otherwise))) }

func (c config) flag(key string, otherwise bool) bool {
	if v, ok := c[key].(bool); ok {
		return v
	}
	return otherwise
}

func (c config) str(key string) string {
	s, _ := c[key].(string)
	return s
}

// list is nil where the key has none.
func (c config) list(key string) []any {
	l, _ := c[key].([]any)
	return l
}

// table is nil where the key has none.
func (c config) table(key string) config {
	t, _ := c[key].(map[string]any)
	return t
}

// nums is a list of numbers.
func (c config) nums(key string) vec {
	var out vec
	for _, v := range c.list(key) {
		x, ok := v.(float64)
		if !ok {
			fail("config: %s has %v where a number belongs", key, v)
		}
		out = append(out, x)
	}
	return out
}

func (c config) layerCount() int {
	return c.int("num_hidden_layers", "n_layer", "n_layers", "num_layers")
}

func (c config) heads() int { return c.int("num_attention_heads", "n_head", "n_heads", "num_heads") }

func (c config) width() int { return c.int("hidden_size", "n_embd", "d_model", "dim") }

func (c config) headDim() int { return c.intOr("head_dim", c.width()/c.heads()) }

func (c config) keyHeads() int { return c.intOr("num_key_value_heads", c.heads()) }

// layerType is what layer_types says of a layer.
func (c config) layerType(i int) string {
	if l := c.list("layer_types"); i < len(l) {
		s, _ := l[i].(string)
		return s
	}
	return ""
}
