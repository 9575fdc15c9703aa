/**
 * The schema, as steps that are never edited once released: `user_version` counts those that were applied.
 * Records are JSON documents; what is searched or must be unique has a column of its own.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  INSERT INTO meta VALUES ('secret', lower(hex(randomblob(16))));

  -- record: what create decided, fixed; state: ContainerState; both JSON
  CREATE TABLE containers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    image_id TEXT NOT NULL,
    project TEXT,
    record TEXT NOT NULL,
    state TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX containers_project ON containers (project);
  CREATE INDEX containers_image ON containers (image_id);

  -- host ports held by running containers
  CREATE TABLE ports (
    container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    protocol TEXT NOT NULL, host_ip TEXT NOT NULL, host_port INTEGER NOT NULL, container_port INTEGER NOT NULL,
    PRIMARY KEY (protocol, host_port, host_ip)
  ) WITHOUT ROWID;

  CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE endpoints (
    network_id TEXT NOT NULL REFERENCES networks (id),
    container_id TEXT NOT NULL,
    ipv4 TEXT, ipv6 TEXT, mac TEXT,
    record TEXT NOT NULL,
    PRIMARY KEY (network_id, container_id),
    UNIQUE (network_id, ipv4), UNIQUE (network_id, ipv6)
  ) WITHOUT ROWID;
  CREATE INDEX endpoints_container ON endpoints (container_id);

  CREATE TABLE volumes (name TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
  -- which containers mount which volume, from create to remove
  CREATE TABLE volume_users (
    volume TEXT NOT NULL, container_id TEXT NOT NULL, PRIMARY KEY (volume, container_id)
  ) WITHOUT ROWID;

  -- config: bytes of the config as they hash to id
  CREATE TABLE images (id TEXT PRIMARY KEY, config BLOB NOT NULL, record TEXT NOT NULL, created_at TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE image_refs (ref TEXT PRIMARY KEY, image_id TEXT NOT NULL REFERENCES images (id), tagged_at TEXT NOT NULL) WITHOUT ROWID;
  CREATE INDEX image_refs_image ON image_refs (image_id);

  -- unpacked layers; key: diffID where it stands alone, chainID where it needs its parents
  CREATE TABLE layers (
    key TEXT PRIMARY KEY, diff_id TEXT NOT NULL, directory TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, record TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE image_layers (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE, position INTEGER NOT NULL, layer_key TEXT NOT NULL REFERENCES layers (key),
    PRIMARY KEY (image_id, position)
  ) WITHOUT ROWID;
  CREATE INDEX image_layers_key ON image_layers (layer_key);

  -- compressed blobs kept for push and resume; media type and the diffID they unpack to
  CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, media_type TEXT NOT NULL, diff_id TEXT, source TEXT) WITHOUT ROWID;

  -- what must not be collected while somebody works with it; a lease whose process is gone is void
  CREATE TABLE leases (
    id TEXT NOT NULL, kind TEXT NOT NULL, object TEXT NOT NULL, pid INTEGER NOT NULL, pid_start TEXT NOT NULL,
    PRIMARY KEY (id, kind, object)
  ) WITHOUT ROWID;

  CREATE TABLE build_cache (key TEXT PRIMARY KEY, record TEXT NOT NULL, layer_key TEXT, size INTEGER NOT NULL, created_at TEXT NOT NULL, used_at TEXT NOT NULL) WITHOUT ROWID;
  CREATE INDEX build_cache_layer ON build_cache (layer_key);

  CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, time_ns INTEGER NOT NULL, type TEXT NOT NULL, action TEXT NOT NULL,
    actor_id TEXT NOT NULL, attributes TEXT NOT NULL
  );
  `,
]
