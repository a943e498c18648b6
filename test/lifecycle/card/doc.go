// Command card is a plugin for the tests of the package above: an identity provider that believes cards.
//
// A card is <name>~<role>~<mac>; the mac is that of name and role under the key of the settings, so that a card of one tenant
// is none of another. The identity says which build of the plugin took the card, and with which tag in its settings.
//
// The environment may give the provider another type (CARD_TYPE).
package main
