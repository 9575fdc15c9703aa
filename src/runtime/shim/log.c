/*
 * The container's log, as dockerd's json-file driver writes it: a JSON object per line of output, lines longer than
 * 16 KiB in several that share their time, invalid UTF-8 as U+FFFD. When the file has reached its size it becomes
 * `.1`, what was `.1` becomes `.2`, and so on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

#define LINE_LIMIT 16384
#define BUFFER_SIZE 65536
/* A byte of output takes six at most (\u001f); the rest of a record is short but for the attributes. */
#define RECORD_LIMIT(length) (6 * (length) + 160 + log.attrs_length)

static struct {
  int fd;
  const char *path;
  uint64_t size, limit, files;
  bool compress;
  pid_t compressor;
  const char *attrs;
  size_t attrs_length;
  uint8_t *buffer;
  size_t used;
} log = {.fd = -1};

static bool open_file(void) {
  log.fd = open(log.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
  struct stat stat;
  if (log.fd < 0 || fstat(log.fd, &stat) != 0) return false;
  log.size = (uint64_t)stat.st_size;
  return true;
}

bool log_open(const struct request *request) {
  if (!request->log_path) return true;
  log.path = request->log_path;
  log.limit = request->log_size;
  log.files = request->log_files > 0 ? request->log_files : 1;
  log.compress = request->log_compress;
  log.attrs = request->log_attrs ? request->log_attrs : "";
  log.attrs_length = strlen(log.attrs);
  return open_file();
}

/* ---- rotation ---- */

static void compress_first(void) {
  char *path = format("%s.1", log.path);
  pid_t pid = fork();
  if (pid == 0) {
    child_reset();
    execlp("gzip", "gzip", "-f", "-q", path, (char *)NULL);
    _exit(127);
  }
  log.compressor = pid > 0 ? pid : 0;
  free(path);
}

bool log_reaped(pid_t pid) {
  if (pid != log.compressor || pid == 0) return false;
  log.compressor = 0;
  return true;
}

static void rotate(void) {
  /* A file that is being compressed must not be renamed meanwhile: the log grows on until that is done. */
  if (log.compressor != 0) return;
  if (log.files == 1) {
    if (ftruncate(log.fd, 0) == 0) log.size = 0;
    return;
  }
  for (uint64_t number = log.files - 1; number >= 1; number--) {
    for (int packed = 0; packed < 2; packed++) {
      const char *suffix = packed ? ".gz" : "";
      char *to = format("%s.%llu%s", log.path, (unsigned long long)number, suffix);
      char *from = number == 1 ? (packed ? NULL : copy(log.path))
                               : format("%s.%llu%s", log.path, (unsigned long long)number - 1, suffix);
      if (from && rename(from, to) != 0 && errno == ENOENT) (void)unlink(to);
      if (!from) (void)unlink(to);
      free(from);
      free(to);
    }
  }
  int old = log.fd;
  if (!open_file()) {
    if (log.fd >= 0) close(log.fd);
    log.fd = old; /* goes on in what is `.1` now, rather than losing lines */
    return;
  }
  close(old);
  if (log.compress) compress_first();
}

/* ---- records ---- */

/* Writes out what has been gathered. What does not fit on the disk is lost, but never leaves half a record. */
void log_commit(void) {
  if (log.used == 0) return;
  if (write_whole(log.fd, log.buffer, log.used)) log.size += log.used;
  else (void)!ftruncate(log.fd, (off_t)log.size);
  log.used = 0;
  free(log.buffer);
  log.buffer = NULL;
}

static void make_room(size_t length) {
  /* As Docker: a record goes to a new file when the present one has reached its size. */
  if (log.limit > 0 && log.size + log.used >= log.limit) {
    log_commit();
    rotate();
  }
  if (log.buffer && log.used + length > BUFFER_SIZE) log_commit();
  if (!log.buffer) log.buffer = need(malloc(length > BUFFER_SIZE ? length : BUFFER_SIZE));
}

static uint8_t *put(uint8_t *at, const char *text, size_t length) {
  memcpy(at, text, length);
  return at + length;
}

/* Length of the UTF-8 sequence at `at`; 0 when it is none; -1 when it is cut short by the end. */
static int sequence(const uint8_t *at, size_t left) {
  uint8_t first = at[0];
  if (first < 0xc2 || first > 0xf4) return 0;
  int length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  for (int i = 1; i < length; i++) {
    if ((size_t)i >= left) return -1;
    uint8_t low = 0x80, high = 0xbf;
    if (i == 1 && first == 0xe0) low = 0xa0;
    if (i == 1 && first == 0xed) high = 0x9f;
    if (i == 1 && first == 0xf0) low = 0x90;
    if (i == 1 && first == 0xf4) high = 0x8f;
    if (at[i] < low || at[i] > high) return 0;
  }
  return length;
}

static uint8_t *put_escaped(uint8_t *to, const uint8_t *data, size_t length) {
  static const char hex[] = "0123456789abcdef";
  const uint8_t *end = data + length;
  while (data < end) {
    uint8_t byte = *data;
    if (byte >= 0x80) {
      int count = sequence(data, (size_t)(end - data));
      if (count <= 0) {
        to = put(to, "\\ufffd", 6);
        data++;
        continue;
      }
      to = put(to, (const char *)data, (size_t)count);
      data += count;
      continue;
    }
    data++;
    if (byte == '"' || byte == '\\') *to++ = '\\', *to++ = byte;
    else if (byte == '\n') to = put(to, "\\n", 2);
    else if (byte == '\r') to = put(to, "\\r", 2);
    else if (byte == '\t') to = put(to, "\\t", 2);
    else if (byte < 0x20 || byte == '<' || byte == '>' || byte == '&') {
      to = put(to, "\\u00", 4);
      *to++ = (uint8_t)hex[byte >> 4];
      *to++ = (uint8_t)hex[byte & 15];
    } else *to++ = byte;
  }
  return to;
}

/* RFC 3339 with nanoseconds, without zeros at the end, as Go writes it. */
static void time_text(char *text) {
  static time_t known = -1;
  static char seconds[24];
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec != known) {
    struct tm parts;
    gmtime_r(&now.tv_sec, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    known = now.tv_sec;
  }
  size_t at = strlen(seconds);
  memcpy(text, seconds, at);
  if (now.tv_nsec > 0) {
    text[at++] = '.';
    for (long digit = 100000000, rest = now.tv_nsec; rest > 0; digit /= 10) {
      text[at++] = (char)('0' + rest / digit);
      rest %= digit;
    }
  }
  text[at++] = 'Z';
  text[at] = 0;
}

/* One record, with a newline in its text or, for a part of a line, without. */
static void record(struct line *line, int stream, const uint8_t *data, size_t length) {
  bool whole = data[length - 1] == '\n';
  if (!line->partial) time_text(line->time);
  line->partial = !whole;
  make_room(RECORD_LIMIT(length));
  uint8_t *at = log.buffer + log.used;
  at = put(at, "{\"log\":\"", 8);
  at = put_escaped(at, data, length);
  at = put(at, "\",\"stream\":\"", 12);
  at = put(at, stream == 1 ? "stdout\"" : "stderr\"", 7);
  if (log.attrs_length > 0) {
    at = put(at, ",\"attrs\":", 9);
    at = put(at, log.attrs, log.attrs_length);
  }
  at = put(at, ",\"time\":\"", 9);
  at = put(at, line->time, strlen(line->time));
  at = put(at, "\"}\n", 3);
  log.used = (size_t)(at - log.buffer);
}

/* How much of a full part to write: a character that is cut by its end goes to the next one. */
static size_t part_length(const uint8_t *data, size_t length) {
  for (size_t back = 1; back <= 3 && back < length; back++) {
    uint8_t byte = data[length - back];
    if ((byte & 0xc0) == 0x80) continue;
    return byte >= 0xc0 && sequence(data + length - back, back) < 0 ? length - back : length;
  }
  return length;
}

void log_write(struct line *line, int stream, const uint8_t *data, size_t length) {
  if (log.fd < 0) return;
  while (length > 0) {
    size_t room = LINE_LIMIT - line->length;
    size_t take = length < room ? length : room;
    const uint8_t *newline = memchr(data, '\n', take);
    if (newline) take = (size_t)(newline - data) + 1;
    bool full = !newline && take == room;
    if (line->length == 0 && newline) {
      record(line, stream, data, take);
    } else {
      if (!line->data) line->data = need(malloc(LINE_LIMIT));
      memcpy(line->data + line->length, data, take);
      line->length += take;
      if (newline || full) {
        size_t part = newline ? line->length : part_length(line->data, line->length);
        record(line, stream, line->data, part);
        line->length -= part;
        memmove(line->data, line->data + part, line->length);
      }
    }
    data += take;
    length -= take;
  }
  if (line->length > 0) return;
  free(line->data);
  line->data = NULL;
}

void log_flush(struct line *line, int stream) {
  if (log.fd >= 0 && line->length > 0) record(line, stream, line->data, line->length);
  line->length = 0;
  free(line->data);
  line->data = NULL;
}

void log_close(void) {
  if (log.fd < 0) return;
  log_commit();
  close(log.fd);
  log.fd = -1;
}
