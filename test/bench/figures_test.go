package bench

import (
	"os"
	"testing"
	"time"
)

// some makes a sample of answers that all take as long, one after the other.
func some(answers int, each, cpu time.Duration) sample {
	s := sample{took: time.Duration(answers) * each, cpu: time.Duration(answers) * cpu, plugin: time.Duration(answers) * cpu / 4}
	for range answers {
		s.lat = append(s.lat, each)
	}
	return s
}

func TestRatios(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	slow := []sample{some(100, 4*ms, 2*ms), some(100, 8*ms, 2*ms), some(100, 6*ms, 2*ms)}
	round := []sample{some(400, ms, ms), some(2, 9*ms, ms), some(400, ms, ms)} // somebody held up the one in the middle
	rate, cpu, tail := (&cell{seen: slow, bare: &[][]sample{round, round, round}}).ratios()
	if want := 1.0 / 6; rate < want-1e-9 || rate > want+1e-9 { // the round in the middle
		t.Errorf("rate %v, want %v", rate, want)
	}
	if cpu != 2 {
		t.Errorf("CPU %v, want 2", cpu)
	}
	if tail != 8 {
		t.Errorf("p99 %v, want 8", tail)
	}
	if got := share(slow); got != 25 {
		t.Errorf("of the plugin %v, want 25", got)
	}
}

func TestAsksAreFreshNowAndThen(t *testing.T) {
	t.Parallel()
	a := &asks{again: []ask{{who: "a"}, {who: "b"}}, fresh: []ask{{who: "1"}, {who: "2"}}, every: 3}
	var got string
	asked := func() {
		for next, ok := a.take(); ok; next, ok = a.take() {
			got += next.who
		}
	}
	asked()
	asked()
	if got != "ba1ab2ba" {
		t.Errorf("asked %s, and on where nothing fresh is left", got)
	}
	a.fresh = append(a.fresh, ask{who: "3"})
	if asked(); got != "ba1ab2ba3ab" {
		t.Errorf("asked %s when there was more", got)
	}
	if a.begun != 3 {
		t.Errorf("%d fresh ones were asked for, want 3", a.begun)
	}
}

func TestCPUTimeIsTheProcesses(t *testing.T) {
	t.Parallel()
	needProc(t)
	before, err := cpuTime([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); ; {
		now, err := cpuTime([]int{os.Getpid()})
		if err != nil {
			t.Fatal(err)
		}
		if now > before {
			break
		}
		if time.Since(begun) > slow {
			t.Fatal("this process computes, and its time stands still")
		}
	}
	if _, err := cpuTime([]int{1 << 30}); err == nil {
		t.Error("the time of a process that is not there is given")
	}
}
