"""Who may do what: API tokens, and the browsers that signed in.

Of a token and of a browser's cookie only the SHA-256 is kept. `sign_ins` also holds a sign-in that has just begun at a
provider, under the digest of its state.
"""

from alembic import op

revision = "0015"
down_revision = "0014"

POSTGRES = """
CREATE TABLE tokens (
    id text PRIMARY KEY,
    name text NOT NULL,
    digest bytea NOT NULL UNIQUE,
    prefix text NOT NULL,
    scopes jsonb NOT NULL,
    match text NOT NULL,
    ingest_scope text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE TABLE sign_ins (
    digest bytea PRIMARY KEY,
    actor text NOT NULL,
    key text NOT NULL,
    scopes jsonb NOT NULL,
    match text NOT NULL,
    method text NOT NULL,
    detail jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX sign_ins_key ON sign_ins (key)
"""

SQLITE = """
CREATE TABLE tokens (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    scopes TEXT NOT NULL,
    match TEXT NOT NULL,
    ingest_scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER
) WITHOUT ROWID;
CREATE TABLE sign_ins (
    digest BLOB PRIMARY KEY NOT NULL,
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    scopes TEXT NOT NULL,
    match TEXT NOT NULL,
    method TEXT NOT NULL,
    detail TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sign_ins_key ON sign_ins (key)
"""


def upgrade() -> None:
    """Add both tables. They are empty: nothing that was open is closed."""
    script = POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE
    for statement in script.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    """Remove them. Tokens and sign-ins are lost."""
    op.execute("DROP TABLE sign_ins")
    op.execute("DROP TABLE tokens")
