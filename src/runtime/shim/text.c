/* Strings, numbers and small files. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim.h"

struct strings strings_of(uint8_t *payload, size_t length) {
  if (length == 0 || payload[length - 1] != 0) return (struct strings){NULL, NULL};
  return (struct strings){(char *)payload, (char *)payload + length};
}

char *strings_next(struct strings *strings) {
  if (strings->at == strings->end) return NULL;
  char *text = strings->at;
  strings->at += strlen(text) + 1;
  return text;
}

void *need(void *memory) {
  if (memory) return memory;
  abort();
}

char *copy(const char *text) {
  return need(strdup(text));
}

char *format(const char *form, ...) {
  va_list values;
  char *text = NULL;
  va_start(values, form);
  int length = vasprintf(&text, form, values);
  va_end(values);
  return need(length < 0 ? NULL : text);
}

bool parse_number(const char *text, uint64_t *value) {
  if (*text < '0' || *text > '9') return false;
  char *end;
  errno = 0;
  *value = strtoull(text, &end, 10);
  return errno == 0 && *end == 0;
}

bool write_whole(int fd, const void *data, size_t length) {
  const uint8_t *at = data;
  while (length > 0) {
    ssize_t count = write(fd, at, length);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    at += count;
    length -= (size_t)count;
  }
  return true;
}

bool read_file(int directory, const char *path, char *text, size_t size) {
  int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  size_t length = 0;
  ssize_t count;
  while (length < size - 1 && (count = read(fd, text + length, size - 1 - length)) != 0) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    length += (size_t)count;
  }
  text[length] = 0;
  close(fd);
  return length > 0;
}

bool write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  bool done = write_whole(fd, text, strlen(text));
  return close(fd) == 0 && done;
}

uint64_t process_start(pid_t pid) {
  char path[32], stat[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  if (!read_file(AT_FDCWD, path, stat, sizeof stat)) return 0;
  char *at = strrchr(stat, ')');
  /* The command may hold anything: fields count from the last parenthesis, after which comes field 3. */
  for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
  return at ? strtoull(at + 1, NULL, 10) : 0;
}

void put_u32(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 24);
  at[1] = (uint8_t)(value >> 16);
  at[2] = (uint8_t)(value >> 8);
  at[3] = (uint8_t)value;
}

uint32_t get_u32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
