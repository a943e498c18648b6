// Package postgres owns the proof that the example's authenticator holds before a real PostgreSQL server, in a real daemon: a
// no is the database's own, and whatever else befalls it is no denial.
package postgres
