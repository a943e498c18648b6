package config

import (
	"iter"
	"slices"
)

// children are the traces of what is inside something, by name. Mostly they are few, and there are very many of them: a list is
// a fraction of a map. Nil children are none.
type children struct {
	list  []child
	index map[string]int // into the list, where that is long
}

type child struct {
	name string
	at   *trace
}

// manyChildren is from where on a list is long.
const manyChildren = 16

func (c *children) find(name string) *trace {
	if c == nil {
		return nil
	}
	if i := c.place(name); i >= 0 {
		return c.list[i].at
	}
	return nil
}

// place gives where a name is in the list; -1 if it is not.
func (c *children) place(name string) int {
	if c.index == nil {
		return slices.IndexFunc(c.list, func(x child) bool { return x.name == name })
	}
	if i, ok := c.index[name]; ok {
		return i
	}
	return -1
}

// put adds a child, or replaces it.
func (c *children) put(name string, at *trace) {
	if i := c.place(name); i >= 0 {
		c.list[i].at = at
		return
	}
	c.list = append(c.list, child{name, at})
	if c.index != nil {
		c.index[name] = len(c.list) - 1
	} else if len(c.list) > manyChildren {
		c.reindex()
	}
}

func (c *children) remove(name string) {
	if i := c.place(name); i >= 0 {
		c.list = slices.Delete(c.list, i, i+1)
		c.reindex()
	}
}

func (c *children) reindex() {
	c.index = nil
	if len(c.list) <= manyChildren {
		return
	}
	c.index = make(map[string]int, len(c.list))
	for i, x := range c.list {
		c.index[x.name] = i
	}
}

// clone gives children that can be changed by themselves.
func (c *children) clone() *children {
	if c == nil {
		return nil
	}
	out := &children{list: slices.Clone(c.list)}
	out.reindex()
	return out
}

func (c *children) all() iter.Seq2[string, *trace] {
	return func(yield func(string, *trace) bool) {
		if c == nil {
			return
		}
		for _, x := range c.list {
			if !yield(x.name, x.at) {
				return
			}
		}
	}
}
