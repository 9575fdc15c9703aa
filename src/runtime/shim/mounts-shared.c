/*
 * A mount that another container has, shown in this one: the /dev/shm of a shared ipc namespace. It cannot be bound by
 * its path below /proc/PID/root, since the kernel binds only what the own mount namespace holds; so it is cloned from
 * within the other's namespace and attached in ours.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

#define TREE_CLONE 1
#define NO_FOLLOW 0x100
#define FROM_DESCRIPTOR 4

static int clone_tree_of(const char *pid, const char *path) {
  char *name = format("/proc/%s/ns/mnt", pid);
  int other = open(name, O_RDONLY | O_CLOEXEC);
  free(name);
  if (other < 0) return -1;
  int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  int tree = -1, reason = errno;
  if (own >= 0 && setns(other, CLONE_NEWNS) == 0) {
    tree = (int)syscall(SYS_open_tree, AT_FDCWD, path, TREE_CLONE | O_CLOEXEC | NO_FOLLOW);
    reason = errno;
    /* Without our own namespace nothing that follows would be right. */
    if (setns(own, CLONE_NEWNS) != 0 || chdir(shim.bundle) != 0) _exit(1);
  } else {
    reason = errno;
  }
  if (own >= 0) close(own);
  close(other);
  errno = reason;
  return tree;
}

/* NULL, or what went wrong. */
char *mount_of_process(const char *pid, const char *path, const char *target) {
  int tree = clone_tree_of(pid, path);
  bool done = tree >= 0 && syscall(SYS_move_mount, tree, "", AT_FDCWD, target, FROM_DESCRIPTOR) == 0;
  int reason = errno;
  if (tree >= 0) close(tree);
  return done ? NULL : format("share %s of process %s: %s", path, pid, strerror(reason));
}
