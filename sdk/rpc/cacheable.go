package rpc

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/realmgate/realmgate/sdk"
)

// cacheable is what a host knows of the stages of a process whose answers may be remembered without a hint.
type cacheable struct {
	all       atomic.Bool // all that the process offers are such
	offers    atomic.Pointer[[]Offer]
	instances sync.Map // of such stages, by id
}

// describe learns what the manifest says.
func (c *cacheable) describe(offers []Offer) {
	c.offers.Store(&offers)
	c.all.Store(!slices.ContainsFunc(offers, func(o Offer) bool {
		return o.Kind != sdk.KindSecretResolver && o.Kind != sdk.KindCredentialVendor && !o.Cacheable
	}))
}

// configured learns what an instance is of.
func (c *cacheable) configured(id uint64, k sdk.Kind, typ string) {
	offers := c.offers.Load()
	if offers != nil && slices.ContainsFunc(*offers, func(o Offer) bool { return o.Kind == k && o.Type == typ && o.Cacheable }) {
		c.instances.Store(id, nil)
	}
}

func (c *cacheable) released(id uint64) { c.instances.Delete(id) }

// bound sees to it that nothing is remembered of a decision in which a step spoke that is not cacheable and gave no hint. The
// steps that did give one are bits of hinted.
func (c *cacheable) bound(spoke []Step, hinted uint32, st *sdk.State) {
	if c.all.Load() {
		return
	}
	for n, step := range spoke {
		if hinted&(1<<n) != 0 {
			continue
		}
		if _, ok := c.instances.Load(step.Instance); !ok {
			st.Cache.NoStore = true
			return
		}
	}
}

// hintedStep runs the n-th step on st, and gives its bit if it said something about remembering.
func hintedStep(n int, st *sdk.State, run func() error) (hinted uint32, err error) {
	before := st.Cache
	st.Cache = sdk.CacheHint{}
	err = run()
	if st.Cache != (sdk.CacheHint{}) {
		hinted = 1 << n
	}
	st.Cache = before.Least(st.Cache)
	return hinted, err
}
