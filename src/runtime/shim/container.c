/* The container's life: runc runs it, its end is noticed, what it leaves is cleared away, and everyone is told. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

void child_reset(void) {
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- start ---- */

/* The master side of the terminal that runc (or an exec's child) has made, over a Unix socket. */
bool receive_terminal(int socket, int *master) {
  char data[PATH_MAX];
  union {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec part = {data, sizeof data};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0) return false;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return false;
  memcpy(master, CMSG_DATA(header), sizeof *master);
  return true;
}

static void console_ready(struct source *source, uint32_t events) {
  (void)events;
  int connection = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) return;
  int master = -1;
  /* runc sends at once; one that dies instead hangs up. */
  if (receive_terminal(connection, &master)) process_terminal(&shim.container, master);
  close(connection);
  source_close(source);
}

static bool open_console(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "console"};
  if (fd < 0) return false;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0) {
    return source_open(&shim.console, fd, EPOLLIN, console_ready);
  }
  close(fd);
  return false;
}

static noreturn void run_runc(const struct stdio *stdio) {
  const struct request *request = &shim.request;
  char *console = format("/proc/%d/cwd/console", getppid());
  char *log = format("%s/runc.log", shim.bundle), *pid_file = format("%s/runc.pid", shim.bundle);
  child_reset();
  /* Half a container without a shim would be nobody's. */
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  char *arguments[] = {request->runc, "--root", request->runc_root, "--log", log, "--log-format", "json", "run", "-d",
                       "--bundle", shim.bundle, "--pid-file", pid_file, request->id, NULL, NULL, NULL};
  if (request->tty) {
    arguments[13] = "--console-socket";
    arguments[14] = console;
    arguments[15] = request->id;
  } else if (dup2(stdio->in, 0) < 0 || dup2(stdio->out, 1) < 0 || dup2(stdio->err, 2) < 0) {
    _exit(127);
  }
  execvp(arguments[0], arguments);
  int file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dprintf(file, "{\"level\":\"error\",\"msg\":\"%s: %s\"}\n", request->runc, strerror(errno));
  _exit(127);
}

/* Gives an error text, or NULL: the rest is seen when runc ends. */
char *run_container(struct strings *interfaces) {
  struct stdio stdio = {-1, -1, -1};
  char *error = shim.request.own_network ? configure_interfaces(interfaces) : NULL;
  if (error) return error;
  serve_ports();
  if (shim.request.tty ? !open_console() : !process_pipes(&shim.container, &stdio, shim.request.open_stdin)) {
    return format("make stdio: %s", strerror(errno));
  }
  shim.runc = fork();
  if (shim.runc == 0) run_runc(&stdio);
  int reason = errno;
  if (!shim.request.tty) {
    close(stdio.in);
    close(stdio.out);
    close(stdio.err);
  }
  return shim.runc < 0 ? format("fork: %s", strerror(reason)) : NULL;
}

/* runc's last error, in its log's JSON, which the client takes apart. */
static void runc_failed(void) {
  char text[16384];
  if (!read_file(AT_FDCWD, "runc.log", text, sizeof text)) strcpy(text, "runc ended without a word");
  if (shim.launcher) {
    send_failure(shim.launcher, "runc", 0, text);
    client_finish(shim.launcher);
  }
  shim.started = false;
  shim.finished = true;
  source_close(&shim.listener);
  remove_mounts();
  for (struct client *client = shim.clients, *next; client; client = next) {
    next = client->next;
    client_finish(client);
  }
  if (!shim.clients) exit(1);
}

static void container_started(void) {
  struct process *container = &shim.container;
  char text[64];
  uint64_t pid = 0;
  if (read_file(AT_FDCWD, "runc.pid", text, sizeof text)) (void)parse_number(text, &pid);
  if (pid == 0) {
    runc_failed();
    return;
  }
  container->pid = (pid_t)pid;
  (void)unlink("runc.pid");
  (void)unlink("console");
  source_close(&shim.console);
  /* Our child, so it stays at least as a zombie: pid and start time are its own. */
  unsigned long long start = process_start(container->pid);
  snprintf(text, sizeof text, "%d %llu\n", container->pid, start);
  if (!write_file("pid.new", text) || rename("pid.new", "pid") != 0) {
    /* Without the record nobody would find the container again. */
    (void)kill(container->pid, SIGKILL);
  }
  shim.init_pidfd = (int)syscall(SYS_pidfd_open, container->pid, 0);
  cgroups_find();
  cgroups_watch_oom();
  seccomp_find();
  if (shim.launcher) {
    uint8_t payload[64];
    put_u32(payload, (uint32_t)container->pid);
    int length = snprintf((char *)payload + 4, sizeof payload - 4, "%llu", start);
    send_frame(shim.launcher, STARTED, 0, payload, 4 + (size_t)length + 1);
  }
  process_begin(container);
  claim_exit(container);
}

