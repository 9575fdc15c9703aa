/*
 * tcompose-shim: holds one container. `tcompose-shim run BUNDLE` with the launching connection on fd 3.
 *
 * In order: it binds the published ports in the host's network namespace, moves into a mount namespace of its own in
 * which it mounts the container's root, and into a network namespace of its own; says READY; configures the interfaces
 * that START names; lets runc run the container; holds its stdio, writes its log and serves clients until it has ended;
 * clears away what it left, records the exit, tells everyone, and ends.
 *
 * `tcompose-shim spawn` starts others (spawner.c). Called as `docker-init` it is the pid 1 of a container instead (init.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"
#include "shim.h"

/* Descriptor of the launching connection when we are run. */

struct shim shim = {
    .listener = {.fd = -1},
    .container = {.in = {.fd = -1}, .out = {.fd = -1}, .err = {.fd = -1}, .sync = {.fd = -1}},
    .console = {.fd = -1},
    .init_pidfd = -1,
};

/* ---- the program's own file ---- */

#define OPEN_TREE_CLONE_FLAG 1
#define ATTR_RDONLY 1
struct mount_attributes {
  uint64_t set, clear, propagation, userns;
};

static int read_only_self(void) {
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE_FLAG | O_CLOEXEC);
  if (tree < 0) return -1;
  struct mount_attributes attributes = {.set = ATTR_RDONLY};
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) return tree;
  close(tree);
  return -1;
}

