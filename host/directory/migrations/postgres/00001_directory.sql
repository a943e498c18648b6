-- Times are microseconds since 1970, UTC. Names are compared and sorted byte by byte, as in SQLite.

-- +goose Up
CREATE TABLE realms (
    name            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    epoch           BIGINT NOT NULL,
    last_secret     BIGINT NOT NULL, -- the newest secret version that was given out in the realm
    bootstrapped_at BIGINT
);

CREATE TABLE principals (
    pk         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    realm      TEXT COLLATE "C" NOT NULL REFERENCES realms (name),
    id         TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    client_id  TEXT COLLATE "C" NOT NULL,
    enabled    BOOLEAN NOT NULL,
    attributes TEXT NOT NULL, -- JSON object of strings
    secrets    TEXT NOT NULL, -- JSON array of {version, salt, hash}, oldest first, at most two
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    UNIQUE (realm, id),
    UNIQUE (realm, name),
    UNIQUE (realm, client_id)
);

CREATE TABLE roles (
    pk         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    realm      TEXT COLLATE "C" NOT NULL REFERENCES realms (name),
    name       TEXT COLLATE "C" NOT NULL,
    attributes TEXT NOT NULL,
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    UNIQUE (realm, name)
);

CREATE TABLE grants (
    principal BIGINT NOT NULL REFERENCES principals (pk) ON DELETE CASCADE,
    role      BIGINT NOT NULL REFERENCES roles (pk) ON DELETE CASCADE,
    PRIMARY KEY (principal, role)
);

CREATE INDEX grants_by_role ON grants (role);

CREATE TABLE revoked_tokens (
    realm   TEXT COLLATE "C" NOT NULL REFERENCES realms (name),
    token   BYTEA NOT NULL, -- SHA-256 over issuer and token id
    expires BIGINT NOT NULL,
    PRIMARY KEY (realm, token)
);

CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (realm, expires);
