-- Times are microseconds since 1970, UTC.

-- +goose Up
CREATE TABLE realms (
    name            TEXT    NOT NULL PRIMARY KEY,
    epoch           INTEGER NOT NULL,
    last_secret     INTEGER NOT NULL, -- the newest secret version that was given out in the realm
    bootstrapped_at INTEGER
) STRICT;

CREATE TABLE principals (
    pk         INTEGER NOT NULL PRIMARY KEY,
    realm      TEXT    NOT NULL REFERENCES realms (name),
    id         TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    client_id  TEXT    NOT NULL,
    enabled    INTEGER NOT NULL,
    attributes TEXT    NOT NULL, -- JSON object of strings
    secrets    TEXT    NOT NULL, -- JSON array of {version, salt, hash}, oldest first, at most two
    created    INTEGER NOT NULL,
    updated    INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    UNIQUE (realm, id),
    UNIQUE (realm, name),
    UNIQUE (realm, client_id)
) STRICT;

CREATE TABLE roles (
    pk         INTEGER NOT NULL PRIMARY KEY,
    realm      TEXT    NOT NULL REFERENCES realms (name),
    name       TEXT    NOT NULL,
    attributes TEXT    NOT NULL,
    created    INTEGER NOT NULL,
    updated    INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    UNIQUE (realm, name)
) STRICT;

CREATE TABLE grants (
    principal INTEGER NOT NULL REFERENCES principals (pk) ON DELETE CASCADE,
    role      INTEGER NOT NULL REFERENCES roles (pk) ON DELETE CASCADE,
    PRIMARY KEY (principal, role)
) STRICT, WITHOUT ROWID;

CREATE INDEX grants_by_role ON grants (role);

CREATE TABLE revoked_tokens (
    realm   TEXT    NOT NULL REFERENCES realms (name),
    token   BLOB    NOT NULL, -- SHA-256 over issuer and token id
    expires INTEGER NOT NULL,
    PRIMARY KEY (realm, token)
) STRICT, WITHOUT ROWID;

CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (realm, expires);
