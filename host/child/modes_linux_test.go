package child

import "io"

var modes = map[string]func(out, err io.Writer){
	"good":     func(io.Writer, io.Writer) {},
	"talks":    talk,
	"files":    openFiles,
	"flood":    flood,
	"forks":    fork,
	"impostor": pose,
	"child":    escape(true, true),
	"detached": escape(false, true),
	"escaped":  escape(false, false),
}
