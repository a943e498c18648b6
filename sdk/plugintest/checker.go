package plugintest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/sdk/rpc"
)

// checkerTime is how long the host waits for a part to say whether it could do its work.
const checkerTime = 10 * time.Second

// checkChecker: one that says whether it could do its work says so in time. What it needs may well be missing where the
// suite runs: an error is an answer, a panic is none.
func checkChecker(ctx context.Context, s *suite, c Case) error {
	i, err := s.instance(ctx, c)
	if err != nil {
		return err
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, checkerTime)
	defer cancel()
	err = s.process.Check(limited, c.Setup.Realm, c.Kind, i.id)
	var f *rpc.Failure
	switch {
	case errors.As(err, &f) && f.Code == rpc.CodePanic:
		err = fmt.Errorf("whether it can work: %w", err)
	case limited.Err() != nil || time.Since(began) > checkerTime-100*time.Millisecond: // the plugin's clock may be the first to say so
		err = fmt.Errorf("it does not say within %v whether it can work", checkerTime)
	default:
		err = nil
	}
	return errors.Join(err, s.release(ctx, i))
}
