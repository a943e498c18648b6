// Command realmgate is the authentication daemon and its operator's commands. It owns flags, signals, exit codes and the
// wiring of the rooms; everything else is in them.
package main
