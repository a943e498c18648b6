package rpc

import "github.com/realmgate/realmgate/sdk"

// Manifest is what a plugin says it offers.
type Manifest struct {
	Name, Version, Build string
	Offers               []Offer
	Session              SessionMode
}

// Offer is one (kind, type) of a manifest.
type Offer struct {
	Kind           sdk.Kind
	Type           string
	Abilities      []sdk.Ability
	SettingsSchema []byte   // JSON Schema (2020-12); nil if the plugin gives none
	Schemes        []string // authentication schemes that a verifier takes, lower case; empty: bearer
	NeedsHTTP      bool     // the stage wants Request.HTTP
}

// SessionMode says what a plugin serves on the session stream.
type SessionMode uint8

// The session modes, numbered as in the contract's enum SessionMode.
const (
	SessionNone      SessionMode = iota // no stream: the plugin cannot ask the host for anything
	SessionHostCalls                    // host calls only; stages arrive on the unary services
	SessionLegs                         // host calls, and legs on the stream
)
