package catalog

// Ready says whether an instance can be called now; if not, the error is of ErrUnavailable and says why.
func (s *Set) Ready(h Handle) error {
	if h.inst == nil {
		return ErrUnavailable
	}
	_, err := h.inst.at()
	return err
}