static int sealed_copy_of_self(void) {
  int copy_fd = memfd_create("tcompose-shim", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  char data[16384];
  ssize_t count = 0;
  while (copy_fd >= 0 && self >= 0 && (count = read(self, data, sizeof data)) > 0) {
    if (!write_whole(copy_fd, data, (size_t)count)) break;
  }
  if (self >= 0) close(self);
  int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (count == 0 && copy_fd >= 0 && fcntl(copy_fd, F_ADD_SEALS, seals) == 0) return copy_fd;
  if (copy_fd >= 0) close(copy_fd);
  return -1;
}

/*
 * A process that we start in the container shows our file as its /proc/PID/exe until its own program runs, and is made
 * to run us by the name /proc/self/exe: through that the container could write to the file (CVE-2019-5736). So we run
 * from a read-only mount that nobody can reach to change, or from a sealed copy.
 */
static bool run_protected(char **argv) {
  if (strcmp(argv[1], "run") != 0) return true;
  int self = read_only_self();
  if (self < 0) self = sealed_copy_of_self();
  if (self < 0) return false;
  argv[1] = "protected";
  char *environment[] = {getenv("PATH") ? format("PATH=%s", getenv("PATH")) : "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
  syscall(SYS_execveat, self, "", argv, environment, AT_EMPTY_PATH);
  return false;
}

/* ---- launch ---- */

static noreturn void refuse(const char *kind, const char *message) {
  struct client client = {.source = {.fd = LAUNCHER}};
  send_failure(&client, kind, 0, message);
  exit(1);
}

static uint8_t *read_launch(size_t *length) {
  uint8_t header[FRAME_HEADER];
  if (recv(LAUNCHER, header, sizeof header, MSG_WAITALL) != sizeof header) exit(1);
  *length = get_u32(header + 2);
  if (header[0] != LAUNCH || *length > FRAME_LIMIT) refuse("system", "not a launch request");
  uint8_t *payload = need(malloc(*length + 1));
  if (recv(LAUNCHER, payload, *length, MSG_WAITALL) != (ssize_t)*length) exit(1);
  return payload;
}

static void signal_ready(struct source *source, uint32_t events) {
  (void)events;
  struct signalfd_siginfo info;
  while (read(source->fd, &info, sizeof info) == sizeof info) {
  }
  reap();
}

/* Signals meant for a terminal's foreground or a tidy end are not for us: only the container's end ends us. */
static bool take_signals(void) {
  sigset_t taken;
  sigemptyset(&taken);
  const int numbers[] = {SIGCHLD, SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaddset(&taken, numbers[i]);
  if (sigprocmask(SIG_SETMASK, &taken, NULL) != 0) return false;
  int fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  return fd >= 0 && source_open(&shim.signals, fd, EPOLLIN, signal_ready);
}

static bool write_identity(void) {
  char text[64];
  snprintf(text, sizeof text, "%d %llu\n", getpid(), (unsigned long long)process_start(getpid()));
  return write_file("shim.new", text) && rename("shim.new", "shim") == 0;
}

static void launch(uint8_t *payload, size_t length) {
  struct request *request = &shim.request;
  const char *fault = parse_request(request, payload, length);
  if (fault) refuse("system", format("launch request: %s", fault));
  shim.container.tty = request->tty;
  shim.container.expects_stdin = request->open_stdin;
  char *error = bind_ports(&request->ports);
  if (error) refuse("port", error);
  if (!log_open(request)) refuse("system", format("open log %s: %s", request->log_path, strerror(errno)));
  if (!write_identity()) refuse("system", format("write %s/shim: %s", shim.bundle, strerror(errno)));
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) {
    refuse("system", format("make a mount namespace: %s", strerror(errno)));
  }
  /* The working directory is the bundle as this namespace has it. */
  if (chdir(shim.bundle) != 0) refuse("system", format("enter %s: %s", shim.bundle, strerror(errno)));
  if ((error = make_mounts(request))) refuse("system", error);
  if (request->own_network) {
    if (unshare(CLONE_NEWNET) != 0) refuse("system", format("make a network namespace: %s", strerror(errno)));
    if ((error = lift_loopback())) refuse("system", error);
    if ((error = write_sysctls(&request->sysctls))) refuse("system", error);
    if (request->dns && (error = open_dns())) refuse("system", error);
  }
  if (!listen_clients()) refuse("system", format("listen on %s/sock: %s", shim.bundle, strerror(errno)));
}

static void take_launcher(void) {
  int fd = fcntl(LAUNCHER, F_DUPFD_CLOEXEC, LAUNCHER + 1);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (fd < 0 || null < 0) exit(1);
  for (int standard = 0; standard <= 2; standard++) {
    if (dup2(null, standard) < 0) exit(1);
  }
  close(null);
  close(LAUNCHER);
  if (!(shim.launcher = client_new(fd))) exit(1);
  shim.launcher->launching = true;
}

/* ---- what clients ask ---- */

static void start_container(struct client *client, uint8_t *payload, size_t length) {
  if (!client->launching || shim.started) return;
  shim.started = true;
  struct strings interfaces = strings_of(payload, length);
  char *error = run_container(&interfaces);
  if (!error) return;
  shim.started = false;
  send_failure(client, "system", 0, error);
  client->closing = true;
}

static void configure(struct client *client, uint8_t *payload, size_t length) {
  struct strings interfaces = strings_of(payload, length);
  char *error = shim.request.own_network ? configure_interfaces(&interfaces)
                                         : copy("the container has no network namespace of its own");
  if (error) send_failure(client, "system", 0, error);
  else send_frame(client, DONE, 0, NULL, 0);
  free(error);
}

void handle_frame(struct client *client, uint8_t type, uint8_t stream, uint8_t *payload, size_t length) {
  struct process *process = client->exec ? client->exec : &shim.container;
  switch (type) {
    case START:
      start_container(client, payload, length);
      break;
    case ATTACH:
      client->attached = true;
      client->hold = stream == 1;
      break;
    case STDIN:
      client->writes_stdin = true;
      process_stdin(process, payload, length);
      break;
    case CLOSE_STDIN:
      process_close_stdin(process);
      break;
    case RESIZE:
      if (length == 4) {
        process_resize(process, (uint16_t)(payload[0] << 8 | payload[1]), (uint16_t)(payload[2] << 8 | payload[3]));
      }
      break;
    case SIGNAL:
      if (process->pid > 0 && !process->ended) (void)kill(process->pid, stream);
      break;
    case EXEC:
      start_exec(client, payload, length);
      break;
    case RESOLVE:
      dns_resolver(client);
      break;
    case ANSWER:
      dns_answer(client, payload, length);
      break;
    case CONFIGURE:
      configure(client, payload, length);
      break;
    default:
      client->closing = true;
  }
}

int main(int argc, char **argv) {
  const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
  if (argc > 0 && strcmp(name ? name + 1 : argv[0], "docker-init") == 0) return init_main(argc, argv);
  if (argc == 2 && strcmp(argv[1], "spawn") == 0) return spawner_main();
  if (argc != 3 || (strcmp(argv[1], "run") != 0 && strcmp(argv[1], "protected") != 0)) {
    fputs("usage: tcompose-shim run BUNDLE (by tcompose, with its connection on fd 3)\n", stderr);
    return 2;
  }
  /* Whatever else we were given is nobody's business here. */
  (void)syscall(SYS_close_range, LAUNCHER + 1u, ~0u, 0u);
  if (strlen(argv[2]) >= sizeof shim.bundle || chdir(argv[2]) != 0) refuse("system", "the bundle is no directory");
  if (!run_protected(argv)) refuse("system", format("protect the program's file: %s", strerror(errno)));
  strcpy(shim.bundle, argv[2]);
  umask(0022);
  (void)setsid();
  /* Children of ours must not be looked into by the container, see exec-child.c. */
  if (prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) refuse("system", "prctl");
  if (!loop_open() || !take_signals()) refuse("system", format("set up: %s", strerror(errno)));
  size_t length;
  uint8_t *payload = read_launch(&length);
  launch(payload, length);
  take_launcher();
  send_frame(shim.launcher, READY, 0, NULL, 0);
  loop_run();
}
