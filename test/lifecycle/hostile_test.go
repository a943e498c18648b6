package lifecycle

func hostile() {}
