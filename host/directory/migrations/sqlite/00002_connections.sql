-- +goose Up
ALTER TABLE realms ADD COLUMN last_connection INTEGER NOT NULL DEFAULT 0; -- the newest version of a connection that was given out in the realm

CREATE TABLE connections (
    realm               TEXT    NOT NULL REFERENCES realms (name),
    name                TEXT    NOT NULL,
    type                TEXT    NOT NULL,
    uri                 TEXT    NOT NULL,
    remote_name         TEXT    NOT NULL, -- remote catalog name or warehouse, by the type
    authentication_type TEXT    NOT NULL,
    authentication      TEXT    NOT NULL, -- JSON object; references in the place of secrets
    identity_type       TEXT    NOT NULL, -- empty: no service identity
    identity_arn        TEXT    NOT NULL,
    identity_ref        TEXT    NOT NULL,
    sign_hosts          TEXT    NOT NULL, -- JSON array
    properties          TEXT    NOT NULL, -- JSON object of strings
    created             INTEGER NOT NULL,
    updated             INTEGER NOT NULL,
    version             INTEGER NOT NULL,
    PRIMARY KEY (realm, name)
) STRICT;

CREATE TABLE access_keys (
    realm     TEXT    NOT NULL REFERENCES realms (name),
    id        TEXT    NOT NULL,
    principal INTEGER NOT NULL REFERENCES principals (pk) ON DELETE CASCADE,
    secret    TEXT    NOT NULL, -- reference
    created   INTEGER NOT NULL,
    PRIMARY KEY (realm, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX access_keys_by_principal ON access_keys (principal);

-- References under which we write secrets: planned before the secret is written, kept with its owner, doomed until it is deleted.
CREATE TABLE written_secrets (
    realm     TEXT    NOT NULL REFERENCES realms (name),
    reference TEXT    NOT NULL,
    owner     TEXT    NOT NULL,
    state     TEXT    NOT NULL CHECK (state IN ('planned', 'kept', 'doomed')),
    since     INTEGER NOT NULL,
    PRIMARY KEY (realm, reference)
) STRICT, WITHOUT ROWID;

CREATE INDEX written_secrets_by_owner ON written_secrets (realm, owner);
