package jobs

import (
	"context"
	"fmt"
	"strings"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant"
	"github.com/nexus-quant/nexus-quant/quant/arch"
	"github.com/nexus-quant/nexus-quant/registry"
)

// isAdapter tells whether a registered file is that of an adapter.
func isAdapter(m registry.Model) bool {
	_, adapter := quant.CutAdapter(m.FileType)
	return adapter
}

// adapter is a LoRA adapter, mostly that which a request merges into its model.
type adapter struct {
	*arch.Adapter
	ref hf.Ref
}

// loraRef says what the request's adapter is.
func (r *Request) loraRef() (hf.Ref, error) {
	ref, err := r.ref(r.MergeLora)
	if err != nil {
		return ref, err
	}
	if ref.Kind == hf.File {
		return ref, noAdapter("merge-lora", r.MergeLora)
	}
	ref.Adapter = true
	return ref, nil
}

func noAdapter(option, name string) error {
	return &UsageError{Err: fmt.Errorf("%s: %s is a GGUF file, want an adapter as peft saves it", option, name), hint: "name a Hub id or a folder with adapter_model.safetensors and adapter_config.json"}
}

// baseRef says what the model is that an adapter belongs to, where a file of the adapter is asked for.
func (r *Request) baseRef() (hf.Ref, error) {
	ref, err := r.ref(r.LoraBase)
	if err == nil && ref.Kind == hf.File {
		err = &UsageError{Err: fmt.Errorf("base: %s is a GGUF file, want a model in Hugging Face layout", r.LoraBase), hint: "name the Hub id or the folder that the file was made from; of a Hub model only headers are read"}
	}
	return ref, err
}

// forAdapter refuses what a file of an adapter can't honour.
func (r *Request) forAdapter() error {
	if r.LoraBase == "" {
		return nil
	}
	for option, set := range map[string]bool{
		"merge-lora": r.MergeLora != "", "mmproj": r.Mmproj != "" && !strings.EqualFold(r.Mmproj, noMmproj), "imatrix": r.Imatrix != "", "pure": r.Pure,
		"leave-output-tensor": r.LeaveOutput, "output-tensor-type": r.OutputType != "", "token-embedding-type": r.EmbeddingType != "", "tensor-type": len(r.TensorTypes) > 0,
	} {
		if set {
			return &UsageError{Err: fmt.Errorf("%s: not for the file of an adapter, which --base asks for", option), hint: "leave one of the two out"}
		}
	}
	return nil
}

// fromAdapter maps an adapter, which it closes if that fails.
func (s *Service) fromAdapter(ctx context.Context, c *hf.Checkpoint, ref hf.Ref, r *Request) (*source, error) {
	lora, err := readLora(c, ref)
	if err != nil {
		return nil, err
	}
	src := &source{kind: kindOf(ref), ref: ref, close: c.Close}
	var base *hf.Checkpoint
	of, err := r.baseRef()
	if err == nil {
		base, err = s.openCheckpoint(ctx, of)
	}
	if err == nil {
		src.Model, err = quant.FromAdapter(lora.Adapter, base, arch.Options{Pre: r.PreTokenizer})
		base.Close()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	if src.kind == Local {
		src.paths = []string{ref.Path}
	}
	return src, nil
}

// openLora opens the request's adapter without fetching weights; nil for none.
func (s *Service) openLora(ctx context.Context, r *Request) (*adapter, error) {
	if r.MergeLora == "" {
		return nil, nil
	}
	ref, err := r.loraRef()
	if err != nil {
		return nil, err
	}
	c, err := s.openCheckpoint(ctx, ref)
	if err != nil {
		return nil, err
	}
	return readLora(c, ref)
}

// readLora reads an adapter's settings. It closes the adapter if that fails.
func readLora(c *hf.Checkpoint, ref hf.Ref) (*adapter, error) {
	a, err := arch.ReadAdapter(c)
	if err != nil {
		c.Close()
		return nil, err
	}
	return &adapter{a, ref}, nil
}

func (a *adapter) close() error {
	if a == nil {
		return nil
	}
	return a.Checkpoint.Close()
}

// onHub tells whether there is an adapter that has to be fetched.
func (a *adapter) onHub() bool { return a != nil && a.ref.Kind == hf.Hub }

// fetchLora is the adapter with its weights on this machine, at the commit that it was opened at. It is opened anew, so that
// the one before can be closed.
func (s *Service) fetchLora(ctx context.Context, a *adapter, watch func(hf.Progress)) (*adapter, error) {
	if a == nil {
		return nil, nil
	}
	dir := a.ref.Path
	if a.onHub() {
		ref := a.ref
		ref.Revision = a.Checkpoint.Commit
		var err error
		if dir, _, err = s.hub.Download(ctx, ref, watch); err != nil {
			return nil, err
		}
	}
	c, err := hf.OpenAdapterDir(dir)
	if err != nil {
		return nil, damaged(dir, err)
	}
	c.Name = a.Checkpoint.Name
	return readLora(c, a.ref)
}
