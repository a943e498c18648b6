package roles

import (
	"runtime"
	"sync"
	"weak"
)

// Expressions are the regular expressions that mappers have. Those that have the same share it: of thousands of tenants most
// inherit theirs, and one compiled takes kilobytes. What no mapper has any more is forgotten. The zero Expressions is ready; it
// is safe for concurrent use.
type Expressions struct {
	mu  sync.Mutex
	all map[string]weak.Pointer[expression]
}

type expression struct{ engine }

func (e *Expressions) compile(text string) (engine, error) {
	if x := e.find(text); x != nil {
		return x, nil
	}
	compiled, err := compile(text)
	if err != nil {
		return nil, err
	}
	x := &expression{compiled}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all == nil {
		e.all = map[string]weak.Pointer[expression]{}
	}
	e.all[text] = weak.Make(x)
	runtime.AddCleanup(x, e.forget, text)
	return x, nil
}

// find gives an expression that some mapper has; nil if none does.
func (e *Expressions) find(text string) *expression {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all[text].Value()
}

// forget drops an expression that is gone, unless another one has its text by now.
func (e *Expressions) forget(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all[text].Value() == nil {
		delete(e.all, text)
	}
}
