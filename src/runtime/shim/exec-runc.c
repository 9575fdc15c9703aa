/* `runc exec`, for what exec-child.c does not do: containers with a user namespace, or whose filter cannot be read. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim.h"

/* Files of one exec, in the bundle: .json, .pid, .log, .tty. */
static void file_name(const struct process *process, const char *suffix, char *name, size_t size) {
  snprintf(name, size, "exec-%u.%s", process->number, suffix);
}

static void terminal_ready(struct source *source, uint32_t events) {
  (void)events;
  struct process *process = container_of(source, struct process, sync);
  int connection = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) return;
  int master;
  if (receive_terminal(connection, &master)) process_terminal(process, master);
  close(connection);
  source_close(source);
}

static bool listen_for_terminal(struct process *process) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  file_name(process, "tty", address.sun_path, sizeof address.sun_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0) {
    return source_open(&process->sync, fd, EPOLLIN, terminal_ready);
  }
  close(fd);
  return false;
}

static noreturn void run(const struct process *process, const struct stdio *stdio) {
  char *files = format("/proc/%d/cwd/exec-%u", getppid(), process->number);
  child_reset();
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  char *arguments[] = {shim.request.runc, "--root", shim.request.runc_root, "--log", format("%s.log", files),
                       "--log-format", "json", "exec", "--detach", "--process", format("%s.json", files), "--pid-file",
                       format("%s.pid", files), shim.request.id, NULL, NULL, NULL};
  if (process->tty) {
    arguments[13] = "--console-socket";
    arguments[14] = format("%s.tty", files);
    arguments[15] = shim.request.id;
  } else if (dup2(stdio->in, 0) < 0 || dup2(stdio->out, 1) < 0 || dup2(stdio->err, 2) < 0) {
    _exit(127);
  }
  execvp(arguments[0], arguments);
  _exit(127);
}

/* That it failed is told by runc_exec_ended. */
void exec_by_runc(struct process *process, const struct exec_request *request, const struct stdio *stdio) {
  char name[64];
  file_name(process, "json", name, sizeof name);
  bool ready = write_file(name, request->json) && (!process->tty || listen_for_terminal(process));
  process->helper = fork();
  if (process->helper == 0) {
    if (!ready) _exit(127);
    run(process, stdio);
  }
}

static void remove_files(const struct process *process) {
  const char *suffixes[] = {"json", "pid", "log", "tty"};
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
    char name[64];
    file_name(process, suffixes[i], name, sizeof name);
    (void)unlink(name);
  }
}

void runc_exec_ended(struct process *process, int status) {
  char name[64], text[8192];
  uint64_t pid = 0;
  file_name(process, "pid", name, sizeof name);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && read_file(AT_FDCWD, name, text, sizeof text)) {
    (void)parse_number(text, &pid);
  }
  file_name(process, "log", name, sizeof name);
  if (pid == 0 && !read_file(AT_FDCWD, name, text, sizeof text)) strcpy(text, "runc ended without a word");
  if (pid > 0 && process->tty && process->sync.fd >= 0) terminal_ready(&process->sync, EPOLLIN);
  remove_files(process);
  process->pid = (pid_t)pid;
  if (pid > 0) exec_started(process);
  else exec_failed(process, 0, text);
}
