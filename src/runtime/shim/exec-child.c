/*
 * What runs in the helper of an exec: first as a child of the shim that joins the container's cgroups and namespaces,
 * then as its sibling inside the pid namespace, which takes on the container's confinement in runc's order (libcontainer,
 * setns_init_linux.go) and executes the program.
 *
 * Nothing of the host may come along: every descriptor is close-on-exec, none is used for a path of the container's, the
 * process cannot be looked into (the shim is not dumpable), and its file cannot be written to (main.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim.h"

#define PREFIX "exec failed: unable to start container process: "
#define JOIN_SESSION_KEYRING 1
#define CLOEXEC_RANGE 4
#define CAPABILITY_LAST 63

static int sync_fd;

static noreturn void fail(int exit_code, const char *form, ...) {
  char text[1000] = {HELPER_FAULT, (char)exit_code};
  size_t at = 2;
  memcpy(text + at, PREFIX, sizeof PREFIX - 1);
  at += sizeof PREFIX - 1;
  va_list values;
  va_start(values, form);
  int length = vsnprintf(text + at, sizeof text - at, form, values);
  va_end(values);
  at += length < 0 ? 0 : (size_t)length < sizeof text - at ? (size_t)length : sizeof text - at - 1;
  (void)!write(sync_fd, text, at);
  _exit(1);
}

/* Error texts begin in lower case in Go. */
static const char *reason(void) {
  static char text[128];
  snprintf(text, sizeof text, "%s", strerror(errno));
  if (text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a' && text[1] <= 'z') text[0] = (char)(text[0] + 32);
  return text;
}

/* ---- terminal ---- */

static void send_master(int master) {
  char kind = HELPER_TERMINAL;
  union {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct iovec part = {&kind, 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(header), &master, sizeof master);
  if (sendmsg(sync_fd, &message, MSG_NOSIGNAL) != 1) fail(126, "send the terminal: %s", reason());
}

/* Of the container's own devpts; gives the process's side. */
static int open_terminal(const struct exec_request *request) {
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  struct stat stat;
  int unlocked = 0;
  if (master < 0 || fstat(master, &stat) != 0) fail(126, "open /dev/ptmx: %s", reason());
  if (!S_ISCHR(stat.st_mode) || ioctl(master, TIOCSPTLCK, &unlocked) != 0) fail(126, "/dev/ptmx is no terminal");
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) fail(126, "open a terminal: %s", reason());
  struct winsize size = {.ws_row = request->rows, .ws_col = request->columns};
  if (request->rows > 0 && request->columns > 0) (void)ioctl(master, TIOCSWINSZ, &size);
  send_master(master);
  close(master);
  return slave;
}

/* ---- confinement ---- */

/* So that a user may open its own /dev/stdout; a device like /dev/null keeps its owner. */
static void give_stdio(uint32_t uid) {
  for (int fd = 0; fd <= 2; fd++) {
    struct stat stat;
    if (fstat(fd, &stat) != 0 || stat.st_uid == uid) continue;
    if (S_ISCHR(stat.st_mode) && major(stat.st_rdev) == 1) continue;
    (void)fchown(fd, uid, (gid_t)-1);
  }
}

static void set_limits(const struct exec_request *request) {
  for (size_t i = 0; i < request->rlimit_count; i++) {
    struct rlimit limit = {.rlim_cur = request->rlimits[i].soft, .rlim_max = request->rlimits[i].hard};
    if (setrlimit(request->rlimits[i].resource, &limit) != 0) {
      fail(126, "error setting rlimit type %d: %s", request->rlimits[i].resource, reason());
    }
  }
}

static void load_filters(void) {
  for (size_t i = filter_count; i-- > 0;) {
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filters[i].flags, &filters[i].program) != 0) {
      fail(126, "load the seccomp filter: %s", reason());
    }
  }
}

static void bound_capabilities(uint64_t bounding) {
  for (int capability = 0; capability <= CAPABILITY_LAST; capability++) {
    if (bounding >> capability & 1) continue;
    int held = prctl(PR_CAPBSET_READ, capability);
    /* EINVAL: beyond what this kernel knows. */
    if (held < 0) break;
    if (held == 1 && prctl(PR_CAPBSET_DROP, capability) != 0) fail(126, "drop a capability: %s", reason());
  }
}

static void set_user(const struct exec_request *request) {
  gid_t groups[256];
  size_t count = request->gids.length;
  if (count > sizeof groups / sizeof *groups) fail(126, "more than %zu groups", sizeof groups / sizeof *groups);
  for (size_t i = 0; i < count; i++) groups[i] = (gid_t)strtoul(request->gids.items[i], NULL, 10);
  if (setgroups(count, groups) != 0) fail(126, "setgroups: %s", reason());
  if (setresgid(request->gid, request->gid, request->gid) != 0) fail(126, "setgid: %s", reason());
  if (setresuid(request->uid, request->uid, request->uid) != 0) fail(126, "setuid: %s", reason());
}

static void set_capabilities(const struct exec_request *request) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  for (int half = 0; half < 2; half++) {
    data[half].effective = (uint32_t)(request->effective >> 32 * half);
    data[half].permitted = (uint32_t)(request->permitted >> 32 * half);
    data[half].inheritable = (uint32_t)(request->inheritable >> 32 * half);
  }
  if (syscall(SYS_capset, &header, data) != 0) fail(126, "set capabilities: %s", reason());
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
    fail(126, "clear ambient capabilities: %s", reason());
  }
  for (unsigned long capability = 0; capability <= CAPABILITY_LAST; capability++) {
    if (!(request->ambient >> capability & 1)) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) {
      fail(126, "raise an ambient capability: %s", reason());
    }
  }
}

