package tui

import (
	"context"
	"fmt"
	"strings"

	"github.com/nexus-quant/nexus-quant/quant/jobs"
)

// askAdvanced asks for the options that few need. Each answer is judged at once, as on the screen.
func (a *asker) askAdvanced(ctx context.Context) error {
	wanted, err := a.askYes(ctx, "Advanced options, such as an importance matrix?")
	if err != nil || !wanted {
		return err
	}
	wrong := func() string {
		a.size(ctx)
		if text := a.w.Advanced.wrong(); text != "" {
			return text
		}
		if a.w.SizeErr != nil {
			return a.w.SizeErr.Error()
		}
		return ""
	}
	if err := a.askLine(ctx, "File of importance weights (empty for none):", &a.w.Imatrix, wrong); err != nil {
		return err
	}
	a.say("Types of tensors: %s.", strings.Join(jobs.TensorTypes(), ", "))
	a.say("Single tensors: REGEX=TYPE, for example attn_v=q8_0; the first match counts.")
	if err := a.askRules(ctx, wrong); err != nil {
		return err
	}
	o := &a.w.Advanced
	for _, row := range o.options()[len(o.Rules):] {
		switch {
		case row.line != nil:
			err = a.askLine(ctx, fmt.Sprintf("%s (%s):", row.name, row.about), row.line, wrong)
		case row.upset:
			*row.box, err = a.askYes(ctx, fmt.Sprintf("%s: leave out that %s?", row.name, row.about))
		default:
			*row.box, err = a.askYes(ctx, fmt.Sprintf("%s: %s?", row.name, row.about))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// askRules asks for types of single tensors until an empty line.
func (a *asker) askRules(ctx context.Context, wrong func() string) error {
	o := &a.w.Advanced
	defer o.hide()
	for o.show(); ; o.tidy() {
		last := &o.Rules[len(o.Rules)-1]
		if err := a.askLine(ctx, "REGEX=TYPE (empty for no more):", last, wrong); err != nil {
			return err
		}
		if last.Empty() {
			return nil
		}
	}
}
