CREATE TABLE notes (id bigserial PRIMARY KEY, text text NOT NULL);
INSERT INTO notes (text) VALUES ('no daemon was started'), ('this row comes from PostgreSQL'), ('the counter comes from Redis');
