package jobs

import (
	"context"

	"github.com/nexus-quant/nexus-quant/registry"
)

// The ways in which a queued job can be moved.
const (
	MoveFirst   = "first"
	MoveEarlier = "earlier"
	MoveLater   = "later"
	MoveLast    = "last"
)

// moves say where a job goes that is at a place of a queue.
var moves = map[string]func(at, last int) int{
	MoveFirst:   func(_, _ int) int { return 0 },
	MoveEarlier: func(at, _ int) int { return at - 1 },
	MoveLater:   func(at, _ int) int { return at + 1 },
	MoveLast:    func(_, last int) int { return last },
}

// Queue lists the queued jobs in the order in which they will start.
func (s *Service) Queue() ([]Job, error) {
	store, err := s.registry()
	if err != nil {
		return nil, err
	}
	records, err := store.Queue()
	if err != nil {
		return nil, err
	}
	list := []Job{}
	for _, r := range records {
		list = append(list, jobOf(r))
	}
	return list, nil
}

// Move gives a queued job another place: first, earlier, later or last. Priorities follow.
func (s *Service) Move(_ context.Context, id, to string) (Job, error) {
	move, ok := moves[to]
	if !ok {
		return Job{}, usage("move %q: want first, earlier, later or last", to)
	}
	return s.one(func(store *registry.Store, id string) (registry.Job, error) { return store.Move(id, move) }, id)
}
