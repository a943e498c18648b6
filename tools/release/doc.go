// Command release keeps the versions of the tree's modules in order. What is released, and as what, is in versions.yaml:
//
//	release check [ROOT]               says what in go.mod and go.work files contradicts versions.yaml
//	release set SET|all VERSION [ROOT] writes a version into versions.yaml and into what requires the set's modules
//	release tags SET|all [ROOT]        prints the git tags of a release, those first that others require
package main
