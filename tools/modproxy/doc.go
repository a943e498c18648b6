// Command modproxy fills a file-based Go module proxy with the modules of the working tree, at the versions that the tree's
// own go.mod files require. With it `go mod tidy` and builds with GOWORK=off work before anything is published:
//
//	modproxy -o DIR [ROOT]
//	GOWORK=off GOPROXY=file://DIR,... go build ./...
//
// A module is zipped from the files that git knows or would add, as they are on disk.
package main