/* ---- the ends of children ---- */

static void child_ended(pid_t pid, int status) {
  if (WIFSTOPPED(status)) {
    if (pid == shim.container.pid) seccomp_stopped(status);
    return;
  }
  if (pid == shim.runc) {
    shim.runc = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) container_started();
    else runc_failed();
    return;
  }
  if (log_reaped(pid)) return;
  if (pid == shim.container.pid) {
    process_ended(&shim.container, status);
    return;
  }
  bool awaited = shim.runc != 0;
  for (struct process *process = shim.execs, *next; process; process = next) {
    next = process->next;
    bool helper = process->helper == pid;
    if (helper) process->helper = 0;
    if (helper && process->by_runc) {
      runc_exec_ended(process, status);
      return;
    }
    /* What it said of itself comes before its end; that may be the end of `process` too. */
    if (!process->by_runc && process->sync.fd >= 0) exec_look(process);
    if (helper) return;
  }
  for (struct process *process = shim.execs; process; process = process->next) {
    if (process->pid == pid) {
      process_ended(process, status);
      return;
    }
    if (process->pid == 0 || process->sync.fd >= 0) awaited = true;
  }
  if (!awaited) shim.unclaimed_count = 0;
  else if (shim.unclaimed_count < sizeof shim.unclaimed / sizeof *shim.unclaimed) {
    shim.unclaimed[shim.unclaimed_count].pid = pid;
    shim.unclaimed[shim.unclaimed_count++].status = status;
  }
}

void reap(void) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) child_ended(pid, status);
}

/* ---- the end ---- */

static bool write_durably(const char *name, const char *text) {
  int fd = open("exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  bool done = write_whole(fd, text, strlen(text)) && fsync(fd) == 0;
  done = close(fd) == 0 && done && rename("exit.new", name) == 0;
  int directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  done = fsync(directory) == 0 && done;
  close(directory);
  return done;
}

static void remove_runc_state(void) {
  char *directory = format("%s/%s", shim.request.runc_root, shim.request.id);
  char *state = format("%s/state.json", directory);
  (void)unlink(state);
  if (rmdir(directory) != 0 && errno != ENOENT) {
    /* It keeps more than we know of: its own command clears it. */
    pid_t pid = fork();
    if (pid == 0) {
      child_reset();
      execlp(shim.request.runc, shim.request.runc, "--root", shim.request.runc_root, "delete", "--force",
             shim.request.id, (char *)NULL);
      _exit(127);
    }
    if (pid > 0) (void)waitpid(pid, NULL, 0);
  }
  free(state);
  free(directory);
}

/*
 * It has ended and its output is in the log. Everything that the next run of the same container needs is let go before
 * the record is written, since whoever sees that may start it at once.
 */
void container_done(void) {
  static bool entered;
  if (entered) return;
  entered = true;
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  int status = shim.container.status;
  bool oom = cgroups_oom_killed();
  cgroups_tell_oom();
  cgroups_remove();
  remove_runc_state();
  log_close();
  close_ports();
  remove_mounts();
  char *record = format("%d %d %d %lld%09ld\n", exit_code_of(status), WIFSIGNALED(status) ? WTERMSIG(status) : 0, oom,
                        (long long)now.tv_sec, now.tv_nsec);
  (void)write_durably("exit", record);
  source_close(&shim.listener);
  shim.finished = true;
  for (struct client *client = shim.clients, *next; client; client = next) {
    next = client->next;
    /* Execs end with the container, and their clients with them. */
    if (client->exec) continue;
    send_frame(client, ENDED, 0, record, strlen(record) + 1);
    client_finish(client);
  }
  free(record);
  if (!shim.clients) exit(0);
}