static bool enter(const char *cwd) {
  return chdir(cwd) == 0;
}

/* A working directory outside of the root would be a way out of it. */
static void check_directory(void) {
  char path[PATH_MAX];
  if (!getcwd(path, sizeof path) || path[0] != '/') fail(126, "current working directory is outside of container mount namespace root");
}

/* By the host's /proc, since the container's may be anything. */
static void set_apparmor(int proc, const char *profile) {
  const char *files[] = {"self/attr/apparmor/exec", "self/attr/exec"};
  int fd = -1;
  for (int i = 0; i < 2 && fd < 0; i++) fd = openat(proc, files[i], O_WRONLY | O_CLOEXEC);
  if (fd < 0 || dprintf(fd, "exec %s", profile) < 0) fail(126, "apply apparmor profile %s: %s", profile, reason());
  close(fd);
}

/* ---- the program ---- */

static bool is_executable(const char *path) {
  struct stat found;
  if (stat(path, &found) != 0) return false;
  if (S_ISDIR(found.st_mode) || !(found.st_mode & 0111)) errno = EACCES;
  return !S_ISDIR(found.st_mode) && (found.st_mode & 0111);
}

/* As Go's exec.LookPath, in the words of runc. */
static const char *find_program(const struct exec_request *request) {
  const char *name = request->args.items[0];
  if (strchr(name, '/')) {
    if (is_executable(name)) return name;
    if (errno == EACCES) fail(126, "exec: \"%s\": permission denied: unknown", name);
    fail(127, "exec: \"%s\": stat %s: %s: unknown", name, name, reason());
  }
  const char *path = "";
  for (size_t i = 0; i < request->env.length; i++) {
    if (strncmp(request->env.items[i], "PATH=", 5) == 0) path = request->env.items[i] + 5;
  }
  static char full[PATH_MAX];
  while (name[0]) {
    size_t length = strcspn(path, ":");
    snprintf(full, sizeof full, "%.*s%s%s", (int)length, path, length > 0 ? "/" : "./", name);
    if (is_executable(full)) return full;
    if (!path[length]) break;
    path += length + 1;
  }
  fail(127, "exec: \"%s\": executable file not found in $PATH: unknown", name);
}

static noreturn void become(const struct exec_request *request, const struct stdio *stdio, int proc) {
  if (setsid() < 0) fail(126, "setsid: %s", reason());
  if (request->tty && ioctl(stdio->in, TIOCSCTTY, 0) != 0) fail(126, "take the terminal: %s", reason());
  if (dup2(stdio->in, 0) < 0 || dup2(stdio->out, 1) < 0 || dup2(stdio->err, 2) < 0) fail(126, "dup2: %s", reason());
  (void)syscall(SYS_close_range, 3u, ~0u, CLOEXEC_RANGE);
  give_stdio(request->uid);
  char *keyring = format("_ses.%s", shim.request.id);
  /* The host's session keyring must not come along; where keys are not to be had, neither is that one. */
  (void)syscall(SYS_keyctl, JOIN_SESSION_KEYRING, keyring);
  umask(request->umask >= 0 ? (mode_t)request->umask : 0022);
  set_limits(request);
  if (request->apparmor) set_apparmor(proc, request->apparmor);
  bool entered = enter(request->cwd);
  if (request->no_new_privileges) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail(126, "set no_new_privs: %s", reason());
  } else {
    /* Needs a capability that is gone later. */
    load_filters();
  }
  bound_capabilities(request->bounding);
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) fail(126, "keep capabilities: %s", reason());
  set_user(request);
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) fail(126, "clear keep capabilities: %s", reason());
  if (!entered && !enter(request->cwd)) {
    fail(126, "chdir to cwd (\"%s\") set in config.json failed: %s: unknown", request->cwd, reason());
  }
  check_directory();
  set_capabilities(request);
  const char *program = find_program(request);
  if (request->no_new_privileges) load_filters();
  execve(program, request->args.items, request->env.items);
  fail(errno == ENOENT ? 127 : 126, "exec %s: %s: unknown", program, reason());
}

noreturn void exec_child(const struct exec_request *request, const struct stdio *given, int sync) {
  struct stdio stdio = *given;
  sync_fd = sync;
  child_reset();
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (proc < 0) fail(126, "open /proc: %s", reason());
  /* Best effort, as for the container: to lower it takes a capability. */
  if (request->oom_score) (void)write_file("/proc/self/oom_score_adj", request->oom_score);
  if (!cgroups_join()) fail(126, "join the container's cgroups: %s", reason());
  if (syscall(SYS_setns, shim.init_pidfd,
              CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) != 0) {
    fail(126, "join the container's namespaces: %s", reason());
  }
  if (request->tty) stdio.in = stdio.out = stdio.err = open_terminal(request);
  /* In the pid namespace is only who is born in it; a child of our parent's, so that the shim sees its end. */
  long pid = syscall(SYS_clone, (unsigned long)(CLONE_PARENT | SIGCHLD), NULL, NULL, NULL, 0UL);
  if (pid < 0) fail(126, "fork: %s", reason());
  if (pid == 0) become(request, &stdio, proc);
  uint8_t message[5] = {HELPER_PID};
  put_u32(message + 1, (uint32_t)pid);
  (void)!write(sync_fd, message, sizeof message);
  _exit(0);
}
