package arch

import (
	"strings"
	"testing"
)

func configOf(text string) (*config, error) {
	return readConfig(func(name string) ([]byte, error) {
		if name != "config.json" {
			return noFiles(name)
		}
		return []byte(text), nil
	})
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule, text string
		use        func(*config)
		want       string
	}{
		{"not JSON", `{`, nil, "config.json: unexpected EOF"},
		{"a list", `[]`, nil, "config.json: json: cannot unmarshal"},
		{"null", `null`, nil, "config.json: want a JSON object, got null"},
		{"two objects", `{}{}`, nil, "config.json: there is more after the JSON object"},
		{"Infinity where a number is needed", `{"a":-Infinity}`, func(c *config) { c.float("a") }, "config.json: a is missing"},
		{"a number that is text", `{"a":"1"}`, func(c *config) { c.count("a") }, "config.json: a: want a number"},
		{"a number without end", `{"a":1e999}`, func(c *config) { c.float("a") }, "config.json: a: 1e999, want a number"},
		{"a count beyond 31 bits", `{"a":2147483648}`, func(c *config) { c.count("a") }, "config.json: a: 2147483648, want an integer from 1"},
		{"text that is a number", `{"a":1}`, func(c *config) { c.text("a") }, "config.json: a: want a string"},
		{"a flag that is a number", `{"a":1}`, func(c *config) { c.flag("a") }, "config.json: a: want true or false"},
		{"a key within an object", `{"a":{"b":"x"}}`, func(c *config) { c.object("a").number("b") }, "config.json: a.b: want a number"},
		{"the first error stays", `{"a":1}`, func(c *config) { c.text("a"); c.float("b") }, "config.json: a: want a string"},
	} {
		c, err := configOf(tc.text)
		if err == nil && tc.use != nil {
			tc.use(c)
			err = *c.err
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.rule, err, tc.want)
		}
	}
	if _, err := readConfig(noFiles); err == nil || !strings.Contains(err.Error(), "config.json is missing") {
		t.Errorf("no file: %v", err)
	}
}

func TestPythonNumbersAreNull(t *testing.T) {
	t.Parallel()
	c, err := configOf(`{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN \" Infinity","d":2}`)
	if err != nil {
		t.Fatal(err)
	}
	if c.has("a") || c.text("c") != `NaN " Infinity` || c.number("d") != 2 || *c.err != nil {
		t.Errorf("%v, %v", c.doc, *c.err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"architectures":["LlamaForCausalLM"],"num_hidden_layers":1,"hidden_size":64,"intermediate_size":64,"num_attention_heads":4,
		"vocab_size":8,"max_position_embeddings":8,"rms_norm_eps":1e-5,"rope_scaling":{"rope_type":"llama3","factor":8}}`))
	f.Add([]byte(`{"rope_parameters":{"full_attention":{"rope_type":"yarn","factor":2}},"quantization_config":{"quant_method":"fp8","weight_block_size":[1,2]}}`))
	f.Add([]byte(`{"quantization_config":{"quant_method":"compressed-tensors","format":"float-quantized","config_groups":{"g":{"weights":{"type":"float","num_bits":8,"strategy":"block"}}}}}`))
	f.Add([]byte(`{"architectures":["X"],"num_hidden_layers":2,"hidden_size":64,"num_attention_heads":4,"vocab_size":8,"max_position_embeddings":8,"text_config":{"hidden_size":32},
		"layer_types":["linear_attention","conv"],"num_experts":4,"n_groups":0,"linear_num_key_heads":0,"rope_scaling":{"type":"longrope","long_factor":[1,2],"short_factor":[1]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, fam := range all {
			c, err := configOf(string(data))
			if err != nil {
				return
			}
			if _, err := c.class(); err != nil && err.Error() == "" {
				t.Error("an error without words")
			}
			for key, v := range fam.defaults {
				c.or(key, v)
			}
			if fam.prepare != nil {
				fam.prepare(c)
			}
			m := &mapping{family: fam, config: c, read: noFiles, model: &Model{}}
			m.readDims()
			m.rope = readRope(c)
			if fam.adjust != nil && *c.err == nil {
				fam.adjust(m)
			}
			if *c.err == nil {
				if _, err := readQuantization(c); err == nil && *c.err != nil {
					t.Errorf("an error was lost: %v", *c.err)
				}
			}
			if *c.err == nil && m.dims.headDim < 1<<16 && m.dims.layers < 1<<8 {
				m.ropeFactors()
				wants, err := m.expected(1 << 10)
				if err == nil && *c.err != nil {
					t.Errorf("an error was lost: %v", *c.err)
				}
				for _, w := range wants {
					d := m.dims
					d.layer = w.layer
					w.rule.reads(d)
				}
				if fam.made != nil && *c.err == nil {
					fam.made(m)
				}
				if err := m.params(); err != nil && err.Error() == "" {
					t.Error("an error without words")
				}
			}
		}
	})
}
