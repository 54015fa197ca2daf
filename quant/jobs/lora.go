package jobs

import (
	"context"
	"fmt"

	"github.com/nexus-quant/nexus-quant/hf"
	"github.com/nexus-quant/nexus-quant/quant/arch"
)

// adapter is the LoRA adapter that a request merges into its model.
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
		return ref, &UsageError{Err: fmt.Errorf("merge-lora: %s is a GGUF file, want an adapter as peft saves it", r.MergeLora), hint: "name a Hub id or a folder with adapter_model.safetensors and adapter_config.json"}
	}
	ref.Adapter = true
	return ref, nil
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
