package remember

import "time"

// moment is a point in time by two clocks. The wall clock may be set; the other one may stand still while the machine sleeps.
type moment struct {
	wall   time.Time
	steady time.Duration // since some fixed point
}

// clock gives the moment by the clocks of the machine.
func clock() func() moment {
	start := time.Now()
	return func() moment {
		now := time.Now()
		return moment{now.Round(0), now.Sub(start)}
	}
}

func (m moment) add(d time.Duration) moment { return moment{m.wall.Add(d), m.steady + d} }

// ticker is a clock of moments for the caches, which forget what is over by themselves.
type ticker func() moment

// NowNano is otter.Clock's.
func (t ticker) NowNano() int64 { return int64(t().steady) }

// Tick is otter.Clock's.
func (ticker) Tick(d time.Duration) <-chan time.Time { return time.Tick(d) }

// before says whether both clocks are before end. A wall clock that is put forward thus ends what is remembered, and one that is
// put back does not prolong it.
func (m moment) before(end moment) bool { return m.steady < end.steady && m.wall.Before(end.wall) }

// until gives the time to end by the clock that gets there first.
func (m moment) until(end moment) time.Duration {
	return min(end.steady-m.steady, end.wall.Sub(m.wall))
}
