/*
 * The seccomp filters of the container's first process, so that an exec gets the very same ones. They are read once, at
 * its start: for that it is stopped for some microseconds, which later on could interrupt it where it does not expect it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim.h"

#define GET_FILTER 0x420c
#define GET_METADATA 0x420d
#define EVENT_STOP 128
#define RETRY_MS 5
#define RETRIES 1000

struct metadata {
  uint64_t index, flags;
};

struct filter filters[8];
size_t filter_count;
static bool known;
static struct timer again;
static int tries;

/* Whether this kernel joins the namespaces of a pidfd, and the container has no user namespace of its own. */
static bool can_join(pid_t pid) {
  struct utsname name;
  int major = 0, minor = 0;
  if (shim.init_pidfd < 0 || uname(&name) != 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2) return false;
  if (major < 5 || (major == 5 && minor < 8)) return false;
  struct stat own, theirs;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
  return stat("/proc/self/ns/user", &own) == 0 && stat(path, &theirs) == 0 && own.st_ino == theirs.st_ino;
}

/* The process is stopped. */
static bool read_filters(pid_t pid) {
  for (filter_count = 0; filter_count < sizeof filters / sizeof *filters; filter_count++) {
    struct filter *filter = &filters[filter_count];
    long length = ptrace(GET_FILTER, pid, filter_count, NULL);
    if (length < 0) return errno == ENOENT;
    struct metadata metadata = {.index = filter_count};
    filter->program.len = (unsigned short)length;
    filter->program.filter = need(malloc((size_t)length * sizeof *filter->program.filter));
    if (ptrace(GET_FILTER, pid, filter_count, filter->program.filter) != length) return false;
    if (ptrace(GET_METADATA, pid, sizeof metadata, &metadata) < 0) return false;
    filter->flags = (unsigned)(metadata.flags | shim.request.seccomp_flags);
  }
  return false;
}

static void forget_filters(void) {
  for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
    free(filters[i].program.filter);
    filters[i].program.filter = NULL;
  }
  filter_count = 0;
}

/*
 * Still runc's own program: it has many threads, of which the last to remain takes the pid over when it executes the
 * container's. One that is stopped before would never be heard of again; and with no-new-privileges the filter comes
 * last of all.
 */
static bool is_before_exec(pid_t pid) {
  char path[32], name[32];
  snprintf(path, sizeof path, "/proc/%d/comm", pid);
  return !read_file(AT_FDCWD, path, name, sizeof name) || strncmp(name, "runc:[", 6) == 0;
}

static void find_again(struct timer *timer) {
  (void)timer;
  if (!shim.container.ended) seccomp_find();
}

/* Until it is known runc does the execs. */
void seccomp_find(void) {
  pid_t pid = shim.container.pid;
  if (shim.request.runc_exec || !can_join(pid)) return;
  if (!shim.request.seccomp) {
    known = true;
    return;
  }
  if (is_before_exec(pid)) {
    if (tries++ < RETRIES) timer_set(&again, RETRY_MS, find_again);
    return;
  }
  /* It stops in its own time, which reap() hears of. */
  if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) (void)ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
}

void seccomp_stopped(int status) {
  pid_t pid = shim.container.pid;
  known = read_filters(pid) && filter_count > 0;
  if (!known) forget_filters();
  /* A signal that happened to be on its way is delivered. */
  int signal = status >> 16 == EVENT_STOP ? 0 : WSTOPSIG(status);
  (void)ptrace(PTRACE_DETACH, pid, NULL, (void *)(intptr_t)signal);
}

bool seccomp_known(void) {
  return known;
}
