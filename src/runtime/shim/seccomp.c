/*
 * The seccomp filters of the container's first process, so that an exec gets the very same ones. They are read once, at
 * its start: for that it is stopped for some microseconds, which later on could interrupt it where it does not expect it.
 */
#define _GNU_SOURCE
#include <errno.h>
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
#define RETRY_MS 20
#define RETRIES 50

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

static bool look(pid_t pid) {
  if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) != 0) return false;
  if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) != 0) return false;
  int status;
  pid_t got;
  do got = waitpid(pid, &status, __WALL);
  while (got < 0 && errno == EINTR);
  if (got != pid) return false;
  if (!WIFSTOPPED(status)) {
    /* It has ended instead; that is for container.c. */
    if (shim.unclaimed_count < sizeof shim.unclaimed / sizeof *shim.unclaimed) {
      shim.unclaimed[shim.unclaimed_count].pid = pid;
      shim.unclaimed[shim.unclaimed_count++].status = status;
    }
    return false;
  }
  bool read = read_filters(pid);
  /* A signal that happened to be on its way is delivered. */
  int signal = status >> 16 == EVENT_STOP ? 0 : WSTOPSIG(status);
  if (ptrace(PTRACE_DETACH, pid, NULL, (void *)(intptr_t)signal) != 0) return false;
  return read;
}

static void find_again(struct timer *timer) {
  (void)timer;
  if (!shim.container.ended) seccomp_find();
  claim_exit(&shim.container);
}

void seccomp_find(void) {
  pid_t pid = shim.container.pid;
  if (shim.request.runc_exec || !can_join(pid)) return;
  if (!shim.request.seccomp) {
    known = true;
    return;
  }
  known = look(pid) && filter_count > 0;
  if (known) return;
  forget_filters();
  /* With no-new-privileges runc's child takes its filter last of all, maybe only now. Until then runc does the execs. */
  if (tries++ < RETRIES) timer_set(&again, RETRY_MS, find_again);
}

bool seccomp_known(void) {
  return known;
}
