package config

import (
	"fmt"
	"testing"
)

// Children are found by their names, few or many of them, in the order in which they came.
func TestChildren(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, manyChildren, manyChildren + 1, 1000} {
		at := &trace{}
		for i := range n {
			at.set(fmt.Sprint(i), &trace{line: i})
			at.set(fmt.Sprint(i), &trace{line: i + 1})
		}
		other := &trace{children: at.children.clone()}
		other.set("new", &trace{})
		other.set("0", nil)
		if at.child("new") != nil || n > 0 && at.child("0") == nil || other.child("0") != nil || other.child("new") == nil {
			t.Fatalf("%d: a clone is not one by itself", n)
		}
		for i := 1; i < n; i++ {
			if at.child(fmt.Sprint(i)).line != i+1 || other.child(fmt.Sprint(i)).line != i+1 {
				t.Fatalf("%d: child %d", n, i)
			}
		}
		i := 0
		for name := range at.children.all() {
			if name != fmt.Sprint(i) {
				t.Fatalf("%d: %s is in place %d", n, name, i)
			}
			i++
		}
		if i != n {
			t.Errorf("%d: there are %d", n, i)
		}
	}
}
