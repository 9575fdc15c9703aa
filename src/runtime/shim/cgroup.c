/*
 * The container's cgroups: the path that runc was given, in each v1 hierarchy and the v2 one. (The kernel's own word in
 * /proc/PID/cgroup will not do: for a process that has ended already it names the root.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

#define KILL_ROUNDS 2000

static struct list directories; /* of v1 */
static char *unified;           /* of v2 */
static char *unified_mount;
static char *memory;
static struct source oom_source = {.fd = -1};
static struct timer oom_timer;
static int oom_looks;
static uint64_t oom_told;

/* Only a group that ends with the container's id is its own alone. */
static bool is_own(const char *path) {
  size_t length = strlen(path), id = strlen(shim.request.id);
  return path[0] == '/' && length > id && strcmp(path + length - id, shim.request.id) == 0 &&
         path[length - id - 1] == '/';
}

static bool has_option(const char *options, const char *name) {
  size_t length = strlen(name);
  for (const char *at = options; at; at = strchr(at, ','), at = at ? at + 1 : NULL) {
    if (strncmp(at, name, length) == 0 && (at[length] == 0 || at[length] == ',' || at[length] == '\n')) return true;
  }
  return false;
}

void cgroups_find(void) {
  const char *path = shim.request.cgroup;
  if (!path || !is_own(path)) return;
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  char line[8192];
  while (mounts && fgets(line, sizeof line, mounts)) {
    char point[PATH_MAX], type[64], options[1024];
    const char *separator = strstr(line, " - ");
    if (!separator || sscanf(separator, " - %63s %*s %1023s", type, options) != 2) continue;
    bool v1 = strcmp(type, "cgroup") == 0, v2 = strcmp(type, "cgroup2") == 0;
    if ((!v1 && !v2) || sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1) continue;
    char *directory = format("%s%s", point, path);
    if (access(directory, F_OK) != 0) {
      free(directory);
      continue;
    }
    if (v2) {
      unified = directory;
      unified_mount = copy(point);
    }
    if (v1) list_add(&directories, directory);
    if (v1 && has_option(options, "memory")) memory = directory;
  }
  if (mounts) fclose(mounts);
  if (!memory) memory = unified;
}

static bool write_into(const char *directory, const char *file, const char *text) {
  char *path = format("%s/%s", directory, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  free(path);
  if (fd < 0) return false;
  bool done = write_whole(fd, text, strlen(text));
  close(fd);
  return done;
}

/* Where an init inside has moved its processes to groups below, the container's own takes none: then where its first is. */
static bool join_first(void) {
  char path[32], text[4096];
  snprintf(path, sizeof path, "/proc/%d/cgroup", shim.container.pid);
  if (!read_file(AT_FDCWD, path, text, sizeof text)) return false;
  char *own = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
  if (!own) return false;
  own = strchr(own, '/');
  if (!own) return false;
  own[strcspn(own, "\n")] = 0;
  char *directory = format("%s%s", unified_mount, own);
  bool done = write_into(directory, "cgroup.procs", "0");
  free(directory);
  return done;
}

/*
 * By `tasks`: a thread that moves itself need not stop the world, which by `cgroup.procs` costs a grace period for each
 * hierarchy. In v2 that way is closed, but there is only one of it.
 */
bool cgroups_join(void) {
  for (size_t i = 0; i < directories.length; i++) {
    if (!write_into(directories.items[i], "tasks", "0")) return false;
  }
  return !unified || write_into(unified, "cgroup.procs", "0") || join_first();
}

/* ---- the end ---- */

/* Kills what is listed; how many there were. */
static size_t kill_listed(const char *directory) {
  char *path = format("%s/cgroup.procs", directory);
  FILE *file = fopen(path, "re");
  free(path);
  if (!file) return 0;
  size_t count = 0;
  for (int pid; fscanf(file, "%d", &pid) == 1;) {
    /* 0: outside of our pid namespace; we ourselves are never in it. */
    if (pid > 0 && pid != getpid()) (void)kill(pid, SIGKILL), count++;
  }
  fclose(file);
  return count;
}

static const char *any_directory(void) {
  return directories.length > 0 ? directories.items[0] : unified;
}

/* Whoever is left: with the host's or another container's pid namespace, its processes outlive the first one. */
void cgroups_kill(void) {
  const char *directory = any_directory();
  if (!directory) return;
  for (int round = 0; round < KILL_ROUNDS; round++) {
    if (kill_listed(directory) == 0) return;
    reap();
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
}

/* Busy for a moment after the last process has gone. */
static void remove_directory(const char *directory) {
  for (int round = 0; round < 200; round++) {
    if (rmdir(directory) == 0 || errno != EBUSY) return;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
}

void cgroups_remove(void) {
  for (size_t i = 0; i < directories.length; i++) remove_directory(directories.items[i]);
  if (unified) remove_directory(unified);
}

/* ---- out of memory ---- */

static bool counter(const char *file, const char *key, uint64_t *value) {
  char text[4096], *path = format("%s/%s", memory, file);
  bool read = read_file(AT_FDCWD, path, text, sizeof text);
  free(path);
  if (!read) return false;
  size_t length = strlen(key);
  for (char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
    if (strncmp(line, key, length) != 0 || line[length] != ' ') continue;
    *value = strtoull(line + length + 1, NULL, 10);
    return true;
  }
  return false;
}

static uint64_t oom_count(void) {
  uint64_t count = 0;
  if (!memory) return 0;
  if (!counter("memory.events", "oom_kill", &count)) (void)counter("memory.oom_control", "oom_kill", &count);
  return count;
}

bool cgroups_oom_killed(void) {
  return oom_count() > 0;
}

/* v1 tells of it before it kills, so the count is looked at again for a while. */
static void look_for_oom(struct timer *timer) {
  uint64_t count = oom_count();
  if (count > oom_told) {
    oom_told = count;
    broadcast(OOM, 0, NULL, 0);
  } else if (--oom_looks > 0) {
    timer_set(timer, 50, look_for_oom);
  }
}

void cgroups_tell_oom(void) {
  if (oom_count() <= oom_told) return;
  oom_told = oom_count();
  broadcast(OOM, 0, NULL, 0);
}

static void oom_ready(struct source *source, uint32_t events) {
  uint8_t data[4096];
  if (read(source->fd, data, sizeof data) <= 0 && (events & (EPOLLHUP | EPOLLERR))) source_close(source);
  oom_looks = 10;
  look_for_oom(&oom_timer);
}

/* v1 tells by an eventfd, when the group has hit its limit; v2 changes a file. Where neither works, only the exit tells. */
void cgroups_watch_oom(void) {
  if (!memory) return;
  char *path = format("%s/memory.oom_control", memory);
  int control = open(path, O_RDONLY | O_CLOEXEC);
  free(path);
  if (control >= 0) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    char *text = format("%d %d", fd, control);
    if (fd >= 0 && write_into(memory, "cgroup.event_control", text)) (void)source_open(&oom_source, fd, EPOLLIN, oom_ready);
    else if (fd >= 0) close(fd);
    free(text);
    close(control);
    return;
  }
  int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  path = format("%s/memory.events", memory);
  if (fd >= 0 && inotify_add_watch(fd, path, IN_MODIFY) >= 0) (void)source_open(&oom_source, fd, EPOLLIN, oom_ready);
  else if (fd >= 0) close(fd);
  free(path);
}
