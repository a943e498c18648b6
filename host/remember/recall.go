package remember

import (
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// Recalled is what is remembered of a request.
type Recalled struct {
	Hit      bool
	Off      bool              // such a request is never remembered
	Decision pipeline.Decision // of a hit
	Left     time.Duration     // of a hit: for so long it is answered yet
	Why      string            // of no hit
}

// Recall says how a request would be answered from memory now. Nothing is counted, decided, or kept.
func (s *Section) Recall(p *pipeline.Plan, r sdk.Request) Recalled {
	epoch := s.m.epochs.Epoch(p.Realm())
	switch {
	case epoch == 0:
		return Recalled{Off: true, Why: "nothing is remembered while the directory cannot tell whether the realm has changed"}
	case !keyed(r):
		return Recalled{Off: true, Why: "a request with a credential of such a size, or with none, is not remembered"}
	}
	now := s.m.now()
	e := s.m.look(s.m.keys.of(s.number, p.Realm(), r), epoch, now)
	if e == nil {
		return Recalled{Why: "there is no answer to this request that still counts"}
	}
	return Recalled{Hit: true, Decision: own(e.decision), Left: now.until(e.end)}
}
