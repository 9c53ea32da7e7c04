CREATE TABLE agent (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    labels TEXT NOT NULL DEFAULT '{}',
    version TEXT NOT NULL DEFAULT '',
    epoch TEXT NOT NULL DEFAULT '',
    last_seq INTEGER NOT NULL DEFAULT 0,
    last_seen_ns INTEGER NOT NULL DEFAULT 0,
    last_time_ns INTEGER NOT NULL DEFAULT 0,
    series_count INTEGER NOT NULL DEFAULT 0,
    points_total INTEGER NOT NULL DEFAULT 0,
    batches_total INTEGER NOT NULL DEFAULT 0,
    duplicates_total INTEGER NOT NULL DEFAULT 0,
    gap_points_total INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE epoch (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    last_seq INTEGER NOT NULL DEFAULT 0,
    UNIQUE (agent_id, epoch)
) STRICT;
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    text TEXT NOT NULL,
    unit TEXT NOT NULL,
    kind TEXT NOT NULL,
    UNIQUE (agent_id, name, labels)
) STRICT;
CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL,
    epoch_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    ids BLOB NOT NULL,
    points BLOB NOT NULL,
    flags BLOB,
    weights BLOB
) STRICT;
CREATE INDEX batch_by_time ON batch (agent_id, time_ns);
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL,
    epoch_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    component TEXT NOT NULL,
    level TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_time ON event (time_ns);
INSERT INTO agent VALUES (1, 'web1', '{}', '0.1', 'e1', 3, 1700006400000000000, 1700006400000000000, 2, 4, 2, 0, 0);
INSERT INTO epoch VALUES (1, 1, 'e1', 3);
INSERT INTO series VALUES (1, 1, 'load_1m', '{}', 'load_1m', '', 'gauge');
INSERT INTO series VALUES (2, 1, 'free_bytes', '{}', 'free_bytes', 'bytes', 'gauge');
INSERT INTO batch VALUES (1, 1, 1, 1, 1700006401000000000, 1700006401000000000, X'0100000002000000', X'000000000000e03f000000000000e03f', NULL, NULL);
INSERT INTO batch VALUES (2, 1, 1, 2, 1700006402000000000, 1700006402000000000, X'0100000002000000', X'000000000000e83f000000000000e83f', NULL, NULL);
INSERT INTO event VALUES (1, 1, 1, 3, 1700006400000000000, 1700006400000000000, 'breaker.opened', 'sink:hub', 'warning', '{}');
PRAGMA user_version = 1;
